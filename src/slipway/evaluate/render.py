"""Reports, comparisons and verdicts as tables of text. Knows labels and numbers; colours and consoles are the cli's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from slipway.core.metrics import METRICS, MetricInfo, format_value
from slipway.core.release import Comparison, RuleResult, Verdict
from slipway.core.report import Aggregate, Report
from slipway.evaluate.compare import Changed
from slipway.i18n import t, told

_EXCERPT = 60  # characters of an answer shown in a table


@dataclass(frozen=True)
class Table:
    """A titled table: `rows` are as wide as `columns`; `notes` stand below it, one a line."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    notes: list[str] = field(default_factory=list[str])


def report_table(report: Report) -> Table:
    """Every metric with its 95% interval and number of examples, overall and per language."""
    languages = list(report.by_language) if len(report.by_language) > 1 else []
    rows: list[list[str]] = []
    for name, found in report.metrics.items():
        row = [name, _value(name, found, report.currency), _interval(name, found, report.currency), str(found.n)]
        for language in languages:
            part = report.by_language[language].get(name)
            row.append(_cell(name, part, report.currency) if part else "-")
        rows.append(row)
    notes: list[str] = []
    if report.errors:
        notes.append(t("{n} examples got no answer; they count as the worst value", n=report.errors))
    return Table(
        title=t("{candidate} on the {split} split", candidate=report.candidate.name, split=report.split),
        columns=[t("metric"), t("value"), t("95% interval"), t("examples"), *languages],
        rows=rows,
        notes=notes,
    )


def ranking_table(reports: Mapping[str, Report]) -> Table:
    """Candidates side by side: one row each, one column a metric, with 95% intervals."""
    names = [name for name in METRICS if any(name in report.metrics for report in reports.values())]
    names += sorted({name for report in reports.values() for name in report.metrics} - set(names))
    rows = [
        [candidate, *(_cell(name, report.metrics.get(name), report.currency) for name in names)]
        for candidate, report in reports.items()
    ]
    return Table(title=t("candidates"), columns=[t("candidate"), *names], rows=rows)


def comparison_table(found: Sequence[Comparison], champion: str, challenger: str, currency: str = "") -> Table:
    """Paired differences, one metric a row: both values, effect with interval, p-value, detectable effect."""
    rows: list[list[str]] = []
    for one in found:
        info = _info(one.metric)
        low, high = (format_value(info, value, currency, signed=True) for value in (one.low, one.high))
        rows.append(
            [
                one.metric,
                format_value(info, one.champion, currency),
                format_value(info, one.challenger, currency),
                f"{format_value(info, one.effect, currency, signed=True)} [{low}, {high}]",
                f"{one.p_value:.2g}",
                "-" if one.mde is None else format_value(info, one.mde, currency),
                _meaning(one, challenger),
            ]
        )
    notes = [
        t("{metric}: {n} examples in {groups} independent groups, {test}", metric=one.metric, n=one.n,
          groups=one.groups, test=one.test)
        for one in found
    ]  # fmt: skip
    notes.append(t("detectable: the smallest true effect that so many examples show with 80% probability"))
    return Table(
        title=t("{challenger} against {champion}", challenger=challenger, champion=champion),
        columns=[t("metric"), champion, challenger, t("effect, 95% interval"), "p", t("detectable"), t("meaning")],
        rows=rows,
        notes=notes,
    )


def changed_table(changed: Sequence[Changed], metric: str, champion: str, challenger: str) -> Table:
    """The examples that changed most: what was expected and what each candidate answered."""
    info = _info(metric)
    rows = [
        [
            one.example[:8],
            format_value(info, one.difference, one.challenger.answer.currency, signed=True),
            _excerpt(" | ".join(one.challenger.expected)),
            _excerpt(told(one.champion.answer.error) or one.champion.answer.text),
            _excerpt(told(one.challenger.answer.error) or one.challenger.answer.text),
        ]
        for one in changed
    ]
    return Table(
        title=t("examples whose {metric} changed most", metric=metric),
        columns=[t("example"), t("change"), t("expected"), champion, challenger],
        rows=rows,
    )


def verdict_table(verdict: Verdict, currency: str = "") -> Table:
    """One rule a row with its outcome and why; the notes say how often the gate split was used."""
    rows = [
        [
            one.metric,
            _claim(one, currency),
            "-" if one.value is None else format_value(_info(one.metric), one.value, currency),
            outcome_word(one.outcome),
            _why(one),
        ]
        for one in verdict.rules
    ]
    notes = [t("this look at the gate split is number {n}", n=verdict.gate_uses)]
    if verdict.looks:
        notes = [
            t("look {n} of {budget} at these gate examples; every rule was tested at alpha {alpha}",
              n=verdict.gate_uses, budget=verdict.looks, alpha=f"{verdict.alpha:.2g}")
        ]  # fmt: skip
    elif verdict.gate_uses > 5:  # before looks had a price
        notes.append(t("after so many looks a pass may be luck: collect new gate examples"))
    notes += [
        t("{channel}: compared with {release}", channel=channel, release=release.short)
        for channel, release in sorted(verdict.champions.items())
    ]
    if not verdict.rules:
        notes.append(t("a gate without rules lets nothing through"))
    return Table(
        title=t("gate: {outcome}", outcome=outcome_word(verdict.outcome)),
        columns=[t("metric"), t("asked"), t("measured"), t("outcome"), t("why")],
        rows=rows,
        notes=notes,
    )


def verdict_lines(verdict: Verdict, currency: str = "") -> list[str]:
    """The verdict in sentences, one a rule: `token_f1 0.410, asked: at least 0.250: pass (...)`."""
    lines: list[str] = []
    for one in verdict.rules:
        value = t("not measured") if one.value is None else format_value(_info(one.metric), one.value, currency)
        line = t(
            "{metric} {value}, asked: {claim}: {outcome}",
            metric=one.metric,
            value=value,
            claim=_claim(one, currency),
            outcome=outcome_word(one.outcome),
        )
        lines.append(f"{line} ({_why(one)})" if one.reason else line)
    return lines


def outcome_word(outcome: str) -> str:
    """pass, fail or insufficient, in the language in force."""
    return {"pass": t("pass"), "fail": t("fail"), "insufficient": t("insufficient")}[outcome]


def _claim(one: RuleResult, currency: str) -> str:
    bound = format_value(_info(one.metric), one.bound, currency)
    if one.rule == "min":
        return t("at least {bound}", bound=bound)
    if one.rule == "max":
        return t("at most {bound}", bound=bound)
    if one.rule == "non-inferiority":
        return t("at most {margin} worse than {channel}", margin=bound, channel=one.against or t("what serves"))
    return t("better than {channel}", channel=one.against or t("what serves"))


def _why(one: RuleResult) -> str:
    return "; ".join(str(said) for said in one.reason)


def _meaning(one: Comparison, challenger: str) -> str:
    if one.low <= 0 <= one.high or one.p_value >= 0.05:
        if one.needed is None:
            return t("no difference shown")
        return t("no difference shown; about {n} more examples would show this one", n=max(1, one.needed - one.n))
    better = (one.effect > 0) == one.higher_is_better
    return t("{name} is better", name=challenger) if better else t("{name} is worse", name=challenger)


def _cell(name: str, found: Aggregate | None, currency: str) -> str:
    return f"{_value(name, found, currency)} {_interval(name, found, currency)}" if found else "-"


def _value(name: str, found: Aggregate, currency: str) -> str:
    return format_value(_info(name), found.value, currency)


def _interval(name: str, found: Aggregate, currency: str) -> str:
    info = _info(name)
    low, high = (format_value(info, value, currency).split(" ")[0] for value in (found.low, found.high))
    return f"[{low}, {high}]"


def _info(name: str) -> MetricInfo:
    return METRICS.get(name) or MetricInfo(name=name)  # a scorer that a project brings has no unit


def _excerpt(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _EXCERPT else line[: _EXCERPT - 1] + "…"
