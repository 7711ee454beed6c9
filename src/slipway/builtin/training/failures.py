"""What goes wrong while training, in words that say what to do next. The checkpoint is kept in every case."""

from __future__ import annotations

import errno
from collections.abc import Generator
from contextlib import contextmanager

from slipway.errors import SlipwayError
from slipway.files import is_full, why
from slipway.i18n import t


def no_number(what: str, step: int, total: int) -> SlipwayError:
    """`what` is the loss, or the size of the gradient."""
    return SlipwayError(
        t("{what} is not a finite number any more at step {step} of {total}", what=what, step=step, total=total),
        t("lower learning_rate, or raise warmup; look for examples that are empty or damaged"),
    )


@contextmanager
def explained() -> Generator[None]:
    """Out of memory and a full disk become SlipwayErrors; whatever else is raised passes."""
    try:
        yield
    except SlipwayError:
        raise
    except Exception as error:
        if is_full(error):
            raise SlipwayError(
                t(
                    "training cannot write its checkpoint: {why}",
                    why=why(error) if isinstance(error, OSError) else error,
                ),
                t("free some disk space and run the same command again: it goes on from the last checkpoint"),
            ) from error
        if _is_short(error):
            raise _memory(error) from error
        raise


def _is_short(error: Exception) -> bool:
    """Of memory. torch.OutOfMemoryError is a RuntimeError, and so is what the allocator of the CPU raises."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    told = isinstance(error, RuntimeError) and ("out of memory" in str(error) or "allocate memory" in str(error))
    return told or isinstance(error, MemoryError)


def _memory(error: Exception) -> SlipwayError:
    first = (str(error).splitlines() or [""])[0][:200]
    return SlipwayError(
        t("training needs more memory than there is: {why}", why=first or type(error).__name__),
        t(
            "lower batch_size (and raise accumulate to make up for it) or max_tokens; `lora` and `full` also take"
            " checkpointing: true"
        ),
    )
