"""Groups of examples: the independent units that everything here counts.

Everywhere in this package: `values` is [n]; `groups` is [n] integer codes 0..G-1, and whole groups are the independent
units (an example without a group is a group of one); a mean is the mean over examples, so a group weighs as much as it
has examples. `tail` is the error allowed on one side. Nothing is random.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]
    Codes = NDArray[np.intp]
    Statistic = Callable[["NDArray[np.float64]"], "NDArray[np.float64]"]  # weights [draws, n] -> [draws]


def group_totals(values: Floats, groups: Codes, weights: Floats | None = None) -> tuple[Floats, Floats]:
    """Sum of values and number of examples per group, each [G]. `weights` [n]: as how many examples each counts."""
    import numpy as np

    counts = np.ones(len(values)) if weights is None else weights
    sums, sizes = (np.bincount(groups, weights=one) for one in (values * counts, counts))
    return sums.astype(np.float64), sizes.astype(np.float64)


def standard_error(values: Floats, groups: Codes, weights: Floats | None = None) -> float:
    """Cluster-robust standard error of the mean (linearised ratio, G/(G-1) correction); infinite for one group."""
    import numpy as np

    sums, sizes = group_totals(values, groups, weights)
    if len(sums) < 2:
        return math.inf
    residuals = sums - sums.sum() / sizes.sum() * sizes
    return float(np.sqrt(len(sums) / (len(sums) - 1) * np.sum(residuals**2)) / sizes.sum())
