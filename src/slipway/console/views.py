"""What the pages of the console show beside the documents of `render.pages`: links into each other, and an overview."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from slipway.console.page import ROOT
from slipway.core.history import History
from slipway.core.material import Dataset
from slipway.core.metrics import METRICS
from slipway.core.release import Release, Verdict
from slipway.core.report import Report
from slipway.core.run import Run
from slipway.core.trace import Feedback, Trace
from slipway.core.traffic import Traffic
from slipway.i18n import Said, t, told
from slipway.render.cells import Amount, Link, Mark, estimate, info_of
from slipway.render.document import Column, Document, Part, Passage, Section, Table
from slipway.render.pages import releases as release_pages
from slipway.render.pages.served import feedback_table, not_kept

SPANS = (("1h", timedelta(hours=1)), ("1d", timedelta(days=1)), ("7d", timedelta(days=7)))


def since(span: timedelta) -> str:
    """The beginning of a span that ends now: RFC 3339, UTC."""
    return (datetime.now(UTC) - span).isoformat(timespec="microseconds").replace("+00:00", "Z")


def overview(
    serving: Sequence[tuple[str, Release, Verdict, str]],
    traffic: Mapping[str, Traffic],
    attention: Sequence[Link | str],
) -> Document:
    """`serving`: (channel, release, its verdict, since when); `traffic`: span -> what was served in it."""
    channels = [
        [channel, _release(one), one.candidate.name, at, Mark(judged.outcome)] for channel, one, judged, at in serving
    ]
    columns = [
        Column(t("channel")),
        Column(t("release")),
        Column(t("candidate")),
        Column(t("since"), "time"),
        Column(t("gate")),
    ]
    seconds = METRICS["latency_p50"]
    spans = [
        [
            _span(span),
            found.requests,
            found.errors,
            None if found.median is None else Amount(found.median, seconds),
            None if found.slow is None else Amount(found.slow, seconds),
            found.up,
            found.down,
        ]
        for span, found in traffic.items()
    ]
    about = [
        Column(t("in the last")),
        Column(t("requests"), "count"),
        Column(t("errors"), "count"),
        Column(t("median latency"), "measure"),
        Column(t("95th percentile"), "measure"),
        Column(t("thumbs up"), "count"),
        Column(t("thumbs down"), "count"),
    ]
    parts: list[Part] = [Table(t("Serving"), columns, channels), Table(t("Traffic"), about, spans)]
    todo = Table(t("Needs attention"), [Column(t("what"))], [[one] for one in attention])
    return Document(None, [*parts, todo if attention else t("Nothing needs attention.")])


def _span(name: str) -> str:
    return {"1h": t("hour"), "1d": t("day"), "7d": t("week")}[name]


def traces(found: Sequence[Trace], older: str) -> Document:
    """Each leads to itself, and the last row to `older` ones, an address."""
    columns = [
        Column(t("question"), "excerpt", 80),
        Column(t("answer"), "excerpt", 80),
        Column(t("when"), "time"),
        Column(t("channel")),
        Column(t("status")),
        Column(t("seconds"), "seconds"),
    ]
    rows: list[list[Any]] = [
        [
            Link(one.asked or (t("(empty)") if one.kept else t("(not kept)")), f"{ROOT}/traces/{one.id}"),
            one.said if one.answer else told(one.error),
            one.at,
            one.channel,
            one.status,
            one.seconds,
        ]
        for one in found
    ]
    parts: list[Part] = [Table(t("Traces"), columns, rows)]
    if older:
        parts.append(Table("", [Column("")], [[Link(t("older ones"), older)]]))
    return Document(None, parts)


def trace(found: Trace, said: Sequence[Feedback]) -> Document:
    """What was asked, what answered, the passages with those that it cites first, what it took, what users said."""
    answer = found.answer
    parts: list[Part] = [] if found.kept else [not_kept()]
    for who, what in found.turns:
        parts.append(Section(who or t("input"), [Passage(what, whole=True)], 3))
    if answer is not None and found.kept:
        parts.append(Section(t("answer"), [Passage(answer.text or t("(empty)"), whole=True)], 3))
    if found.error:
        parts.append(Section(t("error"), [told(found.error)], 3))
    if answer is not None and answer.citations and found.kept:
        ordered = sorted(enumerate(answer.citations, 1), key=lambda pair: not pair[1].cited)
        parts.append(
            Section(
                t("passages"),
                [
                    Section(
                        f"[{n}] {one.source} {' > '.join(one.path)} ({one.score:.3f})"
                        f"{' · ' + t('cited') if one.cited else ''}",
                        [Passage(one.shown or one.text)],
                        4,
                    )
                    for n, one in ordered
                ],
                3,
            )
        )
    if answer is not None and answer.raw and answer.raw != answer.text:
        parts.append(Section(t("what the model said"), [Passage(answer.raw)], 3))
    return Document(None, [*parts, _facts(found), feedback_table(said)])


def _facts(found: Trace) -> Table:
    answer = found.answer
    release = Link(found.release[:12], f"{ROOT}/releases/{found.release}") if found.release else t("a raw model")
    rows: list[list[Any]] = [
        [t("trace"), found.id],
        [t("when"), found.at],
        [t("channel"), found.channel],
        [t("release"), release],
        [t("status"), found.status],
        [t("seconds"), f"{found.seconds:.3f}"],
        [t("key"), found.key],
    ]
    if answer is not None:
        rows += [
            [t("first token"), f"{answer.first_token_seconds:.3f} s"],
            [t("retrieval"), f"{answer.retrieve_seconds:.3f} s"],
            [t("tokens read and written"), f"{answer.usage.prompt_tokens} + {answer.usage.completion_tokens}"],
            [t("cost"), f"{answer.cost:.6f} {answer.currency}" if answer.currency else ""],
            [t("confidence"), "" if answer.confidence is None else f"{answer.confidence:.2f}"],
        ]
    return Table(t("Facts"), [Column(t("field")), Column(t("value"))], [row for row in rows if row[1] != ""])


def feedback(found: Sequence[tuple[Feedback, Trace | None]]) -> Document:
    """What users said, each with a link to what it is about."""
    columns = [
        Column(t("question"), "excerpt", 70),
        Column(t("answer"), "excerpt", 70),
        Column(t("thumb")),
        Column(t("score"), "number"),
        Column(t("correction"), "excerpt"),
        Column(t("comment"), "excerpt"),
        Column(t("when"), "time"),
    ]
    rows: list[list[Any]] = [
        [
            Link((of.asked if of else "") or one.trace[:12], f"{ROOT}/traces/{one.trace}"),
            of.said if of else "",
            one.thumb,
            one.score,
            one.correction,
            one.comment,
            one.at,
        ]
        for one, of in found
    ]
    return Document(None, [Table(t("Feedback"), columns, rows)])


def reports(found: Sequence[tuple[str, Report, Sequence[Said]]]) -> Document:
    """Newest first; each leads to its own page."""
    metrics = list(dict.fromkeys(name for _, one, _ in found for name in one.metrics))[:4]
    columns = [
        Column(t("candidate")),
        Column(t("split")),
        Column(t("when"), "time"),
        *(Column(name, "measure") for name in metrics),
        Column(t("rules missed")),
    ]
    rows: list[list[Any]] = [
        [
            Link(one.candidate.name, f"{ROOT}/reports/{one.digest}"),
            one.split,
            at,
            *(estimate(one.metrics.get(name), info_of(name, one.meanings), one.currency) for name in metrics),
            told(missed),
        ]
        for at, one, missed in found
    ]
    return Document(None, [Table(t("Reports"), columns, rows)])


def releases(found: Sequence[tuple[str, Release, list[str]]], history: History) -> Document:
    """The documents of the command line, with links."""
    table = Table(
        t("Releases"),
        [
            Column(t("release")),
            Column(t("candidate")),
            Column(t("when"), "time"),
            Column(t("by")),
            Column(t("channels")),
        ],
        [[_release(one), one.candidate.name, one.created, one.created_by, channels] for _, one, channels in found],
    )
    promotions = release_pages.releases(found, history).parts[1:]
    return Document(None, [table, *promotions])


def _release(one: Release) -> Link:
    return Link(one.digest[:12], f"{ROOT}/releases/{one.digest}")


def data(found: Sequence[tuple[str, Dataset]]) -> Document:
    """Frozen sets, newest first."""
    columns = [Column(t("dataset")), Column(t("when"), "time"), Column(t("items"), "count"), Column(t("counts"))]
    rows: list[list[Any]] = [
        [Link(f"{one.name} {one.digest[:12]}", f"{ROOT}/data/{one.digest}"), at, one.size, one.counts]
        for at, one in found
    ]
    return Document(None, [Table(t("Data"), columns, rows)])


def runs(found: Sequence[Run]) -> Document:
    """Executed steps, newest first."""
    columns = [
        Column(t("step")),
        Column(t("when"), "time"),
        Column(t("seconds"), "seconds"),
        Column(t("state")),
        Column(t("error"), "excerpt", 120),
    ]
    rows = [[one.step, one.started, one.seconds, one.status, told(one.error)] for one in found]
    return Document(None, [Table(t("Runs"), columns, rows)])


def query(values: Mapping[str, str]) -> str:
    """As it stands behind the question mark of an address; empty values are left out."""
    return urlencode({key: value for key, value in values.items() if value})
