"""Rows and blobs deleted on purpose, before their time. Knows what to delete, not why: `loop.forget` finds it.

The order makes it safe against `kill -9`: first the note of what will be missing, then blobs and remembered work, last
the records by which all of it was found. Done again, it does the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TypeVar

from sqlalchemy import Table, delete, select

from slipway.core.erasure import ERASURE, Erasure
from slipway.core.trace import Feedback, Trace
from slipway.files import sync
from slipway.store import tables
from slipway.store.rows import decoded
from slipway.store.store import Store

BATCH = 500
T = TypeVar("T", Trace, Feedback)


def every_trace(store: Store) -> Iterator[Trace]:
    """All traces, oldest first, read piece by piece."""
    return _every(store, "trace", tables.traces, Trace)


def every_feedback(store: Store) -> Iterator[Feedback]:
    """All feedback, oldest first."""
    return _every(store, "feedback", tables.feedback, Feedback)


def _every(store: Store, kind: str, table: Table, type_: type[T]) -> Iterator[T]:
    last, of = -1, table.c
    while True:
        with store.catalog.database.reader.connect() as connection:
            query = select(of.seq, of.body).where(of.seq > last).order_by(of.seq).limit(BATCH)
            rows = connection.execute(query).all()
        for row in rows:
            yield decoded(kind, row.seq, row.body, type_)
        if len(rows) < BATCH:
            return
        last = rows[-1].seq


def remembered_with(store: Store, texts: Collection[bytes]) -> list[tuple[str, str]]:
    """(kind, key) of remembered work in which one of these texts stands."""
    if not texts:
        return []
    memo = tables.memo.c
    with store.catalog.database.reader.connect() as connection:
        query = select(memo.kind, memo.key, memo.value).where(~memo.kind.like("vector%"))
        rows = connection.execution_options(yield_per=BATCH).execute(query)
        return [(row.kind, row.key) for row in rows if any(text in row.value for text in texts)]


def note(store: Store, erasure: Erasure) -> None:
    """Write down what will be missing; where nothing new is, nothing."""
    if erasure.blobs or erasure.candidates or erasure.traces or erasure.feedback or erasure.rows:
        store.catalog.put(ERASURE, erasure.digest, erasure)


def erase_blobs(store: Store, digests: Iterable[str]) -> None:
    """Delete blobs, for good."""
    folders = set()
    for digest in digests:
        store.blobs.remove(digest)
        folders.add(store.blobs.path(digest).parent)
    for folder in folders:
        if folder.is_dir():
            sync(folder)


def erase_rows(
    store: Store,
    traces: Collection[str],
    feedback: Collection[str],
    memo: Collection[tuple[str, str]],
    candidates: Collection[str],
) -> None:
    """Delete traces and feedback by id, remembered work by kind and key, candidates by digest: all of it or nothing."""
    of, seqs = tables, list[int]()
    with store.catalog.engine.begin() as connection:
        store.catalog.database.alone(connection)
        for kind, key in sorted(memo):
            connection.execute(delete(of.memo).where(of.memo.c.kind == kind, of.memo.c.key == key))
        for digest in sorted(candidates):
            connection.execute(delete(of.nouns).where(of.nouns.c.kind == "candidate", of.nouns.c.digest == digest))
        for table, column, ids in (
            (of.feedback, of.feedback.c.id, feedback), (of.feedback, of.feedback.c.trace, traces),
            (of.traces, of.traces.c.id, traces),
        ):  # fmt: skip
            wanted = sorted(ids)
            for start in range(0, len(wanted), BATCH):
                these = column.in_(wanted[start : start + BATCH])
                if table is of.traces:
                    seqs += connection.execute(select(of.traces.c.seq).where(these)).scalars()
                connection.execute(delete(table).where(these))
    store.catalog.index.drop(seqs)


def empty_log(store: Store) -> None:
    """SQLite's log of writes keeps what was there before until it is emptied; a reader at work puts that off."""
    if store.catalog.database.kind != "sqlite":
        return
    raw = store.catalog.engine.raw_connection()
    try:
        raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        raw.close()
