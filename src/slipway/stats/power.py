"""How small an effect the data could show, and how many groups would be enough to decide. On plain arrays.

Both ask the bound of `means` itself, of a sample that is made rather than drawn: the values seen, in other proportions.
The proportions are tilted exponentially so that the mean is what is supposed, and then so that the sample is as unlucky
as one in five is. For right and wrong that is the binomial's lower quintile, so the answer is right there, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slipway.stats.distributions import normal_quantile
from slipway.stats.gaffke import tail_below_zero
from slipway.stats.means import Totals, lower_bound
from slipway.stats.right_or_wrong import score

if TYPE_CHECKING:
    from slipway.stats.grouping import Floats

UNLUCKY = 0.8416  # standard deviations below the mean: the power is 80%
UNSURE = 0.16  # error on each side of what the pilot says of the mean: a 68% interval
_CELLS = 64  # different values that a made sample has
MOST = 1e7  # groups; beyond, nothing is said


@dataclass(frozen=True)
class Needed:
    """Groups (or examples) in all that decide with a power of 80%. None: no number does.

    `likely`: if the truth is as seen; `low`, `high`: at the ends of a 68% interval of the true mean.
    """

    low: int | None
    likely: int | None
    high: int | None

    def times(self, factor: float) -> Needed:
        """The same in another unit, rounded up."""

        def scaled(count: int | None) -> int | None:
            return None if count is None else math.ceil(count * factor - 1e-9)

        return Needed(scaled(self.low), scaled(self.likely), scaled(self.high))


@dataclass(frozen=True)
class Made:
    """A claim "the mean of `a` is above zero": values [J], their shares, and how far out a group may lie.

    `turned`: a value is -1, 0 or 1 by definition and `low` stands for -1, so that `right_or_wrong` judges.
    """

    a: Floats
    shares: Floats
    low: float
    high: float
    seen: float  # groups
    turned: bool = False

    def passes(self, mean: float, groups: float, tail: float, unlucky: float = UNLUCKY) -> bool:
        """Whether an unlucky sample of so many groups shows the claim, when the true mean is `mean`.

        `unlucky`: how many standard deviations below the mean it is.
        """
        import numpy as np

        a, shares = self.a, self.shares
        if abs(mean - float(shares @ a)) > 1e-9 * (self.high - self.low):  # what was not seen may come, too
            a = np.concatenate([a, [self.low, self.high]])
            rest = 1 / (self.seen + 1)
            shares = tilted(a, np.concatenate([shares * (1 - 2 * rest), [rest, rest]]), mean)
        scatter = math.sqrt(max(0.0, float(shares @ (a - float(shares @ a)) ** 2)))
        aim = mean - unlucky * scatter / math.sqrt(groups)
        if aim <= 0:
            return False
        counts = groups * (tilted(a, shares, aim) if scatter > 0 else shares)
        if self.turned:
            return self._turned(a, counts, groups, tail)
        kept = counts > 1e-9
        return tail_below_zero(np.append(a[kept], self.low), np.append(counts[kept], 1.0)) <= tail

    def _turned(self, a: Floats, counts: Floats, groups: float, tail: float) -> bool:
        """By the score statistic, which knows fractions of answers, a little beyond its normal quantile."""
        import numpy as np

        at = -1 - self.low
        better, worse = (np.array(counts[np.abs(a + at - one) < 0.5].sum()) for one in (1, -1))
        return float(score(better, worse, groups, at)) >= -normal_quantile(tail)


def groups_needed(
    found: Totals, support: tuple[float, float], at: float, tail: float, *, turned: bool = False
) -> Needed:
    """Groups at which it is decided on which side of `at` the mean lies, with error `tail`; more than there are."""
    if found.mean < at:
        found, support, at = found.mirrored(), (-support[1], -support[0]), -at
    made = made_of(found, support, at, turned=turned)
    size = float(found.counts @ found.sizes) / found.groups
    pessimistic = lower_bound(found, support[0], UNSURE) - at
    optimistic = -lower_bound(found.mirrored(), -support[1], UNSURE) - at
    means = (optimistic * size, (found.mean - at) * size, pessimistic * size)
    return Needed(*(_enough(made, mean, tail) for mean in means))


def detectable(found: Totals, support: tuple[float, float], tail: float, *, turned: bool = False) -> float | None:
    """The smallest true mean above zero that so many groups show with a power of 80%, given their scatter; or None."""
    made = made_of(found, support, 0.0, turned=turned)
    size = float(found.counts @ found.sizes) / found.groups
    low, high = 0.0, support[1] * size * (1 - 1e-6)
    if high <= 0 or not made.passes(high, found.groups, tail):
        return None
    while high - low > 5e-3 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if made.passes(middle, found.groups, tail) else (middle, high)
    return high / size


def tilted(a: Floats, shares: Floats, mean: float) -> Floats:
    """`shares` [J] of values `a` [J], times exp(t a) for the t that makes their mean `mean`."""
    import numpy as np

    scale = float(np.ptp(a)) or 1.0
    x, aim = (a - a.min()) / scale, (mean - float(a.min())) / scale
    aim = min(max(aim, 1e-9), 1 - 1e-9)
    low, high, t = -1e9, 1e9, 0.0
    with np.errstate(divide="ignore"):
        logs = np.log(shares)  # a share that is zero stays so
    weights = shares
    for _ in range(200):
        powers = logs + t * x
        weights = np.exp(powers - powers.max())
        weights = weights / weights.sum()
        found = float(weights @ x)
        if abs(found - aim) < 1e-10:
            break
        low, high = (t, high) if found < aim else (low, t)
        step = (aim - found) / max(float(weights @ (x - found) ** 2), 1e-12)
        t += min(max(step, -10 - abs(t)), 10 + abs(t))
        if not low < t < high:
            t = (low + high) / 2
    return weights


def made_of(found: Totals, support: tuple[float, float], at: float, *, turned: bool = False) -> Made:
    """The claim that the mean is above `at`, as the values seen would have it."""
    import numpy as np

    a, counts = found.sums - at * found.sizes, found.counts
    if len(a) > _CELLS:
        order = np.argsort(a)
        cells = (np.cumsum(counts[order]) - counts[order] / 2) / counts.sum() * _CELLS
        cell = np.minimum(cells.astype(np.intp), _CELLS - 1)
        held = np.bincount(cell, weights=counts[order], minlength=_CELLS)
        sums = np.bincount(cell, weights=(counts * a)[order], minlength=_CELLS)
        a, counts = sums[held > 0] / held[held > 0], held[held > 0]
    low, high = found.typical * (support[0] - at), found.typical * (support[1] - at)
    return Made(a, counts / counts.sum(), low, high, found.groups, turned)


def _enough(made: Made, mean: float, tail: float) -> int | None:
    """Groups, more than were seen, from which on the claim is shown; None when there is no such number."""
    if mean <= 0:
        return None
    low, high = made.seen, made.seen + 1
    while not made.passes(mean, high, tail):
        low, high = high, 2 * high
        if high > MOST:
            return None
    while high - low > max(0.5, 3e-3 * high):
        middle = (low + high) / 2
        low, high = (low, middle) if made.passes(mean, middle, tail) else (middle, high)
    return max(int(made.seen) + 1, math.ceil(high - 0.25))
