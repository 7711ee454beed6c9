"""The gate: rules on a report, and the verdict. Knows scores and rules; not who releases, stores or serves.

Three kinds of claim, each with at most `alpha` (5%) false passes (`claims` judges them):

- absolute bound (`min`, `max`);
- non-inferiority (`against` + `margin`): at most `margin` worse than the champion on the same examples;
- superiority (`against`, without `margin` or with `better`): better than the champion on the same examples.

What is neither shown nor refuted is `insufficient`. What is missing fails. All rules must pass, in every slice they
name, which can only lower the share of false passes: nothing is corrected for the number of rules.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec

from slipway.core.metrics import MetricInfo
from slipway.core.ref import Ref
from slipway.core.release import RuleResult, Verdict
from slipway.core.report import Report, Score
from slipway.errors import ConfigError
from slipway.i18n import Said, say
from slipway.release.claims import Case, Outcome, judge_absolute, judge_against
from slipway.release.rules import Rule, asked, check_rules
from slipway.stats.pairs import Pair, pair
from slipway.stats.samples import Sample, point, sample

Champion = tuple[Ref, Report, Sequence[Score]]  # the release to beat, its report on the same split, its scores
Champions = Mapping[str, Champion]  # by channel; one that is absent has no release to beat
__all__ = ["Champion", "Champions", "Rule", "check_rules", "judge"]


def judge(
    rules: Mapping[str, Rule],
    report: Report,
    scores: Sequence[Score],
    champions: Champions | None = None,
    gate_uses: int = 1,
    alpha: float = 0.05,
    gate_share: float | None = None,
) -> Verdict:
    """The verdict on one candidate. `rules`: metric -> rule, each compared with the champion of its own channel.

    `alpha`: the share of false passes allowed at this look. `gate_share`: of the project's examples that are in the
    gate split, so that the verdict can say how many to add in all. Raises ConfigError for a rule that asks nothing or
    something impossible, NotFound for an unknown metric.
    """
    check_rules(rules, report.meanings)
    champions = champions or {}
    vouched = any(rule.vouches(report.meaning(name)) for name, rule in rules.items())
    results: list[RuleResult] = []
    for name, rule in rules.items():
        info = report.meaning(name)
        broken = _broken(info, report, scores)
        if broken:
            results.extend(_all_fail(name, rule, broken))
            continue
        if rule.limit is not None:
            info = msgspec.structs.replace(info, high=rule.limit)
        champion = champions.get(rule.against) if rule.against else None
        judged = _Rule(info, rule, champion, vouched, alpha, report.currency, gate_share)
        results.extend(judged.results(scores))
        for key in rule.slices:
            results.extend(judged.slice_results(scores, key))
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


class _Rule(msgspec.Struct, frozen=True):
    """One rule with all that it is judged by."""

    info: MetricInfo
    rule: Rule
    champion: Champion | None
    vouched: bool  # some rule of the gate asks for quality by itself
    alpha: float
    currency: str
    gate_share: float | None

    def results(self, scores: Sequence[Score], part: str = "", names: frozenset[str] | None = None) -> list[RuleResult]:
        """Of all claims, on the scores given; `names`: the examples of a slice, in which superiority is not asked."""
        info, rule = self.info, self.rule
        found, both = sample(scores, info), self._pair(scores, names)
        beyond = _beyond(rule, found)
        if beyond:
            return _all_fail(info.name, rule, beyond, part)
        case = Case(info, rule, found, both, self.alpha, self.currency, self.gate_share if not part else None)
        comparison = case.comparison()
        if comparison is not None and self.champion is not None:
            comparison = msgspec.structs.replace(comparison, against=self.champion[0])
        results: list[RuleResult] = []
        for kind, bound in asked(rule):
            if kind in ("min", "max"):
                alone = Case(info, rule, found, None, self.alpha, self.currency, case.gate_share)
                results.append(judge_absolute(alone, kind, bound))
            elif not part or kind == "non-inferiority":
                base = RuleResult(
                    metric=info.name, rule=kind, outcome="pass", bound=bound, value=case.value,
                    against=rule.against or "", champion=self.champion[0] if self.champion else None,
                    comparison=comparison,
                )  # fmt: skip
                results.append(
                    self._incomparable(base, part) if both is None else judge_against(case, both, kind, bound, base)
                )
        return [msgspec.structs.replace(one, slice=part, limit=rule.limit) for one in results]

    def slice_results(self, scores: Sequence[Score], key: str) -> list[RuleResult]:
        """Of all claims that a slice must keep, in each part that `key` cuts the examples into."""
        parts: dict[str, list[Score]] = {}
        for score in scores:
            value = score.language if key == "language" else score.facets.get(key, "")
            parts.setdefault(value, []).append(score)
        if set(parts) <= {""}:
            return _all_fail(self.info.name, self.rule, say("no example has '{key}' to slice by", key=key), f"{key}=")
        results: list[RuleResult] = []
        for value, part in sorted(parts.items()):
            name = f"{key}={value or '-'}"
            if not len(sample(part, self.info)):
                reason = say("no example of the slice has it")
                results.extend(_all_fail(self.info.name, self.rule, reason, name, outcome="insufficient"))
            else:
                results.extend(self.results(part, name, frozenset(score.example for score in part)))
        return results

    def _pair(self, scores: Sequence[Score], names: frozenset[str] | None) -> Pair | None:
        """The two on the same examples, None when they cannot be compared."""
        if self.champion is None:
            return None
        theirs = [score for score in self.champion[2] if names is None or score.example in names]
        try:
            both = pair(theirs, scores, self.info)
        except ConfigError:
            return None
        return both if both.champion.group_count > 1 else None

    def _incomparable(self, base: RuleResult, part: str) -> RuleResult:
        channel = self.rule.against or ""
        if self.champion is not None:
            why = say("cannot be compared with the champion: no examples in common that have it, or a single group")
            return msgspec.structs.replace(base, outcome="insufficient" if part else "fail", reason=(why,))
        if self.vouched:
            why = say("nothing serves on '{channel}' yet: there is nothing to compare with", channel=channel)
            return msgspec.structs.replace(base, reason=(why,))
        why = say(
            "nothing serves on '{channel}' yet, and no rule asks for quality by itself: give a quality metric a min, "
            "such as token_f1: {{min: 0.3}}",
            channel=channel,
        )
        return msgspec.structs.replace(base, outcome="fail", reason=(why,))


def _broken(info: MetricInfo, report: Report, scores: Sequence[Score]) -> Said | None:
    """Why the metric cannot be judged, or nothing."""
    shown, found = report.metrics.get(info.name), sample(scores, info)
    if shown is None or not len(found):
        return say("was not measured")
    if not math.isfinite(shown.value):
        return say("is not a number")
    if not math.isclose(shown.value, point(info, found), rel_tol=1e-6, abs_tol=1e-9):
        return say("differs between the report and its scores: evaluate again")
    return None


def _beyond(rule: Rule, found: Sample) -> Said | None:
    largest = float(found.values.max())
    if rule.limit is None or largest <= rule.limit:
        return None
    return say("an example has {value}, above the limit of the rule", value=f"{largest:.4g}")


def _all_fail(name: str, rule: Rule, reason: Said, part: str = "", outcome: Outcome = "fail") -> list[RuleResult]:
    return [
        RuleResult(
            metric=name,
            rule=kind,
            outcome=outcome,
            bound=bound,
            value=None,
            reason=(reason,),
            against=rule.against or "" if kind in ("non-inferiority", "superiority") else "",
            slice=part,
        )
        for kind, bound in asked(rule)
        if not part or kind != "superiority"
    ]
