"""What the pages of the console show beside the documents of `render.pages`: links into each other, and an overview."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

import msgspec
from pydantic import Field

from slipway.console.page import ROOT
from slipway.core.history import History
from slipway.core.metrics import METRICS
from slipway.core.release import Release, Verdict
from slipway.core.report import Report
from slipway.core.trace import Feedback, Trace
from slipway.core.traffic import Traffic
from slipway.i18n import Said, t, told
from slipway.render.cells import Amount, Estimate, Link, Mark, amount, estimate, info_of
from slipway.render.document import Column, Document, Part, Table
from slipway.render.pages import releases as release_pages
from slipway.render.pages import reports as report_pages

Serving = tuple[str, Release, Verdict, str]
"""Channel, release, its verdict, since when."""
Start = Annotated[int, Field(ge=0, le=10**9)]
"""A place in a list, as a part of an address."""
LISTED = 100  # on one page of a list
T = TypeVar("T")
SPANS = (("1h", timedelta(hours=1)), ("1d", timedelta(days=1)), ("7d", timedelta(days=7)))


def since(span: timedelta) -> str:
    """The beginning of a span that ends now: RFC 3339, UTC."""
    return (datetime.now(UTC) - span).isoformat(timespec="microseconds").replace("+00:00", "Z")


def overview(
    serving: Sequence[Serving],
    traffic: Mapping[str, Traffic],
    attention: Sequence[Link | str],
    quality: Sequence[Table] = (),
) -> Document:
    """`traffic`: span -> what was served in it; `quality`: what the monitor measured of the answers."""
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
    seconds, price = METRICS["latency_p50"], METRICS["cost_per_query"]
    spans = [
        [
            _span(span),
            found.requests,
            found.errors,
            None if found.median is None else Amount(found.median, seconds),
            None if found.slow is None else Amount(found.slow, seconds),
            ", ".join(amount(Amount(cost, price, currency)) for currency, cost in sorted(found.costs.items())),
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
        Column(t("cost"), "measure"),
        Column(t("thumbs up"), "count"),
        Column(t("thumbs down"), "count"),
    ]
    parts: list[Part] = [Table(t("Serving"), columns, channels), Table(t("Traffic"), about, spans), *quality]
    todo = Table(t("Needs attention"), [Column(t("what"))], [[one] for one in attention])
    return Document(None, [*parts, todo if attention else t("Nothing needs attention.")])


def quality(channel: str, hours: Sequence[tuple[str, str, int, float]], shown: Collection[str]) -> list[Table]:
    """Means of what the monitor measured on a channel. `hours`: (metric, hour, n, sum); of them the metrics `shown`."""
    names = sorted({metric for metric, *_ in hours} & set(shown))
    begins = [since(span)[:13] for _, span in SPANS]  # whole hours: more is not kept of them
    rows = [[name, *(_mean([one for one in hours if one[0] == name and one[1] >= begin]) for begin in begins)]
            for name in names]  # fmt: skip
    columns = [Column(t("metric")), *(Column(_span(name), "measure") for name, _ in SPANS)]
    title = t("Quality on '{channel}', as the monitor measures it", channel=channel)
    note = t("means, with the number of answers; counted by whole hours, each about a minute late")
    return [Table(title, columns, rows, [note])] if rows else []


def _mean(hours: Sequence[tuple[str, str, int, float]]) -> str:
    n = sum(one[2] for one in hours)
    return f"{sum(one[3] for one in hours) / n:.3f} ({n})" if n else ""


def _span(name: str) -> str:
    return {"1h": t("hour"), "1d": t("day"), "7d": t("week")}[name]


def feedback(found: Sequence[tuple[Feedback, Trace | None]], *links: Link) -> Document:
    """What users said, each with a link to what it is about; `links` stand below."""
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
    return Document(None, [Table(t("Feedback"), columns, rows), *links])


def reports(found: Sequence[tuple[str, Report, Sequence[Said]]], asked: Sequence[str]) -> Document:
    """Newest first; each leads to its own page, its numbers to their examples. `asked`: what the project measures."""
    known = report_pages.in_order([one for _, one, _ in found])
    metrics = list(dict.fromkeys([*(name for name in asked if name in known), *known]))[: max(4, min(6, len(asked)))]
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
            *(_measured(one, name) for name in metrics),
            told(missed),
        ]
        for at, one, missed in found
    ]
    return Document(None, [Table(t("Reports"), columns, rows)])


def _measured(one: Report, metric: str) -> Estimate | Link | None:
    """A value with its interval; it leads to the examples behind it, except for those of the gate."""
    value = estimate(one.metrics.get(metric), info_of(metric, one.meanings), one.currency)
    if value is None or one.split == "gate":
        return value
    return Link(amount(value), f"{ROOT}/reports/{one.digest}/examples?{query({'metric': metric})}")


def releases(found: Sequence[tuple[str, Release, list[str]]], history: History, start: int = 0) -> Document:
    """The documents of the command line, with links; of both tables a page of some that begins at a place."""
    to = f"{ROOT}/releases"
    found, more = part(found, start, LISTED, to)
    decided, others = part(history.decisions, start, LISTED, to)
    history = msgspec.structs.replace(history, decisions=list(decided))
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
    return Document(None, [table, *promotions, *(more if len(more) >= len(others) else others)])


def _release(one: Release) -> Link:
    return Link(one.digest[:12], f"{ROOT}/releases/{one.digest}")


def part(rows: Sequence[T], start: int, size: int, to: str, **asked: str) -> tuple[Sequence[T], list[Link]]:
    """Those of one page, and links to the pages beside it. `to`: the address of the list; `asked`: what it is asked."""
    places = ((t("newer"), max(0, start - size), start > 0), (t("older"), start + size, len(rows) > start + size))
    links = [
        Link(text, f"{to}?{query({**asked, 'start': str(at)})}".removesuffix("?start=0"))
        for text, at, there in places
        if there
    ]
    return rows[start : start + size], links


def query(values: Mapping[str, str]) -> str:
    """As it stands behind the question mark of an address; empty values are left out."""
    return urlencode({key: value for key, value in values.items() if value})
