"""What goes wrong while training, in words that say what to do next. The checkpoint is kept in every case."""

from __future__ import annotations

import errno
from collections.abc import Generator
from contextlib import contextmanager

from slipway.errors import SlipwayError
from slipway.files import why
from slipway.i18n import t

_FULL = (errno.ENOSPC, errno.EDQUOT)


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
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise _memory(error) from error
        if error.errno not in _FULL:
            raise
        raise SlipwayError(
            t("training cannot write its checkpoint: {why}", why=why(error)),
            t("free some disk space and run the same command again: it goes on from the last checkpoint"),
        ) from error
    except MemoryError as error:
        raise _memory(error) from error
    except RuntimeError as error:  # torch.OutOfMemoryError is one, and so is what the allocator of the CPU raises
        if "out of memory" not in str(error) and "allocate memory" not in str(error):
            raise
        raise _memory(error) from error


def _memory(error: Exception) -> SlipwayError:
    first = (str(error).splitlines() or [""])[0][:200]
    return SlipwayError(
        t("training needs more memory than there is: {why}", why=first or type(error).__name__),
        t("lower batch_size (and raise accumulate to make up for it) or max_tokens, or set checkpointing: true"),
    )
