"""What a confidence is worth: the temperature that makes it a share, the threshold under which to abstain."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LEAST = 10  # examples to choose a temperature or a threshold by
_BINS = 10


def temperature(confident: Callable[[float], tuple[Floats, NDArray[np.bool_]]], low: float, high: float) -> float:
    """The temperature between `low` and `high` at which confidences fit what was right (Guo et al. 2017).

    `confident`: temperature -> (confidence [n], whether the answer was right [n]). The log loss of "it is right" is
    minimised, against the smoothed targets of Platt (1999), so that examples that are all right do not make it certain.
    """
    import numpy as np

    def loss(at: float) -> float:
        confidence, right = confident(at)
        good = int(right.sum())
        target = np.where(right, (good + 1) / (good + 2), 1 / (len(right) - good + 2))
        sure = np.clip(confidence, 1e-7, 1 - 1e-7)
        return float(-(target * np.log(sure) + (1 - target) * np.log(1 - sure)).mean())

    steps = np.geomspace(low, high, 25)
    for _ in range(3):  # what is right may change with the temperature, so the loss has jumps: it is looked at in steps
        best = int(np.argmin([loss(float(step)) for step in steps]))
        steps = np.geomspace(steps[max(0, best - 1)], steps[min(len(steps) - 1, best + 1)], 13)
    return float(f"{min(map(float, steps), key=loss):.6g}")


def threshold(confidence: Floats, right: NDArray[np.bool_], risk: float | None, coverage: float | None) -> float:
    """The lowest confidence that is answered: so that at most the share `risk` of what is answered is wrong, or at
    least the share `coverage` is answered. Where no confidence keeps the risk, one above all of them.
    """
    import numpy as np

    order = np.argsort(-confidence, kind="stable")
    sure, good = confidence[order], right[order]
    ends = np.append(sure[1:] < sure[:-1], True)  # equal confidences are answered together, or not at all
    answered = np.arange(1, len(sure) + 1)
    if risk is not None:
        kept = np.flatnonzero(ends & (np.cumsum(~good) <= risk * answered + 1e-9))
    else:
        kept = np.flatnonzero(ends & (answered >= (coverage or 0.0) * len(sure) - 1e-9))[:1]
    if not len(kept):
        return math.nextafter(float(sure[0]), 2.0)
    last = int(kept[-1])
    return 0.0 if last + 1 == len(sure) else float(sure[last] + sure[last + 1]) / 2


def calibration_error(confidence: Floats, right: NDArray[np.bool_]) -> float:
    """Expected calibration error over ten bins of equal width (Naeini et al. 2015), 0 to 1."""
    import numpy as np

    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    gaps = np.bincount(bins, weights=confidence - right, minlength=_BINS)
    return float(np.abs(gaps).sum() / len(confidence))
