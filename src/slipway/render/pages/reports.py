"""Reports: side by side, one with its examples, two compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from slipway.core.answer import Answer
from slipway.core.material import Example
from slipway.core.metrics import METRICS
from slipway.core.release import Comparison
from slipway.core.report import Report, Score
from slipway.evaluate.compare import Changed, Compared
from slipway.i18n import Said, joined, t, told
from slipway.render.cells import Amount, Estimate, Link, estimate, info_of, unbounded
from slipway.render.document import Column, Document, Table, listed
from slipway.render.pages.estimates import estimates_table


def reports(found: Sequence[tuple[str, Report, Sequence[Said]]]) -> Document:
    """Reports, newest first, with the rules that each missed."""
    metrics = in_order([report for _, report, _ in found])
    rows = [
        [at, r.candidate.name, r.split, r.digest, *(_of(r, metric) for metric in metrics), told(missed)]
        for at, r, missed in found
    ]  # fmt: skip
    columns = [Column(t("when"), "time"), Column(t("candidate")), Column(t("split")), Column(t("digest"), "digest")]
    columns += [*(Column(metric, "measure") for metric in metrics), Column(t("rules missed"))]
    data = [{"at": at, "digest": r.digest, "report": r, "missed": missed} for at, r, missed in found]
    return listed(data, Table(t("Reports"), columns, rows, _notes(rows)))


def candidates_table(title: str, found: Sequence[Report], metrics: Sequence[str] = ()) -> Table:
    """Metrics down, candidates across; each language by itself below the whole. `metrics`: what was asked for."""
    every = in_order(found)
    languages = sorted({language for report in found for language in report.by_language})
    rows: list[list[Any]] = []
    for metric in [metric for metric in every if metric in metrics] or every:
        rows.append([metric, *(_of(report, metric) for report in found)])
        if len(languages) > 1:
            parts = [[f"  {language}", *(_of(r, metric, language) for r in found)] for language in languages]
            rows += [part for part in parts if any(part[1:])]
    columns = [Column(t("metric")), *(Column(report.candidate.name, "measure") for report in found)]
    n = max((a.n for report in found for a in report.metrics.values()), default=0)
    shown = [str(row[0]) for row in rows]
    notes = [*_folded(found), *_notes(rows), *_apart(found, shown), *_likelihoods(found, shown)]
    return Table(joined([title, t("{n} examples", n=n)], "，"), columns, rows, notes)


def _folded(found: Sequence[Report]) -> list[str]:
    """A note where examples of train stand among those of dev."""
    folds = max((one.folds for one in found), default=0)
    if not folds:
        return []
    return [
        t(
            "train and dev in {folds} folds: what is fitted to examples answered each fold after it was fitted without "
            "it, and its intervals are wider for that",
            folds=folds,
        )
    ]


def _likelihoods(found: Sequence[Report], shown: Sequence[str]) -> list[str]:
    """Why a candidate has no perplexity, and what does not compare."""
    notes = [f"{one.candidate.name}: {told(one.unscored)}" for one in found if one.unscored]
    if "perplexity" in shown and len(found) > 1:
        notes.append(
            t("perplexity counts a model's own tokens: between models with other tokenizers compare bits_per_byte")
        )
    return notes


def _apart(found: Sequence[Report], shown: Sequence[str]) -> list[str]:
    """A note where latencies stand beside each other that were measured under different loads."""
    timed = next((name for name in shown if name in METRICS and METRICS[name].timed), None)
    together = {one.timed for one in found}
    if timed is None or len(found) < 2 or (len(together) == 1 and "" not in together):
        return []
    first, second = next(((a, b) for a, b in pairwise(found) if a.timed != b.timed), (found[0], found[1]))
    command = f"slipway eval --compare {first.candidate.name} {second.candidate.name} --metric {timed}"
    return [t("latencies were measured at different times, under another load; `{command}` measures two together",
              command=command)]  # fmt: skip


def report(found: Report, scores: Sequence[tuple[Example, Score]], limit: int) -> Document:
    """One report with its examples."""
    rows = [
        [s.example, s.language, e.text, " | ".join(e.expected), _said(s.answer), s.metrics] for e, s in scores
    ]  # fmt: skip
    columns = [Column(t("example")), Column(t("language")), Column(t("input"), "excerpt"),
               Column(t("expected"), "excerpt", 40), Column(t("answer"), "excerpt"), Column(t("scores"))]  # fmt: skip
    data = {"digest": found.digest, "report": found, "scores": [{"example": e, "score": s} for e, s in scores]}
    parts = [report_table(found), Table(t("Examples"), columns, rows[:limit])]
    return Document(data, parts, Table(t("Examples"), columns, rows))


def report_table(found: Report) -> Table:
    """Every metric with its 95% interval and number of examples, overall and per language."""
    languages = list(found.by_language) if len(found.by_language) > 1 else []
    rows: list[list[Any]] = [
        [metric, _of(found, metric), found.metrics[metric].n, *(_of(found, metric, one) for one in languages)]
        for metric in in_order([found])
    ]
    notes = [*_folded([found]), *_notes(rows)]
    notes += [told(found.unscored)] if found.unscored else []
    if found.errors:
        notes.append(t("{n} examples got no answer; they count as the worst value", n=found.errors))
    return Table(
        t("{candidate} on the {split} split", candidate=found.candidate.name, split=found.split),
        [Column(t("metric")), Column(t("value, 95% interval"), "measure"), Column(t("examples"), "count"),
         *(Column(language, "measure") for language in languages)],
        rows,
        notes,
    )  # fmt: skip


def comparison(found: Compared, champion: str, challenger: str) -> Document:
    """The paired effect, and the examples that changed most with their inputs."""
    currency = next((one.challenger.answer.currency for one in found.changed), "")
    effect = comparison_table([found.comparison], champion, challenger, currency)
    changed = changed_table(found.changed, found.comparison.metric, champion, challenger, found.examples)
    data: dict[str, Any] = {"comparison": found.comparison, "changed": found.changed}
    if not found.estimates:
        return Document(data, [effect, changed], effect)
    more = estimates_table(found.comparison, found.estimates, currency)
    return Document({**data, "estimates": found.estimates}, [effect, more, changed], effect)


def comparison_table(found: Sequence[Comparison], champion: str, challenger: str, currency: str = "") -> Table:
    """Paired differences, one metric a row: both values, effect with interval, p-value, detectable effect."""
    rows: list[list[Any]] = []
    for one in found:
        info = info_of(one.metric)
        rows.append(
            [
                one.metric,
                Amount(one.champion, info, currency),
                Amount(one.challenger, info, currency),
                Estimate(one.effect, info, currency, signed=True, low=one.low, high=one.high),
                one.p_value,
                None if one.mde is None else Amount(one.mde, info, currency),
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
        t("{challenger} against {champion}", challenger=challenger, champion=champion),
        [Column(t("metric")), Column(champion, "measure"), Column(challenger, "measure"),
         Column(t("effect, 95% interval"), "measure"), Column("p", "probability"),
         Column(t("detectable"), "measure"), Column(t("meaning"))],
        rows,
        notes + _notes(rows),
    )  # fmt: skip


def changed_table(
    changed: Sequence[Changed],
    metric: str,
    champion: str,
    challenger: str,
    examples: Mapping[str, Example],
    to: Callable[[str], str] | None = None,
) -> Table:
    """The examples that changed most: what was asked and expected, and what each candidate answered. `to`: the page
    about one of them, by its id.
    """
    info = info_of(metric)
    rows = [
        [
            Link(one.example, to(one.example)) if to else one.example,
            examples[one.example].text if one.example in examples else "",
            Amount(one.difference, info, one.challenger.answer.currency, signed=True),
            " | ".join(one.challenger.expected),
            _said(one.champion.answer),
            _said(one.challenger.answer),
        ]
        for one in changed
    ]
    return Table(
        t("examples whose {metric} changed most", metric=metric),
        [Column(t("example"), "digest"), Column(t("input"), "excerpt"), Column(t("change"), "measure"),
         Column(t("expected"), "excerpt"), Column(champion, "excerpt"), Column(challenger, "excerpt")],
        rows,
    )  # fmt: skip


def in_order(found: Sequence[Report]) -> list[str]:
    """The metrics there are, in the order of their table, others by name behind them (a report keeps them by name)."""
    names = {name for report in found for name in report.metrics}
    return [name for name in METRICS if name in names] + sorted(names - set(METRICS))


def _of(report: Report, metric: str, language: str = "") -> Estimate | None:
    part = report.by_language.get(language, {}) if language else report.metrics
    return estimate(part.get(metric), info_of(metric, report.meanings), report.currency)


def _notes(rows: Sequence[Sequence[Any]]) -> list[str]:
    return unbounded(cell for row in rows for cell in row)


def _said(answer: Answer) -> str:
    return told(answer.error) or answer.text


def _meaning(one: Comparison, challenger: str) -> str:
    if (one.low or 0.0) <= 0 <= (one.high or 0.0) or one.p_value >= 0.05:
        if one.needed is None:
            return t("no difference shown")
        return t("no difference shown; about {n} more examples would show this one", n=max(1, one.needed - one.n))
    better = (one.effect > 0) == one.higher_is_better
    return t("{name} is better", name=challenger) if better else t("{name} is worse", name=challenger)
