"""The expected calibration error as a mean over examples: how far confidences are from the share that is right.

A wrong answer's gap is its confidence, a right one's is its confidence less 1, so the gap tells both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from slipway.stats.grouping import Floats

BINS = 10  # of equal width


def gap(confidence: float, right: bool) -> float:
    """Confidence less what was right, -1 to 1."""
    return confidence - float(right)


def contributions(gaps: Floats) -> Floats:
    """What each example adds, [n]: its gap, in the direction of its bin. Their mean is the error over ten bins
    (Naeini et al. 2015; Guo et al. 2017), and their scatter is its scatter, to first order.

    Chance alone makes it larger than 0: with few examples in a bin it is too large, never too small. A lower bound has
    to allow for that (`directions`).
    """
    import numpy as np

    bins = _bins(gaps)
    return gaps * np.sign(np.bincount(bins, weights=gaps, minlength=BINS))[bins]


def directions(gaps: Floats) -> int:
    """How many ways there are to give each bin a direction. For any of them the mean of the gaps is at most the error,
    so the largest of their lower bounds is one, where each has its part of the error probability (Bonferroni).
    """
    return 1 << len(set(_bins(gaps).tolist()))


def _bins(gaps: Floats) -> NDArray[np.intp]:
    import numpy as np

    confidence = np.where(gaps < 0, gaps + 1, gaps)
    return np.minimum((confidence * BINS).astype(np.intp), BINS - 1)
