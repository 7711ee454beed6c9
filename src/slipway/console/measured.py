"""What candidates were measured to do: every number leads to the examples behind it, the worst first.

Examples of the gate are never shown here: a look at them is counted, and a link is followed by accident.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from slipway import api
from slipway.api.finding import scored
from slipway.api.whole import business_case
from slipway.console import page, trace_views, views
from slipway.console.answers import Side, beside, column
from slipway.console.page import ROOT
from slipway.console.visit import Pages
from slipway.core.candidate import Candidate
from slipway.core.material import Example
from slipway.core.metrics import METRICS, MetricInfo
from slipway.core.release import Verdict
from slipway.core.report import Aggregate, Report, Score
from slipway.errors import ConfigError, NotFound
from slipway.evaluate import compare
from slipway.i18n import t, told
from slipway.loop.context import Context
from slipway.render import html
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
Ranked = tuple[Example, Score, float]
Asked = dict[str, str]


def measured(pages: Pages) -> APIRouter:
    """Needs the scope `read`."""
    router, project = APIRouter(prefix=ROOT, dependencies=[needs("read")]), pages.project

    @router.get("/reports")
    def reports(request: Request) -> Response:
        found = api.reports(project)[:200]
        newest = _newest([one for _, one, _ in found])
        parts = [*views.reports(found, project.project.evaluate.names).parts]
        if newest and (drawn := frontier(newest, _first(newest[0]))):
            parts.append(Picture(drawn))
        parts += _worth(pages)
        return pages.page(request, t("Reports"), Document(None, parts), after=_pair(newest))

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
        rows = scored(project, found)
        first = asked(_first(found))
        listed = _examples(found, _wanted(rows, found, first)[:10], t("The worst examples"), first)
        parts = [_linked(found), *_slices(found, rows), listed]
        return pages.page(request, _title(found), Document(None, parts))

    _ = reports, report
    return router


def examples(pages: Pages) -> APIRouter:
    """Needs the scope `read`."""
    router, project = APIRouter(prefix=ROOT, dependencies=[needs("read")]), pages.project

    @router.get("/reports/{digest}/examples")
    def every(request: Request, digest: str, asked: Annotated[Asked, Depends(asked)], page_: int = 0) -> Response:
        found = _open(pages, digest)
        rows = _wanted(scored(project, found), found, asked)
        metric, facet = asked["metric"] or _first(found), asked["facet"]
        what = ", ".join(filter(None, (asked["language"], f"{facet} = {asked['value']}" if facet else "")))
        said = t("by {metric}, the worst first: {n} examples {what}", metric=metric, n=len(rows), what=what)
        start = max(0, page_) * SHOWN
        parts: list[Part] = [said, _examples(found, rows[start : start + SHOWN], t("Examples"), asked)]
        if len(rows) > start + SHOWN:
            more = views.query({**asked, "page_": str(page_ + 1)})
            parts.append(Link(t("more"), f"{ROOT}/reports/{found.digest}/examples?{more}"))
        return pages.page(request, _title(found), Document(None, parts))

    @router.get("/reports/{digest}/examples/{id}")
    def example(request: Request, digest: str, id: str, asked: Annotated[Asked, Depends(asked)]) -> Response:
        found = _open(pages, digest)
        rows = scored(project, found)
        held = next((row for row in rows if row[0].id == id), None)
        if held is None:
            raise NotFound(t("this report has no example '{id}'", id=id[:32]), "")
        listed, query = [one.id for one, *_ in _wanted(rows, found, asked)], views.query(asked)
        at = f"{ROOT}/reports/{found.digest}"
        back = f"{at}/examples?{query}" if query else at
        around = _walked(listed, id, back, _title(found), lambda other: f"{at}/examples/{other}?{query}")
        return pages.page(request, t("Example {id}", id=id), _example(found, *held), around)

    _ = every, example
    return router


def compared(pages: Pages) -> APIRouter:
    """Needs the scope `read`."""
    router, project = APIRouter(prefix=ROOT, dependencies=[needs("read")]), pages.project

    @router.get("/compare")
    def pair(request: Request, before: str, after: str, metric: str = "") -> Response:
        found = _Pair(pages, before, after, metric)
        effect = compare.compare(*found.sides, found.info)
        every = {one.id: one for one, _ in (*found.rows[0], *found.rows[1])}
        parts: list[Part] = [
            report_pages.comparison_table([effect], *found.names, found.two[1].currency),
            report_pages.changed_table(found.changed(), found.metric, *found.names, every, found.to),
        ]
        if found.metric in METRICS and METRICS[found.metric].timed:
            parts.append(t("Latencies of two reports were measured under different loads: the difference says little."))
        title = t("Two candidates on the same examples")
        return pages.page(request, title, Document(None, parts), after=_pair(found.two))

    @router.get("/compare/{id}")
    def changed(request: Request, id: str, before: str, after: str, metric: str = "") -> Response:
        found = _Pair(pages, before, after, metric)
        held = [next((row for row in rows if row[0].id == id), None) for rows in found.rows]
        if held[0] is None or held[1] is None:
            raise NotFound(t("the two reports have no example '{id}' in common", id=id[:32]), "")
        (one, first), (_, second) = held[0], held[1]
        asked = Document(None, [*_given(one), *origin(one)])
        sides = [
            column(name, Side(of, score.answer), [])
            for name, of, score in zip(found.names, found.candidates(project), (first, second), strict=True)
        ]
        scores = html.body(Document(None, [found.scores(first, second)]))
        title = t("Two candidates on the same examples")
        around = _walked([each.example for each in found.changed()], id, found.to(""), title, found.to)
        return pages.page(request, t("Example {id}", id=id), html.body(asked) + beside(sides) + scores, around)

    _ = pair, changed
    return router


class _Pair:
    """Two reports on examples that may be shown, and the metric that they are compared by."""

    def __init__(self, pages: Pages, before: str, after: str, metric: str) -> None:
        self.two = [_open(pages, one) for one in (before, after)]
        first, second = (f"{one.candidate.name} {one.digest[:6]}" for one in self.two)
        self.names = first, second
        self.metric = metric or _first(self.two[1])
        self.info = self.two[1].meaning(self.metric)
        self.rows = [scored(pages.project, one) for one in self.two]
        champion, challenger = ([score for _, score in one] for one in self.rows)
        self.sides = champion, challenger

    def changed(self) -> list[compare.Changed]:
        """Those that changed most, in their order."""
        return compare.most_changed(self.sides[0], self.sides[1], self.info, 30)

    def to(self, id: str) -> str:
        """The page about one of them; without an id, about all."""
        asked = {"before": self.two[0].digest, "after": self.two[1].digest, "metric": self.metric}
        return f"{ROOT}/compare{id and f'/{id}'}?{views.query(asked)}"

    def candidates(self, project: Context) -> list[Candidate]:
        """What was measured."""
        return [project.store.catalog.get("candidate", one.candidate.digest, Candidate) for one in self.two]

    def scores(self, first: Score, second: Score) -> Table:
        """Of one example, side by side."""
        metrics = list(dict.fromkeys([*first.metrics, *second.metrics]))
        rows = [[name, *(self._value(name, one) for one in (first, second))] for name in metrics]
        return Table(t("Scores"), [Column(t("metric")), *(Column(one, "measure") for one in self.names)], rows)

    def _value(self, metric: str, score: Score) -> Amount | None:
        report = self.two[1]
        value = score.metrics.get(metric)
        return None if value is None else Amount(value, info_of(metric, report.meanings), report.currency)


def asked(metric: str = "", language: str = "", facet: str = "", value: str = "") -> Asked:
    """Which examples an address asks for, and by what they are put in order."""
    return {"metric": metric, "language": language, "facet": facet, "value": value}


def _wanted(rows: Sequence[Scored], found: Report, asked: Asked) -> list[Ranked]:
    """Those of a language or a slice that the metric was measured on, with its value, the worst first. Raises NotFound
    for a metric that the report has not.
    """
    metric = asked["metric"]
    if metric and metric not in found.metrics:
        raise NotFound(t("this report has no metric '{name}'", name=metric[:60]), "")
    metric = metric or _first(found)
    kept = _part(rows, asked["language"], asked["facet"], asked["value"])
    return _worst(kept, found, metric)


def _walked(listed: Sequence[str], id: str, back: str, title: str, to: Callable[[str], str]) -> str:
    """Links from one of a list to the list, to the one before and to the one after; of one that is not in it, none."""
    at = listed.index(id) if id in listed else -1
    before, after = (to(listed[n]) if at >= 0 and 0 <= n < len(listed) else "" for n in (at - 1, at + 1))
    place = f" ({at + 1} / {len(listed)})" if at >= 0 else ""
    return page.around(("", back, f"{title}{place}"), ("prev", before, t("previous")), ("next", after, t("next")))


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


def _first(found: Report) -> str:
    """The metric that examples are put in order by, where none was asked for: the first of quality."""
    quality = [name for name in report_pages.in_order([found]) if info_of(name, found.meanings).kind == "quality"]
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


def _pair(found: Sequence[Report]) -> str:
    if len(found) < 2:
        return ""
    named = [(one.digest, f"{one.candidate.name} {one.digest[:12]}") for one in found]
    metrics = report_pages.in_order(found)
    return page.form(
        f"{ROOT}/compare",
        t("Compare"),
        page.choice("before", t("Before"), named, named[0][0]),
        page.choice("after", t("After"), named, named[1][0]),
        page.choice("metric", t("metric"), [(name, name) for name in metrics], _first(found[0])),
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


def _slices(found: Report, rows: Sequence[Scored]) -> list[Table]:
    """Means by what the examples' `meta` says of them, such as a topic."""
    metric, by = _first(found), dict[tuple[str, str], list[float]]()
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


def _worst(rows: Sequence[Scored], found: Report, metric: str) -> list[Ranked]:
    """Those that a metric was measured on, each with its value, as the report has counted it."""
    info, by = info_of(metric, found.meanings), {score.example: (one, score) for one, score in rows}
    measured = sample([score for _, score in rows], info)
    values = contributions(measured.values) if info.form == "calibration" else measured.values
    sign = 1.0 if info.higher_is_better else -1.0
    ranked = zip(measured.ids, values.tolist(), strict=True)
    return [(*by[id], value) for id, value in sorted(ranked, key=lambda one: (sign * one[1], one[0]))]


def _examples(found: Report, rows: Sequence[Ranked], title: str, asked: Mapping[str, str]) -> Table:
    """`asked`: what of an address leads from one of them to the next."""
    query, metric = views.query(asked), asked["metric"] or _first(found)
    info = info_of(metric, found.meanings)
    columns = [Column(t("input"), "excerpt", 80), Column(t("expected"), "excerpt", 60),
               Column(t("answer"), "excerpt", 80), Column(metric, "measure"), Column(t("scores")),
               Column(t("language"))]  # fmt: skip
    lines = [
        [Link(one.text or t("(empty)"), f"{ROOT}/reports/{found.digest}/examples/{one.id}?{query}"),
         " | ".join(one.expected), told(score.answer.error) or score.answer.text,
         Amount(value, info, found.currency), score.metrics, score.language]
        for one, score, value in rows
    ]  # fmt: skip
    return Table(title, columns, lines)


def _example(found: Report, one: Example, score: Score) -> Document:
    """One example whole: input, reference, answer with its passages, scores, where it came from."""
    meanings: dict[str, MetricInfo] = found.meanings
    values = [[name, Amount(value, info_of(name, meanings), found.currency)] for name, value in score.metrics.items()]
    columns = [Column(t("metric")), Column(t("value"), "measure")]
    parts: list[Part] = [
        *_given(one),
        *trace_views.answer(score.answer),
        Table(t("Scores"), columns, values),
        *origin(one),
    ]
    return Document(None, parts)


def _given(one: Example) -> list[Part]:
    return [
        Section(t("input"), [Passage(one.text, whole=True)]),
        Section(t("expected"), [Passage(" | ".join(one.expected) or t("(empty)"), whole=True)]),
    ]


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
