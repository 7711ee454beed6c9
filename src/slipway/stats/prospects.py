"""How likely a claim is to be shown with so many groups, before any is looked at. On plain arrays.

A pilot says how values scatter; `power` makes samples of it, unlucky ones. The power is the share of samples that are
luckier than the unluckiest that still shows the claim.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from slipway.stats.distributions import normal_share
from slipway.stats.means import Totals, lower_bound, tail_at, totals
from slipway.stats.power import MOST, UNLUCKY, UNSURE, Made, Needed, made_of
from slipway.stats.quantile_pairs import QuantilePair
from slipway.stats.quantiles import quantile, quantile_needs
from slipway.stats.right_or_wrong import Turned
from slipway.stats.right_or_wrong import tail_at as turned_tail_at

_LUCK = 6.0  # standard deviations: beyond them the power is 0 or 1
_TURN = 1.96  # standard errors that a 95% interval reaches


class Claim(Protocol):
    """That a number lies on the right side of another. Groups are independent examples."""

    def power(self, groups: float, tail: float) -> float | None:
        """Probability that so many groups show it with error `tail`, if the truth is as supposed; None: unknown."""
        ...

    def needed(self, tail: float) -> Needed:
        """Groups that show it with a power of 80%; None where no number does."""
        ...

    def decided_from(self, groups: float, tail: float) -> float | None:
        """The true value from which on so many groups show it with a power of 80%; None: no value is enough."""
        ...

    def possible(self, groups: int, tail: float) -> bool:
        """Whether so many groups can show it at all, whatever they hold."""
        ...


@dataclass(frozen=True)
class MeanClaim:
    """That the mean over examples is above `at`; the pilot's values lie in `support`. `truth`: the mean supposed.

    `turned`: the values are differences of right-or-wrong answers, one a group.
    """

    pilot: Totals
    support: tuple[float, float]
    at: float
    truth: float
    turned: bool = False

    @cached_property
    def _made(self) -> Made:
        return made_of(self.pilot, self.support, self.at, turned=self.turned)

    @property
    def _size(self) -> float:
        return float(self.pilot.counts @ self.pilot.sizes) / self.pilot.groups

    def power(self, groups: float, tail: float) -> float | None:
        """See `Claim`."""
        mean = (self.truth - self.at) * self._size
        low, high = -_LUCK, _LUCK
        if not self._made.passes(mean, groups, tail, low):
            return 0.0
        if self._made.passes(mean, groups, tail, high):
            return 1.0
        while high - low > 5e-3:
            middle = (low + high) / 2
            low, high = (middle, high) if self._made.passes(mean, groups, tail, middle) else (low, middle)
        return normal_share(low)

    def needed(self, tail: float) -> Needed:
        """See `Claim`; from and to: at the ends of a 68% interval around what is supposed."""
        seen = self.pilot.mean
        less = seen - lower_bound(self.pilot, self.support[0], UNSURE)
        more = -lower_bound(self.pilot.mirrored(), -self.support[1], UNSURE) - seen
        low, likely, high = (self._enough(self.truth + step, tail) for step in (more, 0.0, -less))
        if likely is None:
            return Needed(low, None, None)
        return Needed(likely if low is None else min(low, likely), likely, high and max(high, likely))

    def decided_from(self, groups: float, tail: float) -> float | None:
        """See `Claim`."""
        low, high = self.at, self.support[1]
        top = high - (high - low) * 1e-6
        if high <= low or not self._made.passes((top - self.at) * self._size, groups, tail):
            return None
        while high - low > 1e-3 * (self.support[1] - self.at):
            middle = (low + high) / 2
            enough = self._made.passes((middle - self.at) * self._size, groups, tail)
            low, high = (low, middle) if enough else (middle, high)
        return high

    def possible(self, groups: int, tail: float) -> bool:
        """See `Claim`: whether groups that are all the best there is would show it."""
        import numpy as np

        if self.turned:
            return self.at < 1 and turned_tail_at(Turned(groups, 0, groups), self.at) <= tail
        best = totals(np.full(groups, self.support[1]), np.arange(groups))
        return self.support[1] > self.at and tail_at(best, self.support[0], self.at) <= tail

    def _enough(self, truth: float, tail: float) -> int | None:
        mean = (truth - self.at) * self._size
        return fewest(lambda groups: self._made.passes(mean, groups, tail)) if mean > 0 else None


@dataclass(frozen=True)
class QuantileClaim:
    """That a quantile of the challenger is less than `margin` above the champion's: by the width of its interval."""

    both: QuantilePair
    margin: float

    def _reach(self, groups: float, tail: float) -> float | None:
        """How far above the measured difference its upper bound lies with so many groups."""
        if not self.possible(math.floor(groups), tail):
            return None
        high = self.both.high(tail)
        effect = self.margin - self._distance
        return None if high is None else max(high - effect, 1e-12) * math.sqrt(self._seen / groups)

    @property
    def _seen(self) -> int:
        return int(self.both.codes.max()) + 1

    @property
    def _distance(self) -> float:
        champion = quantile(self.both.champion.values, self.both.q)
        return self.margin - (quantile(self.both.challenger.values, self.both.q) - champion)

    def power(self, groups: float, tail: float) -> float | None:
        """See `Claim`."""
        if not self.possible(math.floor(groups), tail):
            return 0.0
        reach = self._reach(groups, tail)
        return None if reach is None else normal_share(_TURN * (self._distance / reach - 1))

    def needed(self, tail: float) -> Needed:
        """See `Claim`."""
        least = quantile_needs(self.both.q, tail)
        if self.both.high(tail) is None:
            return Needed(least, None, None)

        def enough(distance: float) -> int | None:
            def shown(groups: float) -> bool:
                reach = self._reach(groups, tail)
                return reach is not None and distance >= reach * (1 + UNLUCKY / _TURN)

            return fewest(shown) if distance > 0 else None

        unsure = (self._reach(max(self._seen, least), tail) or 0.0) / 2
        return Needed(*(enough(self._distance + step) for step in (unsure, 0.0, -unsure)))

    def decided_from(self, groups: float, tail: float) -> float | None:
        """See `Claim`."""
        reach = self._reach(groups, tail)
        return None if reach is None else self.margin - reach * (1 + UNLUCKY / _TURN)

    def possible(self, groups: int, tail: float) -> bool:
        """See `Claim`."""
        return groups >= quantile_needs(self.both.q, tail)


def fewest(shown: Callable[[float], bool]) -> int | None:
    """The fewest groups from which on something is shown; None beyond ten millions."""
    low, high = 0.0, 2.0
    while not shown(high):
        low, high = high, 2 * high
        if high > MOST:
            return None
    while high - low > max(0.5, 3e-3 * high):
        middle = (low + high) / 2
        low, high = (low, middle) if middle >= 1 and shown(middle) else (middle, high)
    return math.ceil(high - 0.25)


def first_margin(groups: int, tail: float) -> float:
    """The smallest margin that two candidates with equal answers keep: the lower bound of so many zeros in [-1, 1]."""
    return 1 - tail ** (1 / groups) if groups else 1.0
