"""What the monitor knows on one page: what fires, each comparison, what was measured, what the questions are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from slipway.core.alert import Alert, Delivery
from slipway.core.metrics import MetricInfo, format_value, rounded
from slipway.i18n import t
from slipway.loop.monitor import message
from slipway.loop.monitor.status import Line, Status
from slipway.loop.monitor.watcher import seconds
from slipway.render.cells import Mark
from slipway.render.document import Column, Document, Part, Picture, Section, Table
from slipway.render.svg import BAD, COLOURS, GREY, Drawing, Point

_SECONDS = ("latency", "ttft", "seconds_per_token")
_USUAL = (
    "requests", "citation_support", "abstained", "error_rate", "latency", "thumbs_down", "novelty", "unknown_words",
    "answer_length",
)  # fmt: skip
_DRAWN = 10  # panels
_LONGEST = 120  # characters of a question
_LEFT, _WIDE, _HIGH, _GAP = 180.0, 520.0, 46.0, 26.0
Linked = Callable[[str, str], str]


def monitor(
    found: Status, asked: Mapping[str, str], linked: Linked = lambda text, trace: text, drawn: bool = False
) -> Document:
    """`asked`: questions of traces by their ids, as far as they may be read. `linked`: makes of a text and a trace's id
    a link to it. `drawn`: with pictures.
    """

    def question(trace: str) -> str:
        return linked(asked.get(trace, trace[:12])[:_LONGEST], trace) if trace else ""

    parts: list[Part] = [*_state(found)]
    firing = [one for one in found.lines if one.firing]
    if firing:
        parts.append(_lines(t("Changed"), firing))
    parts += [Picture(picture(found))] if drawn and found.hours else []
    parts.append(_measured(found))
    quiet = [one for one in found.lines if not one.firing and not one.learning]
    if quiet:
        parts.append(_lines(t("Unchanged, as far as can be told"), quiet))
    parts += _questions(found, question)
    if found.alerts:
        parts.append(_alerts(found.alerts, question))
    if found.deliveries:
        parts.append(_deliveries(found.deliveries))
    return Document(found, parts, _lines(t("Comparisons"), found.lines))


def _state(found: Status) -> list[Part]:
    if not found.release:
        return [t("Nothing was read yet: no release serves on '{channel}', or the monitor did not run",
                  channel=found.channel)]  # fmt: skip
    parts: list[Part] = [
        t("{n} requests of '{channel}' were read, up to {when} UTC", n=found.read, channel=found.channel,
          when=found.clock[:19].replace("T", " ")),
    ]  # fmt: skip
    words = {"answers": t("answers"), "questions": t("questions")}
    for about, share in sorted(found.learning.items()):
        parts.append(t("{share:.0%} of what {what} are compared with was learnt; until then only the release's own "
                       "answers and bounds are compared with", share=share, what=words[about]))  # fmt: skip
    if found.skipped:
        parts.append(t("{n} requests were left out: there were more than could be read", n=found.skipped))
    return parts


def _lines(title: str, lines: Sequence[Line]) -> Table:
    against = {"release": t("the gate's answers"), "before": t("traffic before"), "bound": t("the project file")}
    columns = [
        Column(t("what")), Column(t("compared with")), Column(t("before"), "number"), Column(t("bound"), "number"),
        Column(t("now"), "number"), Column(t("sessions"), "count"), Column(t("since"), "time"),
        Column(t("evidence"), "number"), Column(t("state")),
    ]  # fmt: skip
    rows: list[list[Any]] = []
    for one in lines:
        name = message.with_category(one.metric, one.category)
        arrow = "↑" if one.direction == "up" else "↓"
        state = Mark("fail") if one.firing else t("nothing to compare with yet") if one.learning else Mark("ok")
        rows.append(
            [f"{name} {arrow}", against[one.against], _short(one.before), _short(one.expected), _short(one.seen),
             one.n, one.since, f"{one.evidence:.2g}", state]
        )  # fmt: skip
    notes = [
        t("evidence: from 1 on an alert is sent; without a change all rules together reach it in few weeks, see "
          "monitor.false_alarms"),
        t("of times, lengths, costs and scores the mean rank among values before is shown: 0.5 is usual"),
    ]  # fmt: skip
    return Table(title, columns, rows, notes)


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _measured(found: Status) -> Table:
    columns = [Column(t("metric")), Column(t("last day")), Column(t("last seven days")), Column(t("values"), "count")]
    rows: list[list[Any]] = []
    end = seconds(found.clock) if found.clock else 0.0
    for name, hours in sorted(found.hours.items()):
        if name == "requests":
            continue
        day, week = _mean(hours, end - 86400), _mean(hours, end - 7 * 86400)
        rows.append([name, _shown(name, day[0]), _shown(name, week[0]), week[1]])
    asked = sum(n for hour, n, _ in found.hours.get("requests", ()) if _at(hour) >= end - 7 * 86400)
    said = sum(n for hour, n, _ in found.hours.get("thumbs_down", ()) if _at(hour) >= end - 7 * 86400)
    notes = (
        [t("feedback: {n} of {all} answers of seven days, {share:.1%}", n=said, all=asked, share=said / asked)]
        if asked
        else []
    )
    return Table(t("Measured"), columns, rows, notes)


def _mean(hours: Sequence[tuple[str, int, float]], since: float) -> tuple[float | None, int]:
    kept = [(n, mean) for hour, n, mean in hours if _at(hour) >= since]
    n = sum(count for count, _ in kept)
    return (sum(count * mean for count, mean in kept) / n if n else None), n


def _at(hour: str) -> float:
    return seconds(f"{hour}:00:00Z")


def _shown(name: str, value: float | None) -> str:
    if value is None:
        return ""
    if name in _SECONDS:
        return format_value(MetricInfo(name=name, unit="seconds"), value)
    return rounded(value, 2 if name == "cost_per_query" else 4)


def _questions(found: Status, question: Callable[[str], str]) -> list[Part]:
    parts: list[Part] = []
    for shift in found.shifts:
        title = {"languages": t("Languages of questions"), "topics": t("Topics of questions")}.get(
            shift.metric, shift.metric
        )
        columns = [Column(t("which")), Column(t("before")), Column(t("last seven days"))]
        rows: list[list[Any]] = [
            [message.category(name), f"{shift.before[name]:.1%}", f"{shift.now[name]:.1%}"] for name in shift.before
        ]
        if shift.examples:
            columns.append(Column(t("a typical question"), "excerpt", _LONGEST))
            rows = [
                [*row, question(shift.examples.get(name, ""))] for row, name in zip(rows, shift.before, strict=True)
            ]
        note = t("population stability index {index:.3f}; above 0.25 is called a large shift, and it is no test",
                 index=shift.index)  # fmt: skip
        parts.append(Table(title, columns, rows, [note]))
    if found.unlike:
        columns = [Column(t("question"), "excerpt", _LONGEST), Column(t("distance"))]
        rows = [[question(trace), f"{novelty:.3f}"] for trace, novelty in reversed(found.unlike)]
        parts.append(Table(t("What is new: questions least like those before"), columns, rows))
    return [Section(t("Questions"), parts)] if parts else []


def _alerts(alerts: Sequence[Alert], question: Callable[[str], str]) -> Table:
    states = {"firing": t("begins"), "cleared": t("over"), "test": t("a test")}
    rows = [
        [one.at, states[one.state], one.rule, message.named(one), _short(one.seen), _short(one.expected), one.n,
         question(one.traces[-1]) if one.traces else ""]
        for one in alerts[:50]
    ]  # fmt: skip
    columns = [
        Column(t("when"), "time"), Column(t("state")), Column(t("rule")), Column(t("what")),
        Column(t("seen"), "number"), Column(t("bound"), "number"), Column(t("sessions"), "count"),
        Column(t("example"), "excerpt", _LONGEST),
    ]  # fmt: skip
    return Table(t("Alerts"), columns, rows)


def deliveries(found: Sequence[Delivery]) -> Document:
    """What became of alerts."""
    table = _deliveries(found)
    return Document(found, [table], table)


def _deliveries(found: Sequence[Delivery]) -> Table:
    columns = [
        Column(t("alert"), "digest"), Column(t("sink")), Column(t("tries"), "count"), Column(t("arrived"), "time"),
        Column(t("tried again"), "time"), Column(t("error"), "excerpt", 100),
    ]  # fmt: skip
    rows = [[one.alert, one.sink, one.tries, one.done, one.due, one.error] for one in found[:50]]
    return Table(t("Deliveries"), columns, rows)


def picture(found: Status) -> str:
    """Each metric by hours over two weeks as SVG, with a mark where an alert began."""
    title = t("what was measured by hours, {channel}; vertical lines: alerts", channel=found.channel)
    wanted = [*(one.metric for one in found.lines if one.firing), *_USUAL]
    names = [name for name in dict.fromkeys(wanted) if name in found.hours][:_DRAWN]
    drawing = Drawing(_LEFT + _WIDE + 40, 60 + len(names) * (_HIGH + _GAP), title)
    drawing.text(20, 26, title, size=14)
    hours = sorted({_at(hour) for name in names for hour, _, _ in found.hours[name]})
    first, last = (hours[0], max(hours[-1], hours[0] + 3600)) if hours else (0.0, 1.0)

    def across(at: float) -> float:
        return _LEFT + _WIDE * (at - first) / (last - first)

    for place, name in enumerate(names):
        top = 50 + place * (_HIGH + _GAP)
        values = [(_at(hour), float(n) if name == "requests" else mean) for hour, n, mean in found.hours[name]]
        most = max(value for _, value in values) or 1.0
        points: list[Point] = [(across(at), top + _HIGH * (1 - value / most)) for at, value in values]
        drawing.line([(_LEFT, top + _HIGH), (_LEFT + _WIDE, top + _HIGH)], "#e3e3e3")
        drawing.text(_LEFT - 10, top + _HIGH, name, "end")
        drawing.text(_LEFT - 10, top + 12, _shown(name, most), "end", GREY, 10)
        drawing.line(points if len(points) > 1 else [*points, *points], COLOURS[0], 1.2)
        for alert in found.alerts:
            if alert.metric == name and alert.state == "firing" and first <= seconds(alert.at) <= last:
                x = across(seconds(alert.at))
                drawing.line([(x, top - 4), (x, top + _HIGH)], BAD, 1.5)
    if hours:
        drawing.span(_LEFT, _LEFT + _WIDE, 50 + len(names) * (_HIGH + _GAP) - 8, (first, last))
    return str(drawing)
