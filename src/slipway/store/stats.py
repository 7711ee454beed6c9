"""`slipway store stats`: how much of what there is, where it lies, and how much room is left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
from sqlalchemy import Connection, Table, func, select

from slipway.store import tables
from slipway.store.failing import free_bytes
from slipway.store.store import Store


class Kind(msgspec.Struct, frozen=True):
    """How many of a kind, and the bytes of their contents."""

    name: str
    count: int
    bytes: int


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """`size`: of the database, in bytes. `free`: bytes left on the disk of the state folder."""

    database: str
    where: str
    size: int
    free: int
    oldest_trace: str
    newest_trace: str
    kinds: list[Kind]


_BODY = {"nouns": "body", "runs": "body", "memo": "value", "traces": "body", "feedback": "body", "ledger": "body"}


def stats(store: Store) -> Stats:
    """Look at all of it; reads no contents, so it is quick."""
    database = store.catalog.database
    with database.snapshot.connect() as connection:
        kinds = [*_grouped(connection, tables.nouns), *_grouped(connection, tables.memo)]
        others = [table for table in tables.metadata.sorted_tables if table.name not in ("nouns", "memo")]
        kinds += [_whole(connection, table) for table in others]
        by_place = select(tables.traces.c.at).limit(1)
        oldest = connection.execute(by_place.order_by(tables.traces.c.seq)).scalar()
        newest = connection.execute(by_place.order_by(tables.traces.c.seq.desc())).scalar()
    kinds.append(_of_files("blobs", store.blobs.files()))
    kinds.append(_of_files("cache", (path for path in (store.folder / "cache").rglob("*") if path.is_file())))
    return Stats(
        database=database.kind,
        where=database.where,
        size=database.size(),
        free=free_bytes(store.folder),
        oldest_trace=oldest or "",
        newest_trace=newest or "",
        kinds=[kind for kind in kinds if kind.count],
    )


def _grouped(connection: Connection, table: Table) -> list[Kind]:
    """By the column `kind`; what stands after a colon in it is left out."""
    size = func.coalesce(func.sum(func.length(table.c[_BODY[str(table.name)]])), 0)
    found: dict[str, Kind] = {}
    for kind, count, total in connection.execute(
        select(table.c.kind, func.count(), size).group_by(table.c.kind).order_by(table.c.kind)
    ):
        name = kind.partition(":")[0]
        before = found.get(name, Kind(name, 0, 0))
        found[name] = Kind(name, before.count + int(count), before.bytes + int(total))
    return list(found.values())


def _whole(connection: Connection, table: Table) -> Kind:
    body = _BODY.get(str(table.name))
    size = func.coalesce(func.sum(func.length(table.c[body])), 0) if body else func.count() * 0
    count, total = connection.execute(select(func.count(), size).select_from(table)).one()
    return Kind(str(table.name), int(count), int(total))


def _of_files(name: str, files: Iterator[Path]) -> Kind:
    count = total = 0
    for path in files:
        try:
            total += path.stat().st_size
        except FileNotFoundError:  # deleted meanwhile
            continue
        count += 1
    return Kind(name, count, total)
