"""Has a mean become larger than it was, asked after every new value, for as long as one likes. On plain arrays.

An e-detector (Shin, Ramdas and Rinaldo 2022, "E-detectors: a nonparametric framework for sequential change detection")
of the Shiryaev-Roberts form, whose factors are bets against the mean of nonnegative values (Waudby-Smith and Ramdas
2024, "Estimating means of bounded random variables by betting"). What it must exceed is an upper bound that the
reference's own sample gives, so the comparison is one of two samples (compare Podkopaev and Ramdas 2023). Here time
takes the place of a count: the bound on false alarms is one for a week, however much or little is served in it.

Why it holds: let the values y be >= 0 and their mean, given all before, at most q while nothing changed. With f in [0,
1] each factor e = 1 + f (y / q - 1) is >= 0 and has a mean of at most 1. M becomes (M + g) e, where g is the share of a
week that went by, known before y is. So M less the weeks gone by is a supermartingale, and P(M reaches c within a week)
<= 1 / c from M = 0, while from any start the mean time between false alarms is at least c weeks. Neither independence
nor a distribution is asked for; the mean *given the past* is: values that hang together (one user's questions) must be
one value, and a bound must hold at every hour of the week. `loop.monitor` sees to both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from slipway.stats.means import mean_bounds

if TYPE_CHECKING:
    from slipway.stats.grouping import Floats

BETS = (0.02, 0.05, 0.12, 0.3, 0.7)
"""Shares of the largest bet, mixed evenly: small ones show small changes of many values, large ones large changes
soon."""
WEEK = 7 * 86400.0  # seconds
ROOM = 2.0  # evidence is kept at most so many times the limit, so that it goes back soon when the change is over


def advanced(evidence: Floats, gap: float, values: Floats, bounds: Floats, limit: float) -> Floats:
    """Evidence [C, len(BETS)] after one more value of each of C categories.

    `gap`: seconds since the value before. `values`: [C], >= 0. `bounds`: [C], > 0, what each mean is at most while
    nothing changed. The mean of the result is compared with `limit`.
    """
    import numpy as np

    factors = 1.0 + np.outer(values / bounds - 1.0, np.array(BETS))
    return np.minimum((evidence + min(max(gap, 0.0) / WEEK, 1.0)) * factors, ROOM * limit * evidence.size)


def start(categories: int = 1) -> Floats:
    """No evidence, [C, len(BETS)]."""
    import numpy as np

    return np.zeros((categories, len(BETS)))


def mean_at_most(values: Sequence[float] | Floats, tail: float) -> float:
    """An upper bound, with error `tail`, of the mean of independent values in [0, 1] (Gaffke's bound, see `means`)."""
    import numpy as np

    found = np.asarray(values, dtype=np.float64)
    if not len(found):
        return 1.0
    return mean_bounds(found, np.arange(len(found), dtype=np.intp), (0.0, 1.0), tail)[1]


def mean_rank_at_most(n: int, tail: float) -> float:
    """An upper bound, with error `tail`, of the mean rank in [0, 1] of a new value among `n` independent ones of its
    kind.

    The ranks that the `n` themselves have in the true distribution are uniform, which is sub-Gaussian with variance
    1/12: whatever the distribution, the mean lies above 1/2 by s with a probability of at most exp(-6 n s^2).
    """
    return min(1.0, 0.5 + math.sqrt(math.log(1.0 / tail) / (6.0 * n))) if n else 1.0


def rank(ordered: Floats, value: float) -> float:
    """The share of sorted values [n] below `value`, equal ones by half."""
    import numpy as np

    low, high = np.searchsorted(ordered, [value], "left")[0], np.searchsorted(ordered, [value], "right")[0]
    return float(low + high) / (2 * len(ordered))


def stability(before: Sequence[float], now: Sequence[float]) -> float:
    """Population stability index of two shares over the same categories (Siddiqi 2006): 0 for equal ones, above 0.25 a
    large shift by the usual rule of thumb. Counts, [C]; half an item is added to each, so that none is empty.
    """
    left = [count + 0.5 for count in before]
    right = [count + 0.5 for count in now]
    a, b = sum(left), sum(right)
    return sum((y / b - x / a) * math.log((y / b) / (x / a)) for x, y in zip(left, right, strict=True))
