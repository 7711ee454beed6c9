"""What was served lately, counted without reading what was asked: rows lie as they came, so it is read backwards, and
where a stretch of traces is indexed, from its index.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import Connection, func, select

from slipway.core.trace import PLAYGROUND, Feedback
from slipway.core.traffic import Traffic
from slipway.store import tables
from slipway.store.rows import decoded
from slipway.store.trace_index import TraceIndex

_PAGE = 500
_ERROR = 400  # statuses from here on
_TIME = len("2026-01-01T00:00:00Z")


class _Cost(msgspec.Struct):
    cost: float = 0.0
    currency: str = ""


class _Paid(msgspec.Struct):
    """What of a trace says what it cost."""

    answer: _Cost | None = None


_PAID = msgspec.json.Decoder(_Paid)


def traffic(connection: Connection, since: str, index: TraceIndex) -> Traffic:
    """Since a moment (RFC 3339, UTC)."""
    said = tables.feedback.c
    requests, good, costs = _served(connection, since, index)
    given = [
        decoded("feedback", row.id, row.body, Feedback).thumb
        for row in _backwards(connection, (said.seq, said.at, said.id, said.body), since)
    ]
    median, slow = _ranked(good)
    return Traffic(
        requests=requests,
        errors=requests - sum(map(len, good)),
        median=median,
        slow=slow,
        up=given.count("up"),
        down=given.count("down"),
        costs=costs,
    )


def _ranked(good: list[Any]) -> tuple[float | None, float | None]:
    """The median and the 95th percentile, each of them one of the values; None where there are none."""
    import numpy as np

    values = np.concatenate([np.zeros(0), *good])
    places = [math.ceil(share * len(values)) - 1 for share in (0.5, 0.95)] if len(values) else []
    found = np.partition(values, places)[places].tolist() if places else [None, None]
    return found[0], found[1]


def _served(connection: Connection, since: str, index: TraceIndex) -> tuple[int, list[Any], dict[str, float]]:
    """How many requests, the seconds of those that were no error, in parts, and what they cost in each currency."""
    of, count, good, costs = tables.traces.c, 0, list[Any](), dict[str, float]()
    top = connection.execute(select(func.max(of.seq))).scalar() or 0
    whole = len(since) >= _TIME  # of less, such as a year, only texts can be compared
    for low, high, segment in index.stretches(top, 0) if whole else ((0, top, None),):
        if segment is None:
            every, counted, seconds, paid = _read(connection, since, low, high)
        else:
            every, counted, seconds, paid = segment.served(since, PLAYGROUND, _ERROR)
        count += counted
        good.append(seconds)
        for currency, cost in paid.items():
            costs[currency] = costs.get(currency, 0.0) + cost
        if not every:
            break
    return count, good, costs


def _read(connection: Connection, since: str, low: int, high: int) -> tuple[int, int, list[float], dict[str, float]]:
    """As `Segment.served`, of a stretch that has no index."""
    of, every, counted, seconds = tables.traces.c, 0, 0, list[float]()
    costs = dict[str, float]()
    columns = (of.seq, of.at, of.channel, of.status, of.seconds, of.body)
    for row in _backwards(connection, columns, since, low, high):
        every += 1
        if row.channel == PLAYGROUND:
            continue
        counted += 1
        if row.status < _ERROR:
            seconds.append(row.seconds)
        paid = _paid(row.body)
        if paid and paid.currency:
            costs[paid.currency] = costs.get(paid.currency, 0.0) + paid.cost
    return every, counted, seconds, costs


def _paid(body: bytes) -> _Cost | None:
    """What an answer cost; None for a trace without one, or whose body is damaged: `store verify` tells of that."""
    try:
        return _PAID.decode(body).answer
    except msgspec.DecodeError:
        return None


def _backwards(
    connection: Connection, columns: tuple[Any, ...], since: str, low: int = 0, high: int | None = None
) -> Iterator[Any]:
    """The rows of a table, newest first, up to the first page that holds none from `since` on."""
    seq = columns[0]
    query = select(*columns).where(seq >= low).order_by(seq.desc()).limit(_PAGE)
    rows = connection.execute(query if high is None else query.where(seq <= high)).all()
    while rows:
        wanted = [row for row in rows if row.at >= since]
        yield from wanted
        if not wanted or len(rows) < _PAGE:
            return
        rows = connection.execute(query.where(seq < rows[-1].seq)).all()
