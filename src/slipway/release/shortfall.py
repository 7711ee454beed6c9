"""Which rules were missed, and by how much: told of a report before the gate, and of what the gate judged."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from slipway.core.metrics import METRICS, MetricInfo, said_value
from slipway.core.release import RuleResult
from slipway.core.report import Report
from slipway.i18n import Said, say
from slipway.release.rules import Rule


def missed_bounds(rules: Mapping[str, Rule], report: Report) -> list[Said]:
    """The absolute bounds that the measured values do not keep, each with the gap."""
    found: list[Said] = []
    for name, rule in rules.items():
        measured = report.metrics.get(name)
        if measured is None or not math.isfinite(measured.value):
            found.append(say("{metric} was not measured", metric=name))
            continue
        info, value = report.meaning(name), measured.value
        if rule.min is not None and value < rule.min:
            found.append(_missed(name, info, value, ("min", rule.min), report.currency))
        if rule.max is not None and value > rule.max:
            found.append(_missed(name, info, value, ("max", rule.max), report.currency))
    return found


def missed_rules(results: Iterable[RuleResult], report: Report) -> list[Said]:
    """The claims of a verdict that did not pass, each with what is missing to it."""
    found: list[Said] = []
    for one in results:
        short = shortfall(one, report.meanings, report.currency)
        if short is not None:
            found.append(say("{metric}: {why}", metric=f"{one.metric} ({one.slice})" if one.slice else one.metric,
                             why=short))  # fmt: skip
    return found


def shortfall(one: RuleResult, meanings: Mapping[str, MetricInfo] | None = None, currency: str = "") -> Said | None:
    """What one claim lacks; None where it passed."""
    if one.outcome == "pass":
        return None
    info = (meanings or {}).get(one.metric) or METRICS.get(one.metric) or MetricInfo(name=one.metric)
    compared = one.rule in ("non-inferiority", "superiority")
    value = (one.comparison.effect if one.comparison else None) if compared else one.value
    if value is None:
        return one.reason[0] if one.reason else say("was not measured")
    up = info.higher_is_better if compared else one.rule == "min"
    line = (0.0 if one.rule == "superiority" else -one.bound if up else one.bound) if compared else one.bound
    proven = one.low if up else one.high
    sign = 1.0 if up else -1.0

    def shown(number: float) -> str | Said:
        return said_value(info, number, currency, signed=compared)

    gap = said_value(info, abs(value - line), currency)
    if sign * (value - line) < 0 or (one.rule == "superiority" and value == line):
        return say("{value} measured, {line} asked: missed by {gap}", value=shown(value), line=shown(line), gap=gap)
    if proven is None:
        return say("{value} measured, {line} asked: kept by {gap}, and nothing is proven with so few examples",
                   value=shown(value), line=shown(line), gap=gap)  # fmt: skip
    if sign * (proven - line) >= 0:
        return None if not one.reason else one.reason[0]
    return say(
        "{value} measured, {line} asked: kept, but only {proven} is proven, {gap} short of it",
        value=shown(value), line=shown(line), proven=shown(proven),
        gap=said_value(info, abs(proven - line), currency),
    )  # fmt: skip


def _missed(name: str, info: MetricInfo, value: float, asked: tuple[str, float], currency: str) -> Said:
    kind, bound = asked
    values = {
        "metric": name,
        "value": said_value(info, value, currency),
        "bound": said_value(info, bound, currency),
        "gap": said_value(info, abs(value - bound), currency),
    }
    if kind == "min":
        return say("{metric}: {value} measured, at least {bound} asked: missed by {gap}", **values)
    return say("{metric}: {value} measured, at most {bound} asked: missed by {gap}", **values)
