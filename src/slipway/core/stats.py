"""The statistics of the judge, on plain arrays. Knows nothing of metrics, scores or rules; does no I/O.

Everywhere: `values` is [n]; `groups` is [n] integer codes 0..G-1, and whole groups are the independent units (an
example without a group is a group of one); a mean is the mean over examples, so a group weighs as much as it has
examples. `tail` is the error allowed on one side. Results are deterministic for a `seed`.
Why these methods, and what was rejected: docs/design/003-statistics.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.intp]
    Statistic = Callable[["NDArray[np.float64]"], "NDArray[np.float64]"]  # weights [draws, n] -> [draws]

_CELLS = 8_000_000  # of one matrix of random draws: 32 MB in float32
_EXACT_GROUPS = 13  # up to here all 2**G sign patterns are enumerated
NORMAL_GROUPS = 5_000  # above, the normal approximation is as good as any number of draws
_POWER = 0.8


@dataclass(frozen=True)
class FlipTest:
    """A paired sign-flip test of "the mean difference is zero" and the interval it does not reject.

    `low`, `high` are None when there are too few groups for any interval at this level.
    """

    p_value: float  # two-sided
    low: float | None
    high: float | None
    exact: bool


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


def draws_for(count: int) -> int:
    """How many random draws are made for `count` groups: 5,000, fewer when the matrix would outgrow memory."""
    return max(1_000, min(5_000, _CELLS // max(1, count)))


@lru_cache(maxsize=6)
def exponential_weights(draws: int, count: int, seed: int) -> NDArray[np.float32]:
    """[draws, count] independent exponential weights: the Bayesian bootstrap (Rubin 1981), before normalising."""
    import numpy as np

    weights = np.random.default_rng([seed, count, 1]).standard_exponential((draws, count), dtype=np.float32)
    weights.setflags(write=False)
    return weights


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


def mean_bounds(
    values: Floats,
    groups: Codes,
    support: tuple[float | None, float | None] = (None, None),
    tail: float = 0.025,
    seed: int = 0,
) -> tuple[float, float]:
    """Lower and upper confidence bound of the mean, each with one-sided error `tail`.

    Gaffke's bound (Gaffke 2005; Learned-Miller and Thomas 2020) on whole groups: the Bayesian bootstrap with one more
    group that sits at the end of the `support`, at the lower end for the lower bound and at the upper for the upper.
    For right/wrong values it is Clopper and Pearson's exact bound. Where the support is unknown (None) the most
    extreme group mean seen stands in for its end, which is an approximation.
    """
    import numpy as np

    sums, sizes = group_totals(values, groups)
    count, mean = len(sums), float(values.mean())
    if count > NORMAL_GROUPS:
        reach = normal_quantile(1 - tail) * standard_error(values, groups)
        return _clip(mean - reach, support), _clip(mean + reach, support)
    means = sums / sizes
    ends = (
        float(means.min()) if support[0] is None else support[0],
        float(means.max()) if support[1] is None else support[1],
    )
    weights = exponential_weights(draws_for(count + 1), count + 1, seed)
    typical = float(sizes.mean())
    inside, extra = weights[:, :-1], weights[:, -1]
    total = inside @ sizes.astype(np.float32) + extra * typical
    share = inside @ sums.astype(np.float32)
    low = float(np.quantile((share + extra * (typical * ends[0])) / total, tail))
    high = float(np.quantile((share + extra * (typical * ends[1])) / total, 1 - tail))
    return min(low, mean), max(high, mean)


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


def quantile(values: Floats, q: float) -> float:
    """The smallest value that at least a fraction `q` of the values do not exceed (no interpolation)."""
    import numpy as np

    return float(np.quantile(values, q, method="inverted_cdf"))


def quantile_bounds(values: Floats, groups: Codes, q: float, tail: float = 0.025) -> tuple[float | None, float | None]:
    """Distribution-free bounds of a quantile, each with one-sided error `tail`; None where the data give none.

    Order statistics by the binomial (David and Nagaraja 2003, 7.1). When examples share groups, the number of
    independent examples is reduced by the design effect of "not above the quantile" (Woodruff 1952). A p95 has an
    upper bound of 95% confidence only from 59 independent examples on.
    """
    import numpy as np
    from scipy.stats import binom

    ordered = np.sort(values)
    n = _effective_size((values <= quantile(values, q)).astype(np.float64), groups, q)
    low_rank = int(binom.ppf(tail, n, q))  # P(B <= rank - 1) <= tail
    if binom.cdf(low_rank - 1, n, q) > tail:
        low_rank -= 1
    high_rank = int(binom.ppf(1 - tail, n, q)) + 1  # P(B <= rank - 1) >= 1 - tail
    scale = len(ordered) / n
    low = None if low_rank < 1 else float(ordered[max(0, math.ceil(low_rank * scale - 1e-9) - 1)])
    high = None if high_rank > n else float(ordered[min(len(ordered), math.ceil(high_rank * scale - 1e-9)) - 1])
    return low, high


def quantile_needs(q: float, tail: float) -> int:
    """Independent examples from which on a quantile has an upper bound with one-sided error `tail`."""
    return math.ceil(math.log(tail) / math.log(q))


def weighted_quantile(values: Floats, q: float) -> Statistic:
    """A function of weights [draws, n] that gives the weighted quantile of `values`, [draws]."""
    import numpy as np

    order = np.argsort(values, kind="stable")
    ordered = values[order]

    def statistic(weights: Floats) -> Floats:
        running = np.cumsum(weights[:, order], axis=1)
        reached = running >= (q * running[:, -1:] - 1e-9 * running[:, -1:])
        return ordered[np.argmax(reached, axis=1)]

    return statistic


def bootstrap_difference(statistic: Statistic, groups: Codes, tail: float, seed: int = 0) -> tuple[float, float, float]:
    """(low, high, standard error) of challenger minus champion, by a paired Bayesian bootstrap over groups.

    `statistic` takes weights of the champion's n values followed by the challenger's n. Percentile bounds.
    """
    import numpy as np

    n, count = len(groups), int(groups.max()) + 1
    weights = exponential_weights(min(1_000, draws_for(2 * n)), count, seed)[:, groups].astype(np.float64)
    none = np.zeros_like(weights)
    found = statistic(np.hstack([none, weights])) - statistic(np.hstack([weights, none]))
    low, high = np.quantile(found, [tail, 1 - tail])
    return float(low), float(high), float(found.std(ddof=1))


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


def detectable(error: float, groups: int, alpha: float, same: float = 0.0, step: float = 0.0) -> float | None:
    """Minimum detectable effect: a two-sided test at `alpha` finds it with a power of 80%.

    `error`: standard error of the difference in the data at hand. An effect adds to it: `same` is the share of groups
    whose difference is zero, and a gain that comes from those comes as wins of 1 (0 for values without bounds).
    `step`: the distance between two results of an exact test of right and wrong (wins minus losses go in steps of two
    examples). None when there are too few groups for any effect to become significant. Never above 1 when `same` or
    `step` is given.
    """
    if groups < 2 or 2.0 ** (1 - groups) > alpha:
        return None
    factor = _t_quantile(1 - alpha / 2, groups - 1) + _t_quantile(_POWER, groups - 1)
    added = factor**2 * same / groups
    found = (added + math.sqrt(added**2 + 4 * (factor * error) ** 2)) / 2 + step
    return min(1.0, found) if same or step else found


def groups_needed(error: float, groups: int, distance: float, tail: float, pull: float = 0.0) -> int | None:
    """Groups at which an estimate this far from its bound, this scattered, is decided with a power of 80%.

    `pull` is how far the additional group of `mean_bounds` lies from the estimate; it draws the bound by its weight,
    and scatters it. None when the distance is zero. At least one more than there are.
    """
    if distance <= 0 or not math.isfinite(error):
        return None
    factor = normal_quantile(1 - tail) + normal_quantile(_POWER)
    scatter = (factor * error) ** 2 * groups

    def reach(count: float) -> float:
        return math.sqrt(scatter / count + (factor * pull / count) ** 2) + pull / count

    low, high = float(groups), float(groups + 1)
    while reach(high) > distance:
        low, high = high, 2 * high
    while high - low > 1e-3 * high and high - low > 0.5:
        middle = (low + high) / 2
        low, high = (middle, high) if reach(middle) > distance else (low, middle)
    return max(groups + 1, math.ceil(high))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values (Holm 1979), in the given order."""
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted


def t_bounds(values: Floats, groups: Codes, tail: float) -> tuple[float, float]:
    """Bounds of the mean by Student's t with G - 1 degrees of freedom; needs two groups."""
    count = int(groups.max()) + 1
    reach = _t_quantile(1 - tail, count - 1) * standard_error(values, groups)
    mean = float(values.mean())
    return mean - reach, mean + reach


def _effective_size(inside: Floats, groups: Codes, q: float) -> int:
    count, n = int(groups.max()) + 1, len(inside)
    if count == n:
        return n
    error = standard_error(inside, groups)
    if error == 0 or not math.isfinite(error):
        return count
    return max(1, min(n, math.floor(q * (1 - q) / error**2)))


def _normal_test(values: Floats, groups: Codes, alpha: float) -> FlipTest:
    mean, error = float(values.mean()), standard_error(values, groups)
    if error == 0:
        return FlipTest(1.0 if mean == 0 else 0.0, mean, mean, False)
    reach = normal_quantile(1 - alpha / 2) * error
    return FlipTest(math.erfc(abs(mean / error) / math.sqrt(2)), mean - reach, mean + reach, False)


def normal_quantile(level: float) -> float:
    """Of the standard normal distribution."""
    from statistics import NormalDist

    return NormalDist().inv_cdf(level)


def _t_quantile(level: float, freedom: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, level))


def _clip(value: float, support: tuple[float | None, float | None]) -> float:
    value = value if support[0] is None else max(support[0], value)
    return value if support[1] is None else min(support[1], value)
