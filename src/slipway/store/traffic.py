"""What was served lately, counted without reading what was asked: rows lie as they came, so it is read backwards."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, select

from slipway.core.trace import Feedback
from slipway.core.traffic import Traffic
from slipway.store import tables
from slipway.store.rows import decoded

_PAGE = 5_000
_ERROR = 400  # statuses from here on


def traffic(connection: Connection, since: str) -> Traffic:
    """Since a moment (RFC 3339, UTC)."""
    of, said = tables.traces.c, tables.feedback.c
    served = [
        (row.status, row.seconds) for row in _backwards(connection, (of.seq, of.at, of.status, of.seconds), since)
    ]
    given = [
        decoded("feedback", row.id, row.body, Feedback).thumb
        for row in _backwards(connection, (said.seq, said.at, said.id, said.body), since)
    ]
    good = sorted(seconds for status, seconds in served if status < _ERROR)
    return Traffic(
        requests=len(served),
        errors=len(served) - len(good),
        median=good[math.ceil(0.5 * len(good)) - 1] if good else None,
        slow=good[math.ceil(0.95 * len(good)) - 1] if good else None,
        up=given.count("up"),
        down=given.count("down"),
    )


def _backwards(connection: Connection, columns: tuple[Any, ...], since: str) -> Iterator[Any]:
    """The rows of a table, newest first, up to the first page that holds none from `since` on."""
    seq = columns[0]
    query = select(*columns).order_by(seq.desc()).limit(_PAGE)
    rows = connection.execute(query).all()
    while rows:
        wanted = [row for row in rows if row.at >= since]
        yield from wanted
        if not wanted or len(rows) < _PAGE:
            return
        rows = connection.execute(query.where(seq < rows[-1].seq)).all()
