"""One claim about one metric, judged: shown, refuted, or neither. Knows statistics and words; no rules, no releases.

Each passes wrongly with probability `alpha` at most; docs/design/003-statistics.md says why.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import msgspec

from slipway.core.metrics import MetricInfo, said_value
from slipway.core.release import Comparison, RuleResult
from slipway.i18n import Said, say
from slipway.release.rules import Kind, Rule
from slipway.stats.means import ends, totals
from slipway.stats.pairs import Pair, compare_pair, difference_bounds, difference_needs, one_sided
from slipway.stats.power import Needed, groups_needed
from slipway.stats.samples import Sample, as_mean, bounds, point

Outcome = Literal["pass", "fail", "insufficient"]


_POINT = say("judged by the measured value alone (confidence: point)")


@dataclass(frozen=True)
class Case:
    """One metric of one candidate, overall or in a slice, ready to be judged. `both` is None without a comparison."""

    info: MetricInfo
    rule: Rule
    found: Sample
    both: Pair | None
    alpha: float
    currency: str
    gate_share: float | None  # of the examples that are in the gate split, to say how many to add in all

    @property
    def value(self) -> float:
        """As measured."""
        return point(self.info, self.found)

    @property
    def confidence(self) -> str:
        """1 - alpha in percent, with the digits that it takes."""
        digits = max(0, -math.floor(math.log10(self.alpha)) - 1)
        text = f"{100 * (1 - self.alpha):.{digits}f}"
        return (text.rstrip("0").rstrip(".") if "." in text else text) + "%"

    def show(self, value: float, *, signed: bool = False) -> str | Said:
        """A value in the metric's unit."""
        return said_value(self.info, value, self.currency, signed=signed)

    def comparison(self) -> Comparison | None:
        """The paired comparison with its 1 - alpha interval, for a person to read."""
        return None if self.both is None else compare_pair(self.info, self.both, self.alpha)


def judge_absolute(case: Case, kind: Kind, bound: float) -> RuleResult:
    """Whether the metric is at least (`min`) or at most (`max`) the bound."""
    low, high = bounds(case.info, case.found, case.alpha)
    sign = 1.0 if kind == "min" else -1.0  # as if all bounds were lower bounds
    near, far = (low, high) if kind == "min" else (high, low)
    base = RuleResult(
        metric=case.info.name, rule=kind, outcome="pass", bound=bound, value=case.value, low=low, high=high
    )
    if case.rule.confidence == "point":
        return _by_point(base, sign * (case.value - bound) >= 0)
    if near is not None and sign * (near - bound) >= 0:
        return _with(base, "pass", _surely(case, kind == "min", near), *_assumed(case))
    if far is not None and sign * (far - bound) < 0:
        return _with(base, "fail", _surely(case, kind != "min", far), *_assumed(case))
    return _undecided(base, case, _bound_needs(case, bound), (_no_bound(case) if near is None
                                                              else _surely(case, kind == "min", near),))  # fmt: skip


def judge_against(case: Case, both: Pair, kind: Kind, margin: float, base: RuleResult) -> RuleResult:
    """Whether the challenger is at most `margin` worse than the champion (non-inferiority), or better (superiority)."""
    up = case.info.higher_is_better
    low, high = difference_bounds(case.info, both, case.alpha, -margin if up else margin)
    effect = point(case.info, both.challenger) - point(case.info, both.champion)
    good, worst, best = (effect, low, high) if up else (-effect, _minus(high), _minus(low))
    base = msgspec.structs.replace(base, low=low, high=high)
    better = kind == "superiority"
    if case.rule.confidence == "point":
        return _by_point(base, good > 0 if better else good >= -margin)
    reasons = (_at_worst(case, both, low if up else high, better=better),)
    if worst is not None and (worst > 0 if better else worst >= -margin):
        return _with(base, "pass", *reasons, *_assumed(case))
    if better and good <= 0:
        return _with(base, "fail", *reasons, say("not better as measured"))
    if best is not None and best < -margin:
        return _with(base, "fail", *reasons, *_assumed(case))
    return _undecided(base, case, difference_needs(case.info, both, -margin if up else margin, case.alpha), reasons)


def _bound_needs(case: Case, bound: float) -> Needed:
    """Examples in all at which it is decided on which side of the bound the metric lies."""
    import numpy as np

    info, found = case.info, case.found
    if info.form == "quantile":
        values, support, at = (found.late <= bound).astype(np.float64), (0.0, 1.0), info.q
    else:
        values, least, most = as_mean(info, found)
        support, at = ends(values, (least, most)), bound
    needed = groups_needed(totals(values, found.codes), support, at, case.alpha)
    return needed.times(len(found) / found.group_count)


def _undecided(base: RuleResult, case: Case, needed: Needed, reasons: tuple[Said, ...]) -> RuleResult:
    have = len(case.found if case.both is None else case.both.champion)
    base = msgspec.structs.replace(base, needed=needed.likely, needed_low=needed.low, needed_high=needed.high)
    return _with(base, "insufficient", *reasons, *_assumed(case), _more(needed, have, case.gate_share))


def _more(needed: Needed, have: int, gate_share: float | None) -> Said:
    """How many examples to add, in all splits where it is known which share of them comes to the gate."""
    share = gate_share or 1.0
    low, likely, high = (
        None if count is None or count - have > 1_000_000 else _rounded((count - have) / share)
        for count in (needed.low, needed.likely, needed.high)
    )
    if low is None:
        return say("more than a million examples would be needed to decide")
    if likely is None:
        return (
            say(
                "at least {low} more examples over all splits would be needed to decide, perhaps no number is enough",
                low=low,
            )
            if gate_share
            else say(
                "at least {low} more gate examples would be needed to decide, perhaps no number is enough", low=low
            )
        )
    if high is None:
        return (
            say(
                "about {n} more examples over all splits would decide, at least {low}, perhaps no number is enough",
                n=likely,
                low=low,
            )
            if gate_share
            else say(
                "about {n} more gate examples would decide, at least {low}, perhaps no number is enough",
                n=likely,
                low=low,
            )
        )
    return (
        say("about {n} more examples over all splits would decide ({low} to {high})", n=likely, low=low, high=high)
        if gate_share
        else say("about {n} more gate examples would decide ({low} to {high})", n=likely, low=low, high=high)
    )


def _rounded(count: float) -> int:
    """Up, to two digits: no more is known."""
    unit = 10 ** max(0, math.floor(math.log10(max(1.0, count))) - 1)
    return math.ceil(count / unit - 1e-9) * unit


def _at_worst(case: Case, both: Pair, worst: float | None, *, better: bool) -> Said:
    if worst is None:
        return say(
            "so few examples do not bound the difference with {confidence} confidence", confidence=case.confidence
        )
    shown = case.show(worst, signed=True)
    if not better:
        return say(
            "at worst {worst} against the champion, with {confidence} confidence",
            worst=shown,
            confidence=case.confidence,
        )
    greater, less = one_sided(case.info, both)
    p_value = greater if case.info.higher_is_better else less
    return say(
        "at worst {worst} against the champion, with {confidence} confidence, p = {p}",
        worst=shown,
        confidence=case.confidence,
        p=f"{p_value:.2g}",
    )


def _surely(case: Case, at_least: bool, bound: float) -> Said:
    if at_least:
        return say("at least {bound} with {confidence} confidence", bound=case.show(bound), confidence=case.confidence)
    return say("at most {bound} with {confidence} confidence", bound=case.show(bound), confidence=case.confidence)


def _no_bound(case: Case) -> Said:
    failed = int(case.found.failed.sum())
    if failed:
        return say(
            "no bound with {confidence} confidence: {n} examples have no answer, which is later than any",
            confidence=case.confidence,
            n=failed,
        )
    return say("so few examples give no bound with {confidence} confidence", confidence=case.confidence)


def _assumed(case: Case) -> tuple[Said, ...]:
    """What a bound of a mean stands on where nobody said how large a value can be."""
    if case.info.form == "quantile" or case.info.high is not None:
        return ()
    if case.both is None:
        return (say("assumed: no value is above twice the largest seen; give the rule a limit where one is known"),)
    return (say("assumed: no difference is above the largest seen; give the rule a limit where one is known"),)


def judged_by_point(one: RuleResult) -> bool:
    """Whether the measured value was taken for the truth. Older verdicts say so in their reason only."""
    return one.confidence == "point" or _POINT in one.reason


def _by_point(base: RuleResult, kept: bool) -> RuleResult:
    return msgspec.structs.replace(_with(base, "pass" if kept else "fail", _POINT), confidence="point")


def _with(base: RuleResult, outcome: Outcome, *reasons: Said) -> RuleResult:
    return msgspec.structs.replace(base, outcome=outcome, reason=reasons)


def _minus(value: float | None) -> float | None:
    return None if value is None else -value
