"""Confidence bounds of means and quantiles, on plain arrays. Knows nothing of metrics, scores or rules.

Why these methods, and what was rejected: docs/design/003-statistics.md.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from slipway.stats.distributions import normal_quantile, t_quantile
from slipway.stats.grouping import NORMAL_GROUPS, group_totals, standard_error
from slipway.stats.resampling import draws_for, exponential_weights

if TYPE_CHECKING:
    from slipway.stats.grouping import Codes, Floats, Statistic


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


def t_bounds(values: Floats, groups: Codes, tail: float) -> tuple[float, float]:
    """Bounds of the mean by Student's t with G - 1 degrees of freedom; needs two groups."""
    count = int(groups.max()) + 1
    reach = t_quantile(1 - tail, count - 1) * standard_error(values, groups)
    mean = float(values.mean())
    return mean - reach, mean + reach


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


def _effective_size(inside: Floats, groups: Codes, q: float) -> int:
    count, n = int(groups.max()) + 1, len(inside)
    if count == n:
        return n
    error = standard_error(inside, groups)
    if error == 0 or not math.isfinite(error):
        return count
    return max(1, min(n, math.floor(q * (1 - q) / error**2)))


def _clip(value: float, support: tuple[float | None, float | None]) -> float:
    value = value if support[0] is None else max(support[0], value)
    return value if support[1] is None else min(support[1], value)
