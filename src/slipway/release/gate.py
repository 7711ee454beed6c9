"""The gate: rules on a report, and the verdict. Knows scores and statistics; not who releases, stores or serves.

Three kinds of rule, each with at most `alpha` (5%) false passes; docs/design/003-statistics.md says why:

- absolute bound (`min`, `max`): passes when the one-sided 1 - alpha confidence bound keeps it, fails when the bound
  on the other side breaks it;
- non-inferiority (`against` + `margin`): passes when the challenger is, with the same confidence, at most `margin`
  worse than the champion on the same examples;
- superiority (`against`, without `margin` or with `better`): passes when the paired two-sided test rejects equality
  and its interval lies on the good side, with Holm's correction over the candidates compared.

What is neither shown nor refuted is `insufficient`. What is missing fails.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from slipway.core.metrics import MetricInfo, said_value
from slipway.core.ref import Ref
from slipway.core.release import Comparison, RuleResult, Verdict
from slipway.core.report import Report, Score
from slipway.errors import ConfigError
from slipway.i18n import Said, say
from slipway.release.rules import Rule, asked, check_rules
from slipway.stats.distributions import normal_quantile
from slipway.stats.grouping import standard_error
from slipway.stats.intervals import quantile_needs
from slipway.stats.pairs import Pair, compare_pair, difference_bounds, pair, shifted_p_value
from slipway.stats.power import groups_needed
from slipway.stats.samples import Sample, bounds, point, sample
from slipway.stats.significance import holm

Champion = tuple[Ref, Report, Sequence[Score]]  # the release to beat, its report on the same split, its scores
Champions = Mapping[str, Champion]  # by channel; one that is absent has no release to beat
Outcome = Literal["pass", "fail", "insufficient"]
__all__ = ["Rule", "check_rules", "judge", "judge_all"]


@dataclass(frozen=True)
class _Case:
    """One metric of one candidate, ready to be judged."""

    info: MetricInfo
    rule: Rule
    champion: Ref | None
    found: Sample
    value: float
    both: Pair | None
    comparison: Comparison | None
    p_value: float  # of the comparison, adjusted for the number of candidates
    alpha: float
    currency: str

    def show(self, value: float, *, signed: bool = False) -> str | Said:
        return said_value(self.info, value, self.currency, signed=signed)

    @property
    def groups(self) -> int:
        return int(self.found.codes.max()) + 1

    @property
    def confidence(self) -> str:
        return f"{1 - self.alpha:.0%}"


def judge(
    rules: Mapping[str, Rule],
    report: Report,
    scores: Sequence[Score],
    champions: Champions | None = None,
    gate_uses: int = 1,
    alpha: float = 0.05,
    family_size: int = 1,
) -> Verdict:
    """The verdict on one candidate. `rules`: metric -> rule, each compared with the champion of its own channel.

    `family_size`: candidates compared for superiority of which only this one is judged; each p-value is multiplied by
    it (Holm's first step). Raises ConfigError for a rule that asks nothing or something impossible, NotFound for an
    unknown metric.
    """
    check_rules(rules, report.meanings)
    comparisons = _comparisons(rules, (report, scores), champions or {}, alpha)
    adjusted = {name: min(1.0, found.p_value * family_size) for name, found in comparisons.items() if found}
    return _verdict(rules, (report, scores), champions or {}, gate_uses, alpha, (comparisons, adjusted))


def judge_all(
    rules: Mapping[str, Rule],
    contenders: Sequence[tuple[Report, Sequence[Score]]],
    champions: Champions | None = None,
    gate_uses: int = 1,
    alpha: float = 0.05,
) -> list[Verdict]:
    """The verdicts on several candidates, superiority corrected by Holm over the candidates."""
    for report, _ in contenders:
        check_rules(rules, report.meanings)
    compared = [_comparisons(rules, contender, champions or {}, alpha) for contender in contenders]
    adjusted: list[dict[str, float]] = [{} for _ in contenders]
    for name in rules:
        having = [(index, found) for index, one in enumerate(compared) if (found := one.get(name)) is not None]
        for (index, _), p_value in zip(having, holm([found.p_value for _, found in having]), strict=True):
            adjusted[index][name] = p_value
    return [
        _verdict(rules, contender, champions or {}, gate_uses, alpha, (compared[index], adjusted[index]))
        for index, contender in enumerate(contenders)
    ]


def _comparisons(
    rules: Mapping[str, Rule], contender: tuple[Report, Sequence[Score]], champions: Champions, alpha: float
) -> dict[str, Comparison | None]:
    """Per rule that compares: the comparison, None where it cannot be made (the rule then fails)."""
    found: dict[str, Comparison | None] = {}
    report, scores = contender
    for name, rule in rules.items():
        champion = champions.get(rule.against) if rule.against else None
        if champion is None:
            continue
        info = report.meaning(name)
        try:
            comparison = compare_pair(info, pair(champion[2], scores, info), alpha)
        except ConfigError:
            found[name] = None
        else:
            found[name] = msgspec.structs.replace(comparison, against=champion[0])
    return found


def _verdict(
    rules: Mapping[str, Rule],
    contender: tuple[Report, Sequence[Score]],
    champions: Champions,
    gate_uses: int,
    alpha: float,
    compared: tuple[Mapping[str, Comparison | None], Mapping[str, float]],
) -> Verdict:
    report, scores = contender
    absolute = any(rule.min is not None or rule.max is not None for rule in rules.values())
    results: list[RuleResult] = []
    for name, rule in rules.items():
        info = report.meaning(name)
        found = sample(scores, info)
        broken = _broken(info, report, found)
        if broken:
            results.extend(_all_fail(name, rule, broken))
            continue
        comparison = compared[0].get(name)
        champion = champions.get(rule.against) if rule.against else None
        case = _Case(
            info=info,
            rule=rule,
            champion=champion[0] if champion else None,
            found=found,
            value=report.metrics[name].value,
            both=pair(champion[2], scores, info) if champion and comparison else None,
            comparison=comparison,
            p_value=compared[1].get(name, 1.0),
            alpha=alpha,
            currency=report.currency,
        )
        results.extend(_judge_rule(case, absolute))
    outcomes = {result.outcome for result in results}
    outcome: Outcome = "fail" if "fail" in outcomes or not results else "pass"
    if outcome == "pass" and "insufficient" in outcomes:
        outcome = "insufficient"
    return Verdict(
        outcome=outcome,
        rules=tuple(results),
        report=report.ref,
        champions={
            name: found[0] for name, found in champions.items() if any(r.against == name for r in rules.values())
        },
        gate_uses=gate_uses,
        alpha=alpha,
    )


def _broken(info: MetricInfo, report: Report, found: Sample) -> Said | None:
    """Why the metric cannot be judged, or nothing."""
    shown = report.metrics.get(info.name)
    if shown is None or not len(found):
        return say("was not measured")
    if not math.isfinite(shown.value):
        return say("is not a number")
    if not math.isclose(shown.value, point(info, found), rel_tol=1e-6, abs_tol=1e-9):
        return say("differs between the report and its scores: evaluate again")
    return None


def _all_fail(name: str, rule: Rule, reason: Said) -> list[RuleResult]:
    return [
        RuleResult(
            metric=name,
            rule=kind,
            outcome="fail",
            bound=bound,
            value=None,
            reason=(reason,),
            against=rule.against or "" if kind in ("non-inferiority", "superiority") else "",
        )  # fmt: skip
        for kind, bound in asked(rule)
    ]


def _judge_rule(case: _Case, absolute: bool) -> list[RuleResult]:
    results: list[RuleResult] = []
    for kind, bound in asked(case.rule):
        if kind in ("min", "max"):
            results.append(_absolute(case, kind, bound))
            continue
        base = RuleResult(
            metric=case.info.name, rule=kind, outcome="pass", bound=bound, value=case.value,
            against=case.rule.against or "", champion=case.champion,
        )  # fmt: skip
        if case.champion is None:
            results.append(_first(base, case, absolute))
        elif case.both is None or case.comparison is None:
            reason = say("cannot be compared with the champion: no examples in common that have it, or a single group")
            results.append(msgspec.structs.replace(base, outcome="fail", reason=(reason,)))
        else:
            base = msgspec.structs.replace(base, comparison=case.comparison)
            judged = _not_inferior if kind == "non-inferiority" else _superior
            results.append(judged(base, case, case.both, case.comparison))
    return results


def _first(base: RuleResult, case: _Case, absolute: bool) -> RuleResult:
    channel = case.rule.against or ""
    if absolute:
        reason = say("nothing serves on '{channel}' yet: there is nothing to compare with", channel=channel)
        return msgspec.structs.replace(base, reason=(reason,))
    reason = say(
        "nothing serves on '{channel}' yet, and no rule sets an absolute bound: add one (min or max)", channel=channel
    )
    return msgspec.structs.replace(base, outcome="fail", reason=(reason,))


def _absolute(case: _Case, kind: Literal["min", "max"], bound: float) -> RuleResult:
    low, high = bounds(case.info, case.found, case.alpha)
    sign = 1.0 if kind == "min" else -1.0  # as if all bounds were lower bounds
    near, far = (low, high) if kind == "min" else (high, low)
    distance = sign * (case.value - bound)
    needed: int | None = None
    if case.rule.confidence == "point":
        outcome: Outcome = "pass" if distance >= 0 else "fail"
        reason = (say("judged by the measured value alone (confidence: point)"),)
    elif near is not None and sign * (near - bound) >= 0:
        outcome, reason = "pass", (_surely(case, kind, near),)
    elif far is not None and sign * (far - bound) < 0:
        outcome, reason = "fail", (_surely(case, "max" if kind == "min" else "min", far),)
    else:
        outcome = "insufficient"
        needed = _needed_for_bound(case, kind, bound, (low, high))
        surely = () if near is None else (_surely(case, kind, near),)
        reason = (*surely, _more(needed, len(case.found)))
    return RuleResult(
        metric=case.info.name, rule=kind, outcome=outcome, bound=bound, value=case.value,
        low=low, high=high, needed=needed, reason=reason,
    )  # fmt: skip


def _not_inferior(base: RuleResult, case: _Case, both: Pair, comparison: Comparison) -> RuleResult:
    info, alpha, margin = case.info, case.alpha, base.bound
    low, high = difference_bounds(info, both, alpha)
    good = comparison.effect if info.higher_is_better else -comparison.effect
    worst, best = (low, high) if info.higher_is_better else (-high, -low)
    base = msgspec.structs.replace(base, low=low, high=high)
    if case.rule.confidence == "point":
        reason = say("judged by the measured value alone (confidence: point)")
        return msgspec.structs.replace(base, outcome="pass" if good >= -margin else "fail", reason=(reason,))
    shown = worst >= -margin
    if shown and info.form == "quantile":
        shown = shifted_p_value(info, both, margin) < alpha
    reason = say(
        "at worst {worst} against the champion, with {confidence} confidence",
        worst=case.show(low if info.higher_is_better else high, signed=True),
        confidence=case.confidence,
    )
    if shown:
        return msgspec.structs.replace(base, outcome="pass", reason=(reason,))
    if best < -margin:
        return msgspec.structs.replace(base, outcome="fail", reason=(reason,))
    error = (high - low) / (2 * normal_quantile(1 - alpha))
    pull = (1.0 + abs(comparison.effect)) if info.high is not None and info.form == "mean" else 0.0
    if info.form == "mean":
        error = standard_error(both.differences, both.codes)
    groups = groups_needed(error, comparison.groups, abs(good + margin), alpha, pull)
    needed = None if groups is None else math.ceil(groups * comparison.n / comparison.groups)
    return msgspec.structs.replace(
        base, outcome="insufficient", needed=needed, reason=(reason, _more(needed, comparison.n))
    )


def _superior(base: RuleResult, case: _Case, both: Pair, comparison: Comparison) -> RuleResult:
    up = case.info.higher_is_better
    good = comparison.effect if up else -comparison.effect
    worst = comparison.low if up else -comparison.high
    base = msgspec.structs.replace(base, low=comparison.low, high=comparison.high)
    if case.rule.confidence == "point":
        reason = say("judged by the measured value alone (confidence: point)")
        return msgspec.structs.replace(base, outcome="pass" if good > 0 else "fail", reason=(reason,))
    reason = say(
        "{effect} against the champion, between {low} and {high}, p = {p}",
        effect=case.show(comparison.effect, signed=True),
        low=case.show(comparison.low, signed=True),
        high=case.show(comparison.high, signed=True),
        p=f"{case.p_value:.2g}",
    )
    if good > 0 and worst > 0 and case.p_value < case.alpha:
        return msgspec.structs.replace(base, outcome="pass", reason=(reason,))
    if good <= 0:
        return msgspec.structs.replace(base, outcome="fail", reason=(reason, say("not better as measured")))
    error = standard_error(both.differences, both.codes)
    groups = groups_needed(error, comparison.groups, good, case.alpha / 2)
    needed = comparison.needed or (None if groups is None else math.ceil(groups * comparison.n / comparison.groups))
    return msgspec.structs.replace(
        base, outcome="insufficient", needed=needed, reason=(reason, _more(needed, comparison.n))
    )


def _needed_for_bound(case: _Case, kind: str, bound: float, found: tuple[float | None, float | None]) -> int | None:
    """Examples in all at which the bound would be decided, were the value and its scatter to stay as they are."""
    info, tail, n = case.info, case.alpha, len(case.found)
    if info.form == "quantile" and None in found:
        return max(n + 1, math.ceil(quantile_needs(info.q, tail) * n / case.groups))
    low, high = found[0] or 0.0, found[1] or 0.0
    error = standard_error(case.found.values, case.found.codes)
    if info.form != "mean":
        error = (high - low) / (2 * normal_quantile(1 - tail))
    end = info.low if kind == "min" else info.high
    pull = abs(case.value - end) if end is not None and info.form == "mean" else 0.0
    groups = groups_needed(error, case.groups, abs(case.value - bound), tail, pull)
    return None if groups is None else max(n + 1, math.ceil(groups * n / case.groups))


def _surely(case: _Case, kind: Literal["min", "max"], bound: float) -> Said:
    text = (
        say("at least {bound} with {confidence} confidence", bound=case.show(bound), confidence=case.confidence)
        if kind == "min"
        else say("at most {bound} with {confidence} confidence", bound=case.show(bound), confidence=case.confidence)
    )
    return text


def _more(needed: int | None, have: int) -> Said:
    if needed is None:
        return say("no number of examples would decide: the value lies on the bound")
    if needed > 1_000_000:
        return say("more than a million examples would be needed to decide")
    return say("about {n} more examples would decide", n=needed - have)
