"""What a rule of the gate is up against, as far as dev or an assumption tells. Knows metrics and rules; no stores.

With a pilot, the scores of dev are what values and differences look like. Without one something is assumed, and said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from slipway.core.metrics import MetricInfo, said_value
from slipway.core.report import Score
from slipway.errors import ConfigError
from slipway.i18n import Said, say
from slipway.release.rules import Kind
from slipway.stats.means import Totals, ends, totals
from slipway.stats.pairs import Pair, difference_values, pair
from slipway.stats.prospects import Claim, MeanClaim, QuantileClaim
from slipway.stats.quantile_pairs import QuantilePair
from slipway.stats.samples import Sample, as_mean, point, sample

_GAIN = 0.1  # how much better than asked a candidate is taken to be where nothing is known
_DIFFER = 0.25  # share of examples right under one of two candidates only: half are right, correlation 0.5
_SEEN = 100.0  # examples that an assumption counts as


@dataclass(frozen=True)
class Supposed:
    """A claim with what it supposes. `truth`: the true value, or the true difference, in the metric's unit.

    `sign`: of the metric in the claim. `share_of`: the claim is about the share of examples on the right side of this.
    """

    claim: Claim | None
    truth: float | None = None
    basis: str = "unknown"
    notes: tuple[Said, ...] = ()
    per_group: float = 1.0
    sign: float = 1.0
    share_of: float | None = None


@dataclass(frozen=True)
class Pilot:
    """The candidate's scores on dev, and those of what it is compared with, if there are any."""

    scores: Sequence[Score] = ()
    rival: Sequence[Score] = ()


def suppose(
    info: MetricInfo, kind: Kind, bound: float, pilot: Pilot, currency: str, *, grouped: bool = False
) -> Supposed:
    """The claim that a rule makes, by the pilot where it has the metric, else by an assumption.

    `grouped`: examples of the gate share groups.
    """
    if kind in ("min", "max"):
        found = sample(pilot.scores, info)
        return _absolute(info, kind, bound, found) if len(found) > 1 else _assumed_bound(info, kind, bound, currency)
    try:
        both = pair(pilot.rival, pilot.scores, info) if pilot.rival and pilot.scores else None
    except ConfigError:  # other examples, or none that has the metric
        both = None
    if both is not None and both.champion.group_count > 1:
        return _against(info, kind, bound, both, grouped)
    return _assumed_difference(info, kind, bound, grouped)


def _absolute(info: MetricInfo, kind: Kind, bound: float, found: Sample) -> Supposed:
    import numpy as np

    truth, per_group = point(info, found), len(found) / found.group_count
    if info.form == "quantile":
        inside = found.late <= bound if kind == "max" else -(found.values < bound).astype(np.float64)
        support, at = ((0.0, 1.0), info.q) if kind == "max" else ((-1.0, 0.0), -info.q)
        groups = totals(inside.astype(np.float64), found.codes)
        return Supposed(MeanClaim(groups, support, at, groups.mean), truth, "pilot", (), per_group, share_of=bound)
    values, least, most = as_mean(info, found)
    low, high = ends(values, (least, most))
    sign = 1.0 if kind == "min" else -1.0
    groups = totals(sign * values, found.codes)
    support = (low, high) if kind == "min" else (-high, -low)
    return Supposed(MeanClaim(groups, support, sign * bound, groups.mean), truth, "pilot", (), per_group, sign)


def _against(info: MetricInfo, kind: Kind, margin: float, both: Pair, grouped: bool) -> Supposed:
    truth = point(info, both.challenger) - point(info, both.champion)
    if info.form == "quantile":
        claim = QuantileClaim(QuantilePair(both.champion, both.challenger, both.codes, info.q), margin)
        return Supposed(claim, truth, "pilot", (), both.per_group)
    values, (low, high) = difference_values(info, both)
    sign = 1.0 if info.higher_is_better else -1.0
    groups = totals(sign * values, both.codes)
    support = (low, high) if sign > 0 else (-high, -low)
    turned = both.turned(info) is not None and not grouped
    claim = MeanClaim(groups, support, -margin if kind == "non-inferiority" else 0.0, groups.mean, turned)
    return Supposed(claim, truth, "pilot", (), both.per_group, sign)


def _assumed_bound(info: MetricInfo, kind: Kind, bound: float, currency: str) -> Supposed:
    sign = 1.0 if kind == "min" else -1.0
    if info.form == "quantile" and kind == "max":
        late = (1 - info.q) / 2
        claim = MeanClaim(_of([0.0, 1.0], [late, 1 - late]), (0.0, 1.0), info.q, 1 - late)
        note = say("assumed: half as many examples are above the bound as may be")
        return Supposed(claim, None, "assumed", (note,), share_of=bound)
    if info.form != "quantile" and info.high is not None and info.unit == "":
        best = info.high if kind == "min" else info.low
        truth = bound + sign * min(_GAIN, abs(best - bound) / 2)
        claim = MeanClaim(
            _of([sign * info.low, sign * info.high], [1 - truth, truth]),
            (info.low, info.high) if kind == "min" else (-info.high, -info.low), sign * bound, sign * truth,
        )  # fmt: skip
        note = say("assumed: every example is right or wrong, and the true value is {truth}", truth=f"{truth:.3f}")
        return Supposed(claim, truth, "assumed", (note,), 1.0, sign)
    if info.form == "mean" and kind == "max":
        return _assumed_cost(info, bound, currency)
    return Supposed(None, notes=(_unknown(),))


def _assumed_cost(info: MetricInfo, bound: float, currency: str) -> Supposed:
    """Half of what is allowed, with the spread of an exponential distribution."""
    import numpy as np

    truth = bound / 2
    values = -np.log(1 - (np.arange(40) + 0.5) / 40)
    values *= truth / values.mean()
    _, high = ends(values, (info.low, info.high))
    claim = MeanClaim(_of(list(-values), [1 / 40] * 40), (-high, -info.low), -bound, -truth)
    shown = said_value(info, truth, currency)
    note = say("assumed: the true value is {truth}, and values scatter as much as that", truth=shown)
    return Supposed(claim, truth, "assumed", (note,), 1.0, -1.0)


def _assumed_difference(info: MetricInfo, kind: Kind, margin: float, grouped: bool) -> Supposed:
    if info.form == "quantile" or info.high is None or info.unit:
        return Supposed(None, notes=(_unknown(),))
    gain = _GAIN if kind == "superiority" else 0.0
    better, worse = (_DIFFER + gain) / 2, (_DIFFER - gain) / 2
    claim = MeanClaim(
        _of([-1.0, 0.0, 1.0], [worse, 1 - _DIFFER, better]), (-1.0, 1.0),
        -margin if kind == "non-inferiority" else 0.0, gain, info.right_or_wrong and not grouped,
    )  # fmt: skip
    sign = 1.0 if info.higher_is_better else -1.0
    note = say(
        "assumed: half of the answers are right, a quarter under one of the two only, and the true difference is "
        "{gain}",
        gain=f"{sign * gain:+.3f}",
    )
    return Supposed(claim, sign * gain, "assumed", (note,), 1.0, sign)


def _unknown() -> Said:
    return say("nothing is known of its values: measure the candidates on dev first (`slipway run evaluate`)")


def _of(values: Sequence[float], shares: Sequence[float]) -> Totals:
    import numpy as np

    kept = [(value, share) for value, share in zip(values, shares, strict=True) if share > 0]
    found = np.array(kept, dtype=np.float64)
    return Totals(found[:, 0], np.ones(len(kept)), found[:, 1] * _SEEN)
