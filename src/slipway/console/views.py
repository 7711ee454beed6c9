"""What the pages of the console show beside the documents of `render.pages`: links into each other, and an overview."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from slipway.console.page import ROOT
from slipway.core.history import History
from slipway.core.metrics import METRICS
from slipway.core.release import Release, Verdict
from slipway.core.report import Report
from slipway.core.trace import Feedback, Trace
from slipway.core.traffic import Traffic
from slipway.i18n import Said, t, told
from slipway.render.cells import Amount, Link, Mark, estimate, info_of
from slipway.render.document import Column, Document, Part, Table
from slipway.render.pages import releases as release_pages

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


def query(values: Mapping[str, str]) -> str:
    """As it stands behind the question mark of an address; empty values are left out."""
    return urlencode({key: value for key, value in values.items() if value})
