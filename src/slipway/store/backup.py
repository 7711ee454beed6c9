"""`slipway store backup`: one file with all of a project's state, as it was at one instant, while a server writes on.

Rows are read in one transaction that sees nothing later; blobs never change, and none is deleted meanwhile. What can be
made again (indexes, models) is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
from sqlalchemy import Connection, Table, select

from slipway import __version__
from slipway.errors import IntegrityError
from slipway.store import archive, ledger, tables
from slipway.store.catalog import now
from slipway.store.migrate import HEAD
from slipway.store.new_file import new_file
from slipway.store.reach import digests_in
from slipway.store.store import Store


class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """A backup that was written. `digest`: of its manifest, which names all else. `damaged`: blobs whose bytes are no
    longer what they were; they are not in it.
    """

    file: str
    size: int
    digest: str
    head: str
    rows: dict[str, int]
    blobs: int
    damaged: list[str]


def backup(store: Store, file: Path) -> Backup:
    """Write a backup to a new file, readable by its owner only. Raises ConfigError where there is one already."""
    with new_file(file) as out, store.sweeping(shared=True), closing(archive.Writer(out)) as writer:
        made = _write(store, writer)
    return msgspec.structs.replace(made, file=str(file), size=file.stat().st_size)


def _write(store: Store, out: archive.Writer) -> Backup:
    database = store.catalog.database
    rows: dict[str, int] = {}
    named: set[str] = set()
    with database.snapshot.connect() as connection:
        head = ledger.head(connection)
        for table in tables.metadata.sorted_tables:
            counted = _Counted()
            out.put(archive.rows_of(table), counted.lines(connection, table, named))
            rows[str(table.name)] = counted.rows
    damaged: list[str] = []
    blobs = 0
    for digest in sorted(named):
        if not store.blobs.has(digest):
            continue
        try:
            store.blobs.verify(digest)
        except IntegrityError:
            damaged.append(digest)
            continue
        out.put(archive.blob_of(digest), _file(store.blobs.path(digest)))
        blobs += 1
    if (store.folder / "salt").exists():
        out.put(archive.SALT, iter([store.salt]))
    manifest = archive.Manifest(
        format=archive.FORMAT,
        slipway=__version__,
        made=now(),
        schema=HEAD,
        database=database.kind,
        head=head,
        columns={str(table.name): [str(column.name) for column in table.c] for table in tables.metadata.sorted_tables},
        rows=rows,
        parts=out.parts,
    )
    digest = out.end(manifest)
    return Backup(file="", size=0, digest=digest, head=head, rows=rows, blobs=blobs, damaged=damaged)


class _Counted:
    """Lines of a table, counted as they pass; what they name is added to `named`."""

    def __init__(self) -> None:
        self.rows = 0

    def lines(self, connection: Connection, table: Table, named: set[str]) -> Iterator[bytes]:
        query = select(table).order_by(*table.primary_key.columns)
        found = connection.execution_options(yield_per=500).execute(query)
        bodies = table.name in ("nouns", "runs")
        for row in found:
            self.rows += 1
            if bodies:
                named |= digests_in(row.body)
            yield archive.encode(table, row)


def _file(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(archive.PIECE):
            yield piece
