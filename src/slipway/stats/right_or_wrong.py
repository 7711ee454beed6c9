"""The exact paired test of right-or-wrong answers: how much more often one of two candidates is right. Random nowhere.

Of n independent examples `better` became right and `worse` became wrong; the others did not change. Only for a metric
that can be nothing but right or wrong, one answer an example, and examples that share no group: then the three counts
are multinomial, and everything here is proved. Method: docs/design/003-statistics.md.

Samples are ordered by the score statistic of the difference that is to be refuted (Tango 1998, "Equivalence test and
confidence interval for the difference in proportions for the paired-sample design"). The p-value is the largest
probability, over all shares of answers that change, of a sample that is ordered at least as high as the one seen
(Suissa and Shuster 1991; Sidik 2003, "Exact unconditional tests for testing non-inferiority in matched-pairs design").
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slipway.stats.distributions import normal_quantile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from slipway.stats.grouping import Floats

    Counts = NDArray[np.float64]

_TIE = 1e-9  # statistics that differ by less are equal
_PRECISE = 1e-6  # of a bound
_GRID = 1.0001  # what the grid of shares may miss of the largest probability: below 2e-5 in all that was tried
_REACH = 9.0  # standard deviations; what lies beyond has a probability below 1e-18


@dataclass(frozen=True)
class Turned:
    """What became of n right-or-wrong answers; the difference is (better - worse) / n."""

    better: int
    worse: int
    n: int

    def mirrored(self) -> Turned:
        """The same with the two candidates exchanged."""
        return Turned(self.worse, self.better, self.n)


def tail_at(found: Turned, at: float) -> float:
    """One-sided p-value of "the difference is at most `at`": exact, and never too small whatever share changes."""
    if at >= 1:
        return 1.0
    if at < -1:
        return 0.0
    return _largest(found.n, _enough(found, at), at)


def lower_bound(found: Turned, tail: float, claim: float = 0.0) -> float:
    """The lower bound of the difference with error `tail` (at most 0.5): what is below it is refuted.

    It exceeds `claim` exactly when the p-value there is at most `tail`.
    """
    low, high = -1.0, (found.better - found.worse) / found.n
    if low < claim < 1:
        refuted = tail_at(found, claim) <= tail
        low, high = (claim + _TIE, max(claim + _TIE, high)) if refuted else (low, min(claim, high))
    spread = math.sqrt(found.better + found.worse + 1 - found.n * high**2 if high < 1 else 1.0) / found.n
    step = -normal_quantile(tail) * max(spread, 1 / found.n) / 8
    while high - step > low and tail_at(found, high - step) > tail:  # from above: as far as nothing is refuted
        high, step = high - step, 1.3 * step
    low = max(low, high - step)
    while high - low > _PRECISE:
        middle = (low + high) / 2
        low, high = (middle, high) if tail_at(found, middle) <= tail else (low, middle)
    return low


def score(better: Counts, worse: Counts, n: float, at: float) -> Floats:
    """The score statistic of "the difference is at most `at`": about standard normal where it is exactly that.

    The share that became wrong is the likeliest one for which the difference is `at`. Counts may be fractions.
    """
    import numpy as np

    linear = (2 * n - better + worse) * at - better - worse
    root = np.sqrt(np.maximum(linear**2 + 8 * n * worse * at * (1 - at), 0.0))
    share = np.maximum((root - linear) / (4 * n), max(0.0, -at))
    away = better - worse - n * at
    variance = np.maximum(n * (2 * share + at * (1 - at)), 1e-12)
    return np.where(np.abs(away) < _TIE, 0.0, away / np.sqrt(variance))


def _enough(found: Turned, at: float) -> Counts:
    """For each count of answers that became wrong, [n + 1], how many must become right to be ordered as high as this.

    n + 1 where no number is enough. Fewer wrong ones never need more right ones: so the region is one in which a better
    sample always lies, too, and the worst case of "at most `at`" is where the difference is exactly that.
    """
    import numpy as np

    n, worse = found.n, np.arange(found.n + 1.0)
    seen = float(score(np.array(float(found.better)), np.array(float(found.worse)), n, at)) - _TIE
    low, high = np.zeros(n + 1), n - worse + 1
    while (low < high).any():
        middle = np.floor((low + high) / 2)
        reached = (middle <= n - worse) & (score(middle, worse, n, at) >= seen)
        low, high = np.where(reached | (low >= high), low, middle + 1), np.where(reached, middle, high)
    low[low > n - worse] = n + 1
    return np.minimum.accumulate(low[::-1])[::-1]


def _largest(n: int, enough: Counts, at: float) -> float:
    """The largest probability of the region, over the shares of answers that become wrong."""
    import numpy as np

    least, most = max(0.0, -at), (1 - at) / 2
    angles, largest = np.linspace(0, math.pi / 2, 40 + math.ceil(3 * math.sqrt(n))), 0.0
    for _ in range(3):  # finer around the largest
        found = _probability(n, enough, at, least + (most - least) * np.sin(angles) ** 2)
        largest = max(largest, float(found.max()))
        top, step = angles[int(found.argmax())], angles[1] - angles[0]
        angles = np.clip(np.linspace(top - step, top + step, 13), 0, math.pi / 2)
    return min(1.0, _GRID * largest)


def _probability(n: int, enough: Counts, at: float, shares: Floats) -> Floats:
    """Of the region, for shares [S] of answers that become wrong."""
    import numpy as np
    from scipy.special import betainc, gammaln, xlog1py, xlogy

    reach = math.ceil(_REACH * math.sqrt(n) / 2 + 20)
    worse = np.round(n * shares)[:, None] + np.arange(-reach, reach + 1.0)
    inside = (worse >= 0) & (worse <= n)
    worse = np.where(inside, worse, 0)
    share = shares[:, None]
    logs = gammaln(n + 1) - gammaln(worse + 1) - gammaln(n - worse + 1) + xlogy(worse, share)
    weights = np.where(inside, np.exp(logs + xlog1py(n - worse, -share)), 0.0)
    needed = enough[worse.astype(np.intp)]
    chance = np.clip((share + at) / np.maximum(1 - share, 1e-300), 0.0, 1.0)  # to become right, if not wrong
    rest = n - worse
    beyond = betainc(np.clip(needed, 1, None), np.maximum(rest - needed + 1, 1), chance)
    return (weights * np.where(needed <= 0, 1.0, np.where(needed > rest, 0.0, beyond))).sum(axis=1)
