"""`slipway store restore`: a project's state as a backup holds it, on either database.

Every byte of the backup is read and compared before anything is written. Then blobs are added, which nothing points
at yet, and all rows are replaced in one transaction: `kill -9` leaves what was there before, or what the backup holds.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import msgspec
from sqlalchemy import Connection, delete, func, insert, select

from slipway.errors import ConfigError, IntegrityError
from slipway.i18n import t
from slipway.store import ledger, tables
from slipway.store.archive import SALT, Archive, blob_of
from slipway.store.blobs import write_aside
from slipway.store.store import Store

_BATCH = 200
_CACHE = ("memo", "runs")  # a project that has only these has nothing to lose


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup brought back. `digest`: of its manifest."""

    file: str
    digest: str
    made: str
    head: str
    rows: dict[str, int]
    blobs: int


def restore(store: Store, file: Path, *, replace: bool = False) -> Restored:
    """Put a backup in the place of the project's state; with `replace` also where there is some.

    Raises ConfigError where there is some, IntegrityError for a backup that is damaged, Busy while a run is at work.
    """
    archive = Archive(file)
    try:
        archive.verify()
        with store.lock(), store.sweeping():
            if not replace:
                with store.catalog.database.snapshot.connect() as connection:
                    _refuse_to_replace(connection)
            blobs = sum(1 for digest in archive.blobs if _put_blob(store, archive, digest))
            with store.catalog.engine.begin() as connection:
                store.catalog.database.alone(connection, tables.metadata.sorted_tables)
                if not replace:
                    _refuse_to_replace(connection)
                _replace_rows(store, connection, archive)
                _replace_salt(store, archive)
            store.catalog.index.clear()
        found = archive.manifest
        return Restored(
            file=str(file), digest=archive.digest, made=found.made, head=found.head, rows=found.rows, blobs=blobs
        )
    finally:
        archive.close()


def _refuse_to_replace(connection: Connection) -> None:
    for table in tables.metadata.sorted_tables:
        rows = int(connection.execute(select(func.count()).select_from(table)).scalar_one())
        if rows and table.name not in _CACHE:
            raise ConfigError(
                t("this project holds something already: {n} rows in {name}", n=rows, name=table.name),
                t("make a backup of it first; then `--replace` puts this one in its place"),
            )


def _put_blob(store: Store, archive: Archive, digest: str) -> bool:
    """Store one blob; one that is here is looked at, and stored again when it is damaged."""
    if store.blobs.has(digest):
        try:
            store.blobs.verify(digest)
        except IntegrityError:
            store.blobs.remove(digest)
    if store.blobs.put_pieces(archive.pieces(blob_of(digest))) != digest:
        archive.refuse(t("{name} does not match its digest", name=blob_of(digest)))
    return True


def _replace_rows(store: Store, connection: Connection, archive: Archive) -> None:
    ordered = tables.metadata.sorted_tables
    for table in reversed(ordered):
        connection.execute(delete(table))
    for table in ordered:
        rows = archive.rows(table)
        while batch := list(islice(rows, _BATCH)):
            connection.execute(insert(table).inline(), batch)
    numbered = [table for table in ordered if table.autoincrement_column is not None]
    store.catalog.database.restart_numbering(connection, numbered)
    if ledger.head(connection) != archive.manifest.head:
        archive.refuse(t("its history does not end where its manifest says"))


def _replace_salt(store: Store, archive: Archive) -> None:
    """The last thing before the commit: what keys the hashes of personal data in the rows."""
    if SALT not in archive.manifest.parts:
        return
    write_aside(store.folder / "salt", b"".join(archive.pieces(SALT)))
