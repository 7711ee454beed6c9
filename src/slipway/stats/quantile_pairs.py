"""The difference of two candidates' quantiles, bounded without any assumption. Judges nothing.

A bound of the difference is a lower bound of one quantile and an upper bound of the other, and the error is shared
between the two (Bonferroni): right however the two latencies depend on each other and however they are distributed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slipway.stats.power import Needed
from slipway.stats.quantiles import quantile, quantile_high, quantile_low, quantile_needs
from slipway.stats.samples import Sample

if TYPE_CHECKING:
    from slipway.stats.grouping import Codes

_POWER = 0.8416 / 1.96  # how much further than the bound of a 95% interval an effect lies that is found in 80%


@dataclass(frozen=True)
class QuantilePair:
    """The `q` quantile of the same examples under two candidates."""

    champion: Sample
    challenger: Sample
    codes: Codes
    q: float

    def low(self, tail: float) -> float | None:
        """Lower bound of challenger minus champion, with error `tail`."""
        return self._least(self.challenger, self.champion, tail)

    def high(self, tail: float) -> float | None:
        """Upper bound of challenger minus champion, with error `tail`."""
        found = self._least(self.champion, self.challenger, tail)
        return None if found is None else -found

    def p_above(self, at: float) -> float:
        """The smallest error at which the difference is shown to be above `at`."""

        def shown(tail: float) -> bool:
            low = self.low(tail)
            return low is not None and low > at

        return _smallest(shown)

    def p_below(self, at: float) -> float:
        """The smallest error at which the difference is shown to be below `at`."""

        def shown(tail: float) -> bool:
            high = self.high(tail)
            return high is not None and high < at

        return _smallest(shown)

    def detectable(self, tail: float) -> float | None:
        """About the smallest effect that is found in 80%: by the width of the interval, which it does not change."""
        low, high = self.low(tail), self.high(tail)
        return None if low is None or high is None else (high - low) / 2 * (1 + _POWER)

    def needs(self, at: float, tail: float) -> Needed:
        """Groups in all that show on which side of `at` the difference lies: widths shrink with the root of them."""
        groups, low, high = int(self.codes.max()) + 1, self.low(tail), self.high(tail)
        effect = quantile(self.challenger.values, self.q) - quantile(self.champion.values, self.q)
        reach = (None if low is None else effect - low) if effect > at else (None if high is None else high - effect)
        if reach is None:
            least = max(groups + 1, quantile_needs(self.q, tail * 0.999))
            return Needed(least, least, None)
        distance, unsure = abs(effect - at), reach / 2  # the reach is two standard errors and more

        def enough(far: float) -> int | None:
            return max(groups + 1, math.ceil(groups * (reach / far) ** 2)) if far > 0 else None

        return Needed(enough(distance + unsure), enough(distance), enough(distance - unsure))

    def _least(self, upper: Sample, lower: Sample, tail: float) -> float | None:
        """Lower bound of `upper`'s quantile minus `lower`'s, which each may be wrong in half of the errors.

        With few groups the upper bound of a high quantile exists only for an error of q ** groups or more: it then
        takes so much.
        """
        needed = self.q ** (int(self.codes.max()) + 1) * (1 + 1e-9)
        share = max(tail / 2, needed) if needed < tail else tail / 2
        most = quantile_high(lower.late, self.codes, self.q, share)
        least = None if most is None else quantile_low(upper.values, self.codes, self.q, tail - share)
        return None if least is None or most is None else least - most


def _smallest(shown: Callable[[float], bool]) -> float:
    """The smallest error at which something is shown, to 1 in 1,000; at most 1."""
    low, high = math.log(1e-12), 0.0
    if not shown(0.5):
        return 1.0
    while high - low > 1e-3:
        middle = (low + high) / 2
        low, high = (low, middle) if shown(math.exp(middle)) else (middle, high)
    return math.exp(high)
