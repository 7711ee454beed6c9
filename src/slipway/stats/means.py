"""Confidence bounds and one-sided p-values of a mean over groups, by Gaffke's bound. On plain arrays; random nowhere.

Gaffke 2005, "Three test statistics for a nonparametric one-sided hypothesis on the mean of a nonnegative variable";
Learned-Miller and Thomas 2020, "A new confidence interval for the mean of a bounded random variable". Whole groups are
the units, and the mean is the mean over examples. Why, and what was rejected: docs/design/003-statistics.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from slipway.stats.distributions import normal_quantile
from slipway.stats.gaffke import tail_below_zero
from slipway.stats.grouping import group_totals

if TYPE_CHECKING:
    from slipway.stats.grouping import Codes, Floats


@dataclass(frozen=True)
class Totals:
    """Groups with equal totals taken together: `sums` and `sizes` of a group, and how many `counts` there are, [J].

    Where groups are not quite independent, each counts as a part of one, so that `counts` are no whole numbers.
    """

    sums: Floats
    sizes: Floats
    counts: Floats

    @property
    def mean(self) -> float:
        """Over examples."""
        return float(self.counts @ self.sums) / float(self.counts @ self.sizes)

    @property
    def groups(self) -> float:
        """How many there are."""
        return float(self.counts.sum())

    @property
    def typical(self) -> float:
        """Examples of the group that an example is in, on average: so large is one that was not seen taken to be."""
        return float(self.counts @ self.sizes**2) / float(self.counts @ self.sizes)

    def mirrored(self) -> Totals:
        """The same of the values times -1."""
        return Totals(-self.sums, self.sizes, self.counts)


def totals(values: Floats, groups: Codes, counted: float = 1.0, weights: Floats | None = None) -> Totals:
    """Values [n] by group; equal groups are counted, each as the part `counted` of one, not repeated.

    `weights` [n]: as how many values each counts.
    """
    found = merged(*group_totals(values, groups, weights))
    return found if counted == 1 else replace(found, counts=found.counts * counted)


def merged(sums: Floats, sizes: Floats) -> Totals:
    """Sums and sizes of groups, each [G]; equal groups are counted, not repeated."""
    import numpy as np

    if (sizes == sizes[0]).all():
        different, counts = np.unique(sums, return_counts=True)
        return Totals(different, np.full(len(different), sizes[0]), counts.astype(np.float64))
    pairs, counts = np.unique(np.stack([sums, sizes]), axis=1, return_counts=True)
    return Totals(pairs[0], pairs[1], counts.astype(np.float64))


def ends(values: Floats, support: tuple[float | None, float | None], stretch: float = 2.0) -> tuple[float, float]:
    """The range a value can have. An end not known lies `stretch` times as far from zero as the largest value seen."""
    import numpy as np

    far = stretch * float(np.abs(values).max(initial=0.0))
    return -far if support[0] is None else support[0], far if support[1] is None else support[1]


def mean_bounds(
    values: Floats,
    groups: Codes,
    support: tuple[float | None, float | None] = (None, None),
    tail: float = 0.025,
    stretch: float = 2.0,
    counted: float = 1.0,
    weights: Floats | None = None,
) -> tuple[float, float]:
    """Lower and upper confidence bound of the mean, each with one-sided error `tail`.

    `support`: the range that values can have; see `ends` for None and `stretch`. `counted` and `weights`: see
    `totals`.
    """
    found, (low, high) = totals(values, groups, counted, weights), ends(values, support, stretch)
    return lower_bound(found, low, tail), -lower_bound(found.mirrored(), -high, tail)


def lower_bound(found: Totals, end: float, tail: float) -> float:
    """The lower bound of the mean of values not below `end`, with error `tail` (at most 0.5)."""
    valued = found.sizes > 0  # a group of an estimator may have no size (`estimators`)
    low, high = end, float((found.sums[valued] / found.sizes[valued]).max())
    if high <= low:
        return end
    wanted = normal_quantile(tail)
    mean = found.mean
    deviations = found.sums - mean * found.sizes
    error = math.sqrt(float(found.counts @ deviations**2)) / float(found.counts @ found.sizes)
    return min(mean, _root(lambda at: _deviate(tail_at(found, end, at)) - wanted, low, high, mean + wanted * error))


def tail_at(found: Totals, end: float, at: float) -> float:
    """One-sided p-value of "the mean is at most `at`": the smallest error at which the lower bound exceeds it."""
    import numpy as np

    coefficients = np.append(found.sums - at * found.sizes, found.typical * (end - at))
    return tail_below_zero(coefficients, np.append(found.counts, 1.0))


def _deviate(probability: float) -> float:
    return normal_quantile(probability) if 0 < probability < 1 else math.copysign(math.inf, probability - 0.5)


def _root(function: Callable[[float], float], low: float, high: float, start: float) -> float:
    """Where a rising function is zero: secants, kept in the bracket; the lower end of it when it stops."""
    precision = 1e-10 * (high - low)
    here, before = start, None
    for _ in range(100):
        if not low < here < high:
            here, before = (low + high) / 2, None
        value = function(here)
        low, high = (here, high) if value <= 0 else (low, here)
        if abs(value) < 1e-9 or high - low < precision:
            break
        if before is not None and math.isfinite(value) and value != before[1]:
            here, before = here - value * (here - before[0]) / (value - before[1]), (here, value)
        else:
            before = (here, value) if math.isfinite(value) else None
            here = here - precision * 1e6 * math.copysign(1.0, value) if before else (low + high) / 2
    return here
