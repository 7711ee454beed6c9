"""What was served lately, counted without reading what was asked: rows lie as they came, so it is read backwards, and
where a stretch of traces is indexed, from its index.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, func, select

from slipway.core.trace import PLAYGROUND, Feedback
from slipway.core.traffic import Traffic
from slipway.store import tables
from slipway.store.rows import decoded
from slipway.store.trace_index import TraceIndex

_PAGE = 5_000
_ERROR = 400  # statuses from here on
_TIME = len("2026-01-01T00:00:00Z")


def traffic(connection: Connection, since: str, index: TraceIndex) -> Traffic:
    """Since a moment (RFC 3339, UTC)."""
    said = tables.feedback.c
    requests, good = _served(connection, since, index)
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
    )


def _ranked(good: list[Any]) -> tuple[float | None, float | None]:
    """The median and the 95th percentile, each of them one of the values; None where there are none."""
    import numpy as np

    values = np.concatenate([np.zeros(0), *good])
    places = [math.ceil(share * len(values)) - 1 for share in (0.5, 0.95)] if len(values) else []
    found = np.partition(values, places)[places].tolist() if places else [None, None]
    return found[0], found[1]


def _served(connection: Connection, since: str, index: TraceIndex) -> tuple[int, list[Any]]:
    """How many requests, and the seconds of those that were no error, in parts."""
    of, count, good = tables.traces.c, 0, list[Any]()
    top = connection.execute(select(func.max(of.seq))).scalar() or 0
    whole = len(since) >= _TIME  # of less, such as a year, only texts can be compared
    for low, high, segment in index.stretches(top, 0) if whole else ((0, top, None),):
        if segment is None:
            columns = (of.seq, of.at, of.channel, of.status, of.seconds)
            rows = list(_backwards(connection, columns, since, low, high))
            served = [row for row in rows if row.channel != PLAYGROUND]
            every, counted = len(rows), len(served)
            seconds = [row.seconds for row in served if row.status < _ERROR]
        else:
            every, counted, seconds = segment.served(since, PLAYGROUND, _ERROR)
        count += counted
        good.append(seconds)
        if not every:
            break
    return count, good


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
