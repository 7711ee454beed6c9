"""What candidates were measured to do: every number leads to the examples behind it, the worst first.

Examples of the gate are never shown here: a look at them is counted, and a link is followed by accident.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request, Response

from slipway import api
from slipway.api.finding import scored
from slipway.api.whole import business_case
from slipway.console import page, trace_views, views
from slipway.console.page import ROOT
from slipway.console.visit import Pages
from slipway.core.material import Example
from slipway.core.metrics import METRICS, MetricInfo
from slipway.core.release import Verdict
from slipway.core.report import Aggregate, Report, Score
from slipway.errors import ConfigError, NotFound
from slipway.evaluate import compare
from slipway.i18n import t, told
from slipway.render.cells import Amount, Link, amount, estimate, info_of, unbounded
from slipway.render.document import Column, Document, Part, Passage, Picture, Section, Table
from slipway.render.pages import reports as report_pages
from slipway.render.pages.frontier import frontier
from slipway.render.pages.scales import verdict_picture
from slipway.render.pages.verdicts import verdict_table
from slipway.render.pages.why import why
from slipway.render.pages.worth import case_table
from slipway.serve.admin.access import needs
from slipway.serve.refuse import Refused
from slipway.stats.calibration import contributions
from slipway.stats.samples import sample

SHOWN = 100  # examples on one page
Scored = tuple[Example, Score]


def measured(pages: Pages) -> APIRouter:
    """Needs the scope `read`."""
    router, project = APIRouter(prefix=ROOT, dependencies=[needs("read")]), pages.project

    @router.get("/reports")
    def reports(request: Request) -> Response:
        found = api.reports(project)[:200]
        newest, asked = _newest([one for _, one, _ in found]), project.project.evaluate.names
        parts = [*views.reports(found, asked).parts]
        if newest and (drawn := frontier(newest, _first(newest[0], asked))):
            parts.append(Picture(drawn))
        parts += _worth(pages)
        return pages.page(request, t("Reports"), Document(None, parts), after=_pair(newest, asked))

    @router.get("/reports/{digest}")
    def report(request: Request, digest: str) -> Response:
        found = project.store.catalog.get("report", digest, Report)
        if found.split == "gate":
            hidden = t(
                "The answers on the gate split are not shown here: looking at them is counted. "
                "`slipway eval show NAME --split gate` shows them."
            )
            parts = [*_judged(pages, found), report_pages.report_table(found), hidden]
            return pages.page(request, _title(found), Document(None, parts))
        rows, metric = scored(project, found), _first(found, project.project.evaluate.names)
        worst = _worst(rows, found, metric)[:10]
        parts = [
            _linked(found),
            *_slices(found, rows, metric),
            _examples(found, metric, worst, t("The worst examples")),
        ]
        return pages.page(request, _title(found), Document(None, parts))

    @router.get("/compare")
    def pair(request: Request, before: str, after: str, metric: str = "") -> Response:
        two = [_open(pages, one) for one in (before, after)]
        first, second = (f"{one.candidate.name} {one.digest[:6]}" for one in two)
        asked = project.project.evaluate.names
        metric = metric or _first(two[1], asked)
        info = two[1].meaning(metric)
        rows = [scored(project, one) for one in two]
        sides = [[score for _, score in one] for one in rows]
        effect = compare.compare(sides[0], sides[1], info)
        changed = compare.most_changed(sides[0], sides[1], info, 30)
        every = {one.id: one for one, _ in (*rows[0], *rows[1])}
        parts: list[Part] = [
            report_pages.comparison_table([effect], first, second, two[1].currency),
            _changed(report_pages.changed_table(changed, metric, first, second, every), changed, two),
        ]
        if metric in METRICS and METRICS[metric].timed:
            parts.append(t("Latencies of two reports were measured under different loads: the difference says little."))
        return pages.page(
            request, t("Two candidates on the same examples"), Document(None, parts), after=_pair(two, asked, metric)
        )

    _ = reports, report, pair
    return router


def examples(pages: Pages) -> APIRouter:
    """Needs the scope `read`."""
    router, project = APIRouter(prefix=ROOT, dependencies=[needs("read")]), pages.project

    @router.get("/reports/{digest}/examples")
    def every(
        request: Request, digest: str, metric: str = "", language: str = "", facet: str = "", value: str = "",
        page_: int = 0,
    ) -> Response:  # fmt: skip
        found = _open(pages, digest)
        rows = _part(scored(project, found), language, facet, value)
        if metric and metric not in found.metrics:
            raise NotFound(t("this report has no metric '{name}'", name=metric[:60]), "")
        metric = metric or _first(found, project.project.evaluate.names)
        worst = _worst(rows, found, metric)
        what = ", ".join(filter(None, (language, f"{facet} = {value}" if facet else "")))
        said = t("by {metric}, the worst first: {n} examples {what}", metric=metric, n=len(worst), what=what)
        start = max(0, page_) * SHOWN
        parts: list[Part] = [said, _examples(found, metric, worst[start : start + SHOWN], t("Examples"))]
        if len(worst) > start + SHOWN:
            asked = {"metric": metric, "language": language, "facet": facet, "value": value, "page_": str(page_ + 1)}
            parts.append(Link(t("more"), f"{ROOT}/reports/{found.digest}/examples?{views.query(asked)}"))
        return pages.page(request, _title(found), Document(None, parts))

    @router.get("/reports/{digest}/examples/{id}")
    def example(request: Request, digest: str, id: str) -> Response:
        found = _open(pages, digest)
        for one, score in scored(project, found):
            if one.id == id:
                back = f'<p><a href="{ROOT}/reports/{found.digest}">{page.line(_title(found))}</a></p>'
                return pages.page(request, t("Example {id}", id=id), _example(found, one, score), back)
        raise NotFound(t("this report has no example '{id}'", id=id[:32]), "")

    _ = every, example
    return router


def _part(rows: Sequence[Scored], language: str, facet: str, value: str) -> list[Scored]:
    """Those of a language, where one is asked for, and of a slice."""
    kept = [one for one in rows if not language or one[1].language == language]
    return [one for one in kept if not facet or one[1].facets.get(facet) == value]


def _open(pages: Pages, digest: str) -> Report:
    """A report whose examples may be shown. Raises Refused for one of the gate."""
    found = pages.project.store.catalog.get("report", digest, Report)
    if found.split == "gate":
        raise Refused(
            403,
            t("examples of the gate are not shown here"),
            t("looking at them is counted: `slipway eval show NAME --split gate`"),
        )
    return found


def _judged(pages: Pages, found: Report) -> list[Part]:
    """What the gate said of it, also where it said no: each rule, what was measured, how many examples would decide."""
    for _, one in pages.project.store.catalog.list("verdict", Verdict):
        if one.report.digest == found.digest:
            return [*why(one, found).parts, Picture(verdict_picture(one, found)), verdict_table(one, found.currency)]
    return []


def _title(found: Report) -> str:
    return t("{candidate} on the {split} split", candidate=found.candidate.name, split=found.split)


def _first(found: Report, asked: Sequence[str]) -> str:
    """The metric that examples are put in order by where none is named: the first of quality, of those that the project
    asks for if it can be.
    """
    known = [*asked, *report_pages.in_order([found])]
    quality = [one for one in known if one in found.metrics and info_of(one, found.meanings).kind == "quality"]
    return next(iter(quality or found.metrics), "")


def _newest(found: Sequence[Report]) -> list[Report]:
    """Of each candidate, on dev, all on the newest dataset."""
    dev = [one for one in found if one.split == "dev"]
    same = [one for one in dev if one.dataset == dev[0].dataset] if dev else []
    return list({one.candidate.name: one for one in reversed(same)}.values())


def _worth(pages: Pages) -> list[Part]:
    """The business case, where the project file says what an answer is worth; or why it cannot be made."""
    try:
        found = business_case(pages.project)
    except ConfigError as error:
        return [Section(t("What it is worth"), [error.message, error.hint])]
    return [case_table(found)] if found else []


def _pair(found: Sequence[Report], asked: Sequence[str], metric: str = "") -> str:
    if len(found) < 2:
        return ""
    named = [(one.digest, f"{one.candidate.name} {one.digest[:12]}") for one in found]
    metrics = [(name, name) for name in report_pages.in_order(found)]
    return page.form(
        f"{ROOT}/compare",
        t("Compare"),
        page.choice("before", t("Before"), named, named[0][0]),
        page.choice("after", t("After"), named, named[1][0]),
        page.choice("metric", t("metric"), metrics, metric or _first(found[0], asked)),
    )


def _linked(found: Report) -> Table:
    """Every metric, whole and per language; each number leads to its examples."""
    languages = list(found.by_language) if len(found.by_language) > 1 else []

    def cell(metric: str, of: Aggregate | None, **asked: str) -> Any:
        value = estimate(of, info_of(metric, found.meanings), found.currency)
        at = f"{ROOT}/reports/{found.digest}/examples?{views.query({'metric': metric, **asked})}"
        return value and Link(amount(value), at)

    rows = [
        [metric, cell(metric, whole), whole.n,
         *(cell(metric, found.by_language[one].get(metric), language=one) for one in languages)]
        for metric, whole in ((metric, found.metrics[metric]) for metric in report_pages.in_order([found]))
    ]  # fmt: skip
    columns = [Column(t("metric")), Column(t("value, 95% interval"), "measure"), Column(t("examples"), "count")]
    columns += [Column(one, "measure") for one in languages]
    values = [estimate(one, info_of(name, found.meanings), found.currency) for name, one in found.metrics.items()]
    notes = [*unbounded(values)]
    if found.errors:
        notes.append(t("{n} examples got no answer; they count as the worst value", n=found.errors))
    return Table(_title(found), columns, rows, notes)


def _slices(found: Report, rows: Sequence[Scored], metric: str) -> list[Table]:
    """Means by what the examples' `meta` says of them, such as a topic."""
    by = dict[tuple[str, str], list[float]]()
    for _, score in rows:
        for facet, value in score.facets.items():
            if metric in score.metrics:
                by.setdefault((facet, value), []).append(score.metrics[metric])
    if not by:
        return []
    info = info_of(metric, found.meanings)
    lines: list[list[Any]] = []
    for (facet, value), values in sorted(by.items()):
        at = f"{ROOT}/reports/{found.digest}/examples?{views.query({'facet': facet, 'value': value})}"
        mean = Amount(sum(values) / len(values), info, found.currency)
        lines.append([Link(f"{facet} = {value}", at), mean, len(values)])
    columns = [Column(t("slice")), Column(metric, "measure"), Column(t("examples"), "count")]
    return [Table(t("By slice, means"), columns, lines)]


def _worst(rows: Sequence[Scored], found: Report, metric: str) -> list[tuple[Scored, float]]:
    """Those that a metric was measured on, each with its value, as the report has counted it."""
    info, by = info_of(metric, found.meanings), {score.example: (one, score) for one, score in rows}
    measured = sample([score for _, score in rows], info)
    values = contributions(measured.values) if info.form == "calibration" else measured.values
    sign = 1.0 if info.higher_is_better else -1.0
    found_ = zip(measured.ids, values.tolist(), strict=True)
    return [(by[id], value) for id, value in sorted(found_, key=lambda one: (sign * one[1], one[0]))]


def _examples(found: Report, metric: str, rows: Sequence[tuple[Scored, float]], title: str) -> Table:
    info = info_of(metric, found.meanings)
    columns = [Column(t("input"), "excerpt", 80), Column(t("expected"), "excerpt", 60),
               Column(t("answer"), "excerpt", 80), Column(metric, "measure"), Column(t("scores")),
               Column(t("language"))]  # fmt: skip
    lines = [
        [_to(found, one.id, one.text), " | ".join(one.expected), told(score.answer.error) or score.answer.text,
         Amount(value, info, found.currency), score.metrics, score.language]
        for (one, score), value in rows
    ]  # fmt: skip
    return Table(title, columns, lines)


def _to(found: Report, example: str, text: str) -> Link:
    return Link(text or t("(empty)"), f"{ROOT}/reports/{found.digest}/examples/{example}")


def _changed(shown: Table, changed: Sequence[compare.Changed], two: Sequence[Report]) -> Table:
    """The table of what changed most: the input leads to the first report's example, the change to the second's."""
    rows = [
        [row[0], _to(two[0], one.example, row[1]), Link(amount(row[2]), _to(two[1], one.example, "").to), *row[3:]]
        for row, one in zip(shown.rows, changed, strict=True)
    ]
    return replace(shown, rows=rows)


def _example(found: Report, one: Example, score: Score) -> Document:
    """One example whole: input, reference, answer with its passages, scores, where it came from."""
    meanings: dict[str, MetricInfo] = found.meanings
    values = [[name, Amount(value, info_of(name, meanings), found.currency)] for name, value in score.metrics.items()]
    columns = [Column(t("metric")), Column(t("value"), "measure")]
    parts: list[Part] = [
        Section(t("input"), [Passage(one.text, whole=True)]),
        Section(t("expected"), [Passage(" | ".join(one.expected) or t("(empty)"), whole=True)]),
        *trace_views.answer(score.answer),
        Table(t("Scores"), columns, values),
        *origin(one),
    ]
    return Document(None, parts)


def origin(one: Example) -> list[Part]:
    """Where an example came from, with a link to the trace that it was made of."""
    source: str | Link = one.source
    if one.source.startswith("trace:"):
        source = Link(one.source, f"{ROOT}/traces/{one.source.removeprefix('trace:')[:32]}")
    rows: list[list[Any]] = [
        [t("source"), source], [t("group"), one.group], [t("relevant"), one.relevant], [t("language"), one.language],
        *([name, value] for name, value in one.meta.items()),
    ]  # fmt: skip
    return [Table(t("Where it came from"), [Column(t("field")), Column(t("value"))], [row for row in rows if row[1]])]
