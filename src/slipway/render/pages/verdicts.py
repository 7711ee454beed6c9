"""The gate's verdict as a table, and what a rule is called."""

from __future__ import annotations

from slipway.core.metrics import MetricInfo
from slipway.core.release import RuleResult, Verdict
from slipway.i18n import joined, t
from slipway.release.claims import judged_by_point
from slipway.release.planning import Prospect
from slipway.release.shortfall import shortfall
from slipway.render.cells import Amount, amount, info_of
from slipway.render.document import Column, Document, Table, listed


def verdict(found: Verdict, currency: str = "") -> Document:
    """The gate, rule by rule, in words."""
    return listed(found, verdict_table(found, currency))


def verdict_table(found: Verdict, currency: str = "") -> Table:
    """One rule a row with its outcome and why; the notes say how often the gate split was used."""
    rows = [
        [
            about(one),
            claim_words(one, info_of(one.metric), currency),
            _measured(one, currency),
            outcome_word(one.outcome),
            _why(one, currency),
        ]
        for one in found.rules
    ]
    notes = [t("this look at the gate split is number {n}", n=found.gate_uses)]
    if found.looks:
        notes = [t("look {n} of {budget} at these gate examples", n=found.gate_uses, budget=found.looks)]
        if not all(judged_by_point(one) for one in found.rules):
            notes[0] += "; " + t("bounds were tested at alpha {alpha}", alpha=f"{found.alpha:.2g}")
    elif found.gate_uses > 5:  # before looks had a price
        notes.append(t("after so many looks a pass may be luck: collect new gate examples"))
    notes += [
        t("{channel}: compared with {release}", channel=channel, release=release.short)
        for channel, release in sorted(found.champions.items())
    ]
    notes += warned(found)
    if not found.rules:
        notes.append(t("a gate without rules lets nothing through"))
    return Table(
        t("gate: {outcome}", outcome=outcome_word(found.outcome)),
        [Column(t("metric")), Column(t("asked")), Column(t("measured"), "measure"), Column(t("outcome")),
         Column(t("why"))],
        rows,
        notes,
    )  # fmt: skip


def warned(found: Verdict) -> list[str]:
    """The warnings of a verdict, one a line."""
    return [t("warning: {what}", what=one) for one in found.warnings]


def outcome_word(outcome: str) -> str:
    """pass, fail or insufficient, in the language in force."""
    return {"pass": t("pass"), "fail": t("fail"), "insufficient": t("insufficient")}[outcome]


def about(one: RuleResult) -> str:
    """The metric, and the slice of the examples that it is about."""
    return f"{one.metric} ({one.slice})" if one.slice else one.metric


def claim_words(one: RuleResult | Prospect, info: MetricInfo, currency: str) -> str:
    """What the rule asks."""
    bound = amount(Amount(one.bound, info, currency))
    if one.rule == "min":
        return t("at least {bound}", bound=bound)
    if one.rule == "max":
        return t("at most {bound}", bound=bound)
    if one.rule == "non-inferiority":
        return t("at most {margin} worse than {channel}", margin=bound, channel=one.against or t("what serves"))
    return t("better than {channel}", channel=one.against or t("what serves"))


def _measured(one: RuleResult, currency: str) -> Amount | None:
    return None if one.value is None else Amount(one.value, info_of(one.metric), currency)


def _why(one: RuleResult, currency: str) -> str:
    short = shortfall(one, currency=currency)
    said = [short] if short is not None and short not in one.reason else []
    return joined(str(part) for part in (*said, *one.reason))
