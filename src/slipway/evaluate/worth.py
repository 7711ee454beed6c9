"""What a candidate's answers are worth: a right one saves a person's time, a wrong one costs something, one that is
declined or fails does neither. Knows no prices of models; costs are those that were measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slipway.core.metrics import METRICS, MetricInfo
from slipway.core.report import Score
from slipway.stats.means import mean_bounds
from slipway.stats.samples import bounds, point, sample

if TYPE_CHECKING:
    from slipway.stats.grouping import Floats

_TAIL = 0.0125  # of each end of benefit and of cost, so that both hold together in 95 of 100


@dataclass(frozen=True)
class Terms:
    """What one answer brings, lowest and highest, in one currency; `volume`, `price` and results are of a month."""

    volume: float
    gain: tuple[float, float]  # of a right answer
    loss: tuple[float, float]  # of a wrong one
    price: float = 0.0
    build: float = 0.0


@dataclass(frozen=True)
class Interval:
    """A number that is known to lie between two others; None: without end on this side."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Worth:
    """`benefit` and `cost`: of one input. `net`: a month. `even`: the mean of the metric over what is answered at which
    a month brings nothing; None where nothing is answered, or above 1 where nothing would be enough. `months`: until
    `build` is paid back; None where a month brings nothing. `n`: examples.
    """

    benefit: Interval
    cost: Interval
    net: Interval
    even: Interval | None
    months: Interval | None
    n: int


def worth(scores: Sequence[Score], info: MetricInfo, terms: Terms) -> Worth | None:
    """From scores of the quality metric `info`; None where no example has it.

    Intervals are those of the metrics: by whole groups, valid for any number of examples. The lower end takes the
    lowest gain and the highest loss, the upper end the other way round.
    """
    import numpy as np

    found = sample(scores, info)
    if not len(found):
        return None
    right = found.values if info.higher_is_better else 1.0 - found.values
    answered = ~found.failed

    def benefit(gain: float, loss: float) -> Floats:
        return np.where(answered, right * gain - (1.0 - right) * loss, 0.0)

    def bound(gain: float, loss: float) -> tuple[float, float]:
        return mean_bounds(benefit(gain, loss), found.codes, (-loss, gain), _TAIL)

    value = float(benefit(*_middle(terms)).mean())
    low, high = bound(terms.gain[0], terms.loss[1])[0], bound(terms.gain[1], terms.loss[0])[1]
    made = Interval(value, min(low, value), max(high, value))
    cost = _cost(scores)
    net = Interval(
        terms.volume * (value - cost.value) - terms.price,
        None if made.low is None or cost.high is None else terms.volume * (made.low - cost.high) - terms.price,
        None if made.high is None or cost.low is None else terms.volume * (made.high - cost.low) - terms.price,
    )
    return Worth(made, cost, net, _even(terms, float(answered.mean()), cost), _months(terms.build, net), len(found))


def _middle(terms: Terms) -> tuple[float, float]:
    return sum(terms.gain) / 2, sum(terms.loss) / 2


def _cost(scores: Sequence[Score]) -> Interval:
    """Of one input; nothing where nothing has a price."""
    info = METRICS["cost_per_query"]
    found = sample(scores, info)
    if not len(found):
        return Interval(0.0, 0.0, 0.0)
    low, high = bounds(info, found, _TAIL)
    return Interval(point(info, found), low, high)


def _even(terms: Terms, share: float, cost: Interval) -> Interval | None:
    """From share * (r * gain - (1 - r) * loss) = cost + price / volume."""
    if not share:
        return None
    fixed = terms.price / terms.volume

    def solved(gain: float, loss: float, spent: float) -> float:
        return (loss + (spent + fixed) / share) / (gain + loss) if gain + loss else float("inf")

    value = solved(*_middle(terms), cost.value)
    low = solved(terms.gain[1], terms.loss[0], cost.value if cost.low is None else cost.low)
    high = None if cost.high is None else solved(terms.gain[0], terms.loss[1], cost.high)
    return Interval(value, min(low, value), None if high is None else max(high, value))


def _months(build: float, net: Interval) -> Interval | None:
    if net.value <= 0:
        return None
    soonest = None if net.high is None else build / net.high
    latest = build / net.low if net.low is not None and net.low > 0 else None
    return Interval(build / net.value, 0.0 if soonest is None else soonest, latest)
