"""What goes wrong while training, in words that say what to do next. The checkpoint is kept in every case."""

from __future__ import annotations

import errno
import math
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any

from slipway.errors import IntegrityError, SlipwayError
from slipway.files import is_full, is_limited, raise_limit, why
from slipway.i18n import t


def no_number(what: str, step: int, total: int) -> SlipwayError:
    """`what` is the loss, or the size of the gradient."""
    return SlipwayError(
        t("{what} is not a finite number any more at step {step} of {total}", what=what, step=step, total=total),
        t("lower learning_rate, or raise warmup; look for examples that are empty or damaged"),
    )


def check_weights(file: str, weights: Iterable[tuple[str, Any]]) -> None:
    """Raise IntegrityError for a base with a number that is not finite: training from it fails at once, whatever the
    learning rate. `weights`: names, and tensors of torch or arrays of NumPy.
    """
    for name, values in weights:
        if 0 in values.shape:
            continue
        if not (math.isfinite(float(values.min())) and math.isfinite(float(values.max()))):  # of NaN each is NaN
            raise IntegrityError(
                t("the weights of {file} are damaged: tensor '{name}' holds numbers that are not finite", file=file,
                  name=name),
                t("fetch the model again from where it was made, or use another file of it"),
            )  # fmt: skip


def check_score(score: float, what: str) -> float:
    """The score again. Raises SlipwayError for one that is not finite; `what` gave it."""
    if not math.isfinite(score):
        raise SlipwayError(
            t("{what} gave an answer a score that is not a finite number: {score}", what=what, score=score),
            t("mend the metric, or name another one in `metric`"),
        )
    return score


@contextmanager
def explained() -> Generator[None]:
    """Out of memory, a full disk and probabilities that are none become SlipwayErrors; all else passes."""
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
                raise_limit()
                if is_limited(error)
                else t("free some disk space and run the same command again: it goes on from the last checkpoint"),
            ) from error
        if _is_short(error):
            raise _memory(error) from error
        if isinstance(error, RuntimeError) and "probability tensor contains" in str(error):  # `torch.multinomial`
            raise SlipwayError(
                t("the model's probabilities are not finite numbers any more, so no answer can be drawn from them"),
                t("lower learning_rate, or raise warmup; look for examples that are empty or damaged"),
            ) from error
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
