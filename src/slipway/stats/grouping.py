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


def group_totals(values: Floats, groups: Codes) -> tuple[Floats, Floats]:
    """Sum of values and number of examples per group, each [G]."""
    import numpy as np

    return np.bincount(groups, weights=values).astype(np.float64), np.bincount(groups).astype(np.float64)


def standard_error(values: Floats, groups: Codes) -> float:
    """Cluster-robust standard error of the mean (linearised ratio, G/(G-1) correction); infinite for one group."""
    import numpy as np

    sums, sizes = group_totals(values, groups)
    if len(sums) < 2:
        return math.inf
    residuals = sums - values.mean() * sizes
    return float(np.sqrt(len(sums) / (len(sums) - 1) * np.sum(residuals**2)) / len(values))
