"""Has a mean become larger than it was, asked after every new value, for as long as one likes. On plain arrays.

An e-detector (Shin, Ramdas and Rinaldo 2022, "E-detectors: a nonparametric framework for sequential change detection")
of the Shiryaev-Roberts form, whose factors are bets against the mean of nonnegative values (Waudby-Smith and Ramdas
2024, "Estimating means of bounded random variables by betting"). Here time takes the place of a count: the bound on
false alarms is one for a week, however much or little is served in it.

Why it holds where the mean q is known: let the values y be >= 0 and their mean, given all before, at most q while
nothing changed. With f in [0, 1] each factor e = 1 + f (y / q - 1) is >= 0 and has a mean of at most 1. M becomes
(M + g) e, where g is the share of a week that went by, known before y is. So M less the weeks gone by is a
supermartingale, and P(M reaches c within a week) <= 1 / c from M = 0, while from any start the mean time between false
alarms is at least c weeks. Neither independence nor a distribution is asked for; the mean *given the past* is: values
that hang together (one user's questions) must be one value, and a bound must hold at every hour of the week.
`loop.monitor` sees to both.

Two samples: q is known from a reference only, by upper bounds q_1 < ... < q_n with errors p_1 > ... > p_n. M is kept
for each, and the evidence is the least of w_j M(q_j). Let q_J be the first bound that holds: the evidence is at most
w_J M(q), and P(J > j) <= p_j. Where weights grow with j and w_1 (1 - p_1) + ... + w_(n-1) (p_(n-2) - p_(n-1)) + w_n
p_(n-1) = 1, the mean of w_J is at most 1: the reference and what is new have one error together (a p-value made an
e-value, Vovk and Wang 2021, "E-values: calibration, combination and applications"), and p_n is left for J > n. So few
new values are compared with nearly the reference's mean; only many need a bound far above it.

A margin is no part of what is proved to have changed: it would make each change smaller by as much. It is asked apart,
at a limit of its own, whether the mean lies above q_1 and the margin; both must be shown.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slipway.stats.means import lower_bound, totals

if TYPE_CHECKING:
    from slipway.stats.grouping import Codes, Floats

BETS = (0.02, 0.05, 0.12, 0.3, 0.7)
"""Shares of the largest bet, mixed evenly: small ones show small changes of many values, large ones large changes
soon."""
WEEK = 7 * 86400.0  # seconds
SMALL = 5.0
"""Evidence that a change is larger than the margin: one as large as it is told in at most one of so many weeks."""
SWING_DRAWS = 499
ROOM = 2.0  # evidence is kept at most so many times the limit, so that it goes back soon when the change is over


@dataclass(frozen=True)
class Levels:
    """How one share of false alarms is spent on a reference's error and on what is new. `tails` [n]: errors of the
    reference's upper bounds, falling; none for a bound that is known. `weights`: of evidence at each of them, and at
    the first with a margin added. `limit`: of the least of all.
    """

    tails: tuple[float, ...]
    weights: tuple[float, ...]
    limit: float


def levels(share: float, n: int = 7, left: float = 1 / 8) -> Levels:
    """For a false alarm in at most `share` of the weeks. The part `left` of it is for a reference whose mean no bound
    covers. Errors fall by one factor, weights grow by it.
    """
    step, limit = (share * left) ** (1.0 / n), 1.0 / (share * (1.0 - left))
    weights = [step**-j / ((n - 1) * (1.0 - step) + 1.0) for j in range(n)]
    return Levels(tuple(step ** (j + 1) for j in range(n)), (*weights, limit / SMALL), limit)


def known(share: float) -> Levels:
    """The same where the bound is known."""
    return Levels((), (1.0,), 1.0 / share)


def advanced(evidence: Floats, gap: float, values: Floats, bounds: Floats, most: Floats) -> Floats:
    """Evidence [C, n, len(BETS)] after one more value of each of C categories.

    `gap`: seconds since the value before. `values`: [C], >= 0. `bounds`: [C, n], > 0, what each mean is at most while
    nothing changed, at each level of the reference's error. `most`: [n], see `at_most`.
    """
    import numpy as np

    factors = 1.0 + (values[:, None] / bounds - 1.0)[..., None] * np.array(BETS)
    return np.minimum((evidence + min(max(gap, 0.0) / WEEK, 1.0)) * factors, most[:, None])


def at_most(found: Levels, categories: int) -> Floats:
    """[n]: evidence is kept below this, so that it goes back soon when the change is over."""
    import numpy as np

    return ROOM * found.limit * categories * len(BETS) / np.array(found.weights)


def sizes(evidence: Floats, found: Levels) -> Floats:
    """Of each category, [C]. Their mean is compared with the limit."""
    import numpy as np

    return np.min(evidence.mean(axis=2) * np.array(found.weights), axis=1)


def deciding(evidence: Floats, found: Levels) -> Codes:
    """Of each category, [C]: the level whose bound stands most against a change."""
    import numpy as np

    return np.argmin(evidence.mean(axis=2) * np.array(found.weights), axis=1)


def start(categories: int = 1, n: int = 1) -> Floats:
    """No evidence, [C, n, len(BETS)]."""
    import numpy as np

    return np.zeros((categories, n, len(BETS)))


def mean_at_most(values: Sequence[float] | Floats, tail: float) -> float:
    """An upper bound, with error `tail`, of the mean of independent values in [0, 1] (Gaffke's bound, see `means`)."""
    import numpy as np

    found = np.asarray(values, dtype=np.float64)
    if not len(found):
        return 1.0
    units = totals(found, np.arange(len(found), dtype=np.intp))
    return -lower_bound(units.mirrored(), -1.0, tail)


def mean_rank_at_most(n: int, tail: float) -> float:
    """An upper bound, with error `tail`, of the mean rank in [0, 1] of a new value among `n` independent ones of its
    kind.

    The ranks that the `n` themselves have in the true distribution are uniform, which is sub-Gaussian with variance
    1/12: whatever the distribution, the mean lies above 1/2 by s with a probability of at most exp(-6 n s^2).
    """
    return min(1.0, 0.5 + math.sqrt(math.log(1.0 / tail) / (6.0 * n))) if n else 1.0


def rank(ordered: Sequence[float], value: float) -> float:
    """The share of sorted values [n] below `value`, equal ones by half."""
    return (bisect_left(ordered, value) + bisect_right(ordered, value)) / (2 * len(ordered))


def by_chance(values: Floats, blocks: Codes, within: Codes, draws: int) -> bool:
    """Whether the means of blocks differ no more than by chance: one of so many permutations of the values reaches
    their sum of squares between blocks. Where values are exchangeable within each of `within`, this says no with a
    probability of at most 1 / (draws + 1), whatever their distribution. All [n]; ends at the first that reaches it
    (Besag and Clifford 1991, "Sequential Monte Carlo p-values").
    """
    import numpy as np

    rng, place = np.random.default_rng(0), np.argsort(within, kind="stable")
    counts, shuffled = np.maximum(1, np.bincount(blocks)), np.empty(len(values))

    def between(of: Floats) -> float:
        return float((np.bincount(blocks, of) ** 2 / counts).sum())

    least = between(values) * (1.0 - 1e-9)
    for _ in range(draws):
        shuffled[place] = values[np.lexsort((rng.random(len(values)), within))]
        if between(shuffled) >= least:
            return True
    return False


def swing(residuals: Floats, blocks: Codes, within: Codes) -> float:
    """By how much the means of blocks of time differ beyond what chance explains: a standard deviation.

    `residuals`: [n], of mean 0 in each of `within`, which blocks divide. The moment estimate of DerSimonian and Laird
    (1986); 0 where chance explains it.
    """
    import numpy as np

    counts = np.bincount(blocks)
    sums, squares = np.bincount(blocks, residuals)[counts > 0], float(residuals @ residuals)
    counts = counts[counts > 0]
    between, free = float((sums**2 / counts).sum()), len(counts) - 1
    if free < 1 or len(residuals) - len(counts) < 1 or by_chance(residuals, blocks, within, SWING_DRAWS):
        return 0.0
    noise = max(0.0, squares - between) / (len(residuals) - len(counts))
    return math.sqrt(max(0.0, between - noise * free) / (counts.sum() - float((counts**2).sum()) / counts.sum()))


def stability(before: Sequence[float], now: Sequence[float]) -> float:
    """Population stability index of two shares over the same categories (Siddiqi 2006): 0 for equal ones, above 0.25 a
    large shift by the usual rule of thumb. Counts, [C]; half an item is added to each, so that none is empty.
    """
    left = [count + 0.5 for count in before]
    right = [count + 0.5 for count in now]
    a, b = sum(left), sum(right)
    return sum((y / b - x / a) * math.log((y / b) / (x / a)) for x, y in zip(left, right, strict=True))
