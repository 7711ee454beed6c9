"""Paired tests of "there is no difference", and the adjustment for many. On plain arrays; knows no metric and no rule.

Why these methods, and what was rejected: docs/design/003-statistics.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from slipway.stats.distributions import normal_quantile
from slipway.stats.grouping import NORMAL_GROUPS, group_totals, standard_error
from slipway.stats.resampling import draws_for

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from slipway.stats.grouping import Codes, Floats, Statistic

_EXACT_GROUPS = 13  # up to here all 2**G sign patterns are enumerated


@dataclass(frozen=True)
class FlipTest:
    """A paired sign-flip test of "the mean difference is zero" and the interval it does not reject.

    `low`, `high` are None when there are too few groups for any interval at this level.
    """

    p_value: float  # two-sided
    low: float | None
    high: float | None
    exact: bool


def sign_flip(values: Floats, groups: Codes, alpha: float = 0.05, seed: int = 0) -> FlipTest:
    """Paired permutation test on differences: under the null, whole groups may change sign.

    Exact (all patterns) up to 13 groups, else 4,999 random patterns with the +1 correction (Phipson and Smyth 2010).
    The interval inverts the test. A shift is not rejected exactly when enough means of flipped subsets lie on each
    side of it (Hartigan 1969), so its ends are order statistics of subset means, and it excludes zero exactly when
    p < alpha.
    """
    import numpy as np

    sums, sizes = group_totals(values, groups)
    if len(sums) > NORMAL_GROUPS:
        return _normal_test(values, groups, alpha)
    patterns = _flip_patterns(len(sums), seed)
    subset_sums = patterns @ sums.astype(np.float32)
    subset_sizes = patterns @ sizes.astype(np.float32)
    tolerance = 1e-5 * float(np.abs(sums).max(initial=0.0))  # float32 sums that are equal on paper
    patterns_all = len(patterns) + 1
    greater = (1 + np.count_nonzero(subset_sums <= tolerance)) / patterns_all
    less = (1 + np.count_nonzero(subset_sums >= -tolerance)) / patterns_all
    p_value = float(min(1.0, 2 * min(greater, less)))
    rank = math.floor(alpha / 2 * patterns_all + 1e-9)
    exact = len(sums) <= _EXACT_GROUPS
    if rank == 0:
        return FlipTest(p_value, None, None, exact)
    kept = subset_sizes > 0
    means = np.sort(subset_sums[kept] / subset_sizes[kept])
    return FlipTest(p_value, float(means[rank - 1]), float(means[len(means) - rank]), exact)


def mcnemar(wins: int, losses: int) -> float:
    """Exact two-sided McNemar test: discordant pairs are a fair coin under the null (McNemar 1947)."""
    from scipy.stats import binomtest

    return float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0


def swap_test(statistic: Statistic, groups: Codes, seed: int = 0) -> tuple[float, float]:
    """One-sided p-values (challenger greater, challenger less) when whole groups may swap the two candidates.

    Exact for the null that the two are exchangeable; 999 random swaps with the +1 correction.
    """
    import numpy as np

    n, count = len(groups), int(groups.max()) + 1
    swaps = np.random.default_rng([seed, count, 3]).integers(0, 2, (min(999, draws_for(2 * n) - 1), count))
    second = np.vstack([np.ones((1, n)), swaps[:, groups].astype(np.float64)])
    found = statistic(np.hstack([1 - second, second])) - statistic(np.hstack([second, 1 - second]))
    slack = 1e-12 * max(1.0, abs(float(found[0])))
    greater = np.count_nonzero(found >= found[0] - slack) / len(found)
    return float(greater), float(np.count_nonzero(found <= found[0] + slack) / len(found))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values (Holm 1979), in the given order."""
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted


@lru_cache(maxsize=6)
def _flip_patterns(count: int, seed: int) -> NDArray[np.float32]:
    """[patterns, count] of 0 and 1: which groups are flipped; all non-empty patterns when there are few groups."""
    import numpy as np

    if count <= _EXACT_GROUPS:
        codes = np.arange(1, 2**count)[:, None] >> np.arange(count)[None, :]
        patterns = (codes & 1).astype(np.float32)
    else:
        generator = np.random.default_rng([seed, count, 2])
        patterns = generator.integers(0, 2, (draws_for(count) - 1, count), dtype=np.int8).astype(np.float32)
    patterns.setflags(write=False)
    return patterns


def _normal_test(values: Floats, groups: Codes, alpha: float) -> FlipTest:
    mean, error = float(values.mean()), standard_error(values, groups)
    if error == 0:
        return FlipTest(1.0 if mean == 0 else 0.0, mean, mean, False)
    reach = normal_quantile(1 - alpha / 2) * error
    return FlipTest(math.erfc(abs(mean / error) / math.sqrt(2)), mean - reach, mean + reach, False)
