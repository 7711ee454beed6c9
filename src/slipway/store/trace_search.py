"""The traces that are wanted, newest first: from the index where a stretch has one, else from the catalog row by row.

Pages are found by the number of the last row (keyset), so a page far back costs what the first one does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import Connection, func, select

from slipway.core.trace import Trace, Wanted
from slipway.store import tables, trace_index
from slipway.store.rows import decoded
from slipway.store.trace_index import TraceIndex
from slipway.store.wanted import narrowed, place, said

FIRST, PAGE = 64, 512  # traces read at once: to begin with, and at most
FEW = 2_000  # pieces of feedback up to which their traces are read one by one

Found = tuple[int, Trace]


def traces(connection: Connection, database: str, index: TraceIndex, after: int, wanted: Wanted) -> Iterator[Found]:
    """(sequence number, trace) of those that are wanted and newer than `after`, newest first."""
    of, wanted = tables.traces.c, _of_few(connection, database, wanted)
    query = narrowed(select(of.seq, of.body).where(of.seq > after), wanted, database).order_by(of.seq.desc())
    yield from _seen(_rows(connection, index, after, wanted, query), wanted)


def newer(connection: Connection, database: str, index: TraceIndex, id: str, wanted: Wanted) -> str:
    """Id of the next trace that is wanted and was written after one; empty where there is none, or not that one."""
    of = tables.traces.c
    start, top = connection.execute(select(place(id), func.max(of.seq))).one()
    if start is None or start == top:
        return ""
    wanted = _of_few(connection, database, msgspec.structs.replace(wanted, before=""))
    query = narrowed(select(of.seq, of.body).where(of.seq > start), wanted, database).order_by(of.seq)
    found = next(_seen(_rising(connection, index, start + 1, top, wanted, query), wanted), None)
    return found[1].id if found else ""


def _of_few(connection: Connection, database: str, wanted: Wanted) -> Wanted:
    """By the traces that feedback is on, where these are few."""
    if not (wanted.thumb or wanted.said) or wanted.ids is not None:
        return wanted
    judged = select(tables.feedback.c.trace).where(*said(wanted, database)).distinct().limit(FEW + 1)
    ids = connection.execute(judged).scalars().all()
    return msgspec.structs.replace(wanted, ids=tuple(ids)) if len(ids) <= FEW else wanted


def _seen(rows: Iterator[Any], wanted: Wanted) -> Iterator[Found]:
    for row in rows:
        trace = decoded("trace", row.seq, row.body, Trace)
        if wanted.says(trace):
            yield row.seq, trace


def _rows(connection: Connection, index: TraceIndex, after: int, wanted: Wanted, query: Any) -> Iterator[Any]:
    of = tables.traces.c
    if wanted.ids is not None or not _narrow(wanted):
        yield from _walk(connection, query)
        return
    end = select(func.max(of.seq))
    top = connection.execute(end.where(of.seq < place(wanted.before)) if wanted.before else end).scalar()
    for low, high, segment in index.stretches(top or 0, after + 1):
        found = None if segment is None else index.found(segment, wanted)
        if found is None:
            yield from _walk(connection, query.where(of.seq.between(low, high)))
            continue
        seqs = [seq for seq in found if low <= seq <= high]
        for start in range(0, len(seqs), PAGE):
            yield from connection.execute(query.where(of.seq.in_(seqs[start : start + PAGE]))).all()


def _rising(connection: Connection, index: TraceIndex, low: int, top: int, wanted: Wanted, query: Any) -> Iterator[Any]:
    """Those from a number on, the oldest first; a whole stretch of the index at a time."""
    of, whole = tables.traces.c, trace_index.SIZES[0]
    if wanted.ids is not None or not _narrow(wanted):
        yield from _walk(connection, query, rising=True)
        return
    for number in range(low // whole, top // whole + 1):
        ends = min(top, (number + 1) * whole - 1), max(low, number * whole)
        for first, last, segment in reversed(list(index.stretches(*ends))):
            found = None if segment is None else index.found(segment, wanted)
            if found is None:
                yield from _walk(connection, query.where(of.seq.between(first, last)), rising=True)
                continue
            seqs = [seq for seq in reversed(found) if first <= seq <= last]
            for start in range(0, len(seqs), FIRST):
                yield from connection.execute(query.where(of.seq.in_(seqs[start : start + FIRST]))).all()


def _narrow(wanted: Wanted) -> bool:
    """Whether anything is left out for what it says or is."""
    nothing = Wanted(before=wanted.before)
    return wanted != nothing


def _walk(connection: Connection, query: Any, *, rising: bool = False) -> Iterator[Any]:
    """All rows, page by page, each twice as long as the one before: no statement stays open while a page is shown."""
    size, rows = FIRST, connection.execute(query.limit(FIRST)).all()
    while rows:
        yield from rows
        if len(rows) < size:
            return
        size = min(2 * size, PAGE)
        seq, last = tables.traces.c.seq, rows[-1].seq
        rows = connection.execute(query.where(seq > last if rising else seq < last).limit(size)).all()
