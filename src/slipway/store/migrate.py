"""How an older catalog becomes a newer one, step by step. Knows no verbs; `catalog` has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, text

from slipway.core.ref import digest_bytes
from slipway.store import ledger, tables


def _first(connection: Connection) -> None:
    tables.metadata.create_all(connection)  # everything of today: later steps add only what an older catalog lacks


def _second(connection: Connection) -> None:
    """Nouns in the order they were stored, digests of remembered work, and the ledger of what had been decided."""
    if not _has(connection, "nouns", "seq"):
        connection.execute(text("ALTER TABLE nouns ADD COLUMN seq INTEGER NOT NULL DEFAULT 0"))
        connection.execute(
            text(
                "WITH sorted AS (SELECT rowid AS id, row_number() OVER (ORDER BY at, rowid) AS place FROM nouns) "
                "UPDATE nouns SET seq = (SELECT place FROM sorted WHERE sorted.id = nouns.rowid)"
            )
        )
        connection.execute(text("CREATE INDEX ix_nouns_seq ON nouns (seq)"))
    if not _has(connection, "memo", "digest"):
        connection.execute(text("ALTER TABLE memo ADD COLUMN digest VARCHAR"))
        driver: Any = connection.connection.driver_connection
        driver.create_function("sha256", 1, digest_bytes, deterministic=True)
        connection.execute(text("UPDATE memo SET digest = sha256(value)"))
    tables.ledger.create(connection, checkfirst=True)
    ledger.adopt(connection)


def _has(connection: Connection, table: str, column: str) -> bool:
    return column in [row[1] for row in connection.execute(text(f"PRAGMA table_info({table})"))]


# One function a version, oldest first; each runs once, in one transaction with the change of `user_version`.
MIGRATIONS: list[Callable[[Connection], None]] = [_first, _second]


def version_of(connection: Connection) -> int:
    """The version of a catalog; 0 for a new one."""
    return int(connection.execute(text("PRAGMA user_version")).scalar_one())


def migrate(connection: Connection) -> None:
    """Bring the catalog to this version of Slipway; one that is newer than this code is left alone."""
    for version in range(version_of(connection), len(MIGRATIONS)):
        MIGRATIONS[version](connection)
        connection.execute(text(f"PRAGMA user_version = {version + 1}"))
