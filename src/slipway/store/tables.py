"""The catalog's tables and how an older catalog becomes a newer one. Knows no verbs; `catalog` has them."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import (
    Column,
    Connection,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    text,
)

metadata = MetaData()

nouns = Table(  # every frozen noun, as canonical JSON
    "nouns",
    metadata,
    Column("kind", String, nullable=False),
    Column("name", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("at", String, nullable=False),
    PrimaryKeyConstraint("kind", "digest"),
    Index("nouns_by_name", "kind", "name", "at"),
)
runs = Table(
    "runs",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("step", String, nullable=False),
    Column("key", String, nullable=False, index=True),
    Column("status", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
memo = Table(  # results of pure work by the digest of all that went into it: parsed documents, vectors, scores
    "memo",
    metadata,
    Column("kind", String, nullable=False),
    Column("key", String, nullable=False),
    Column("value", LargeBinary, nullable=False),
    PrimaryKeyConstraint("kind", "key"),
)
promotions = Table(  # append-only; a channel points where its last row says
    "promotions",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("channel", String, nullable=False, index=True),
    Column("release", String, nullable=False),
    Column("at", String, nullable=False),
    Column("by", String, nullable=False),
    Column("why", String, nullable=False),
    Column("action", String, nullable=False),  # promote | rollback
)
gate_uses = Table(  # every look at a gate split
    "gate_uses",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("split", String, nullable=False, index=True),  # digest of the gate examples
    Column("candidate", String, nullable=False),
    Column("at", String, nullable=False),
)
traces = Table(
    "traces",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("at", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("release", String, nullable=False),
    Column("status", Integer, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
feedback = Table(
    "feedback",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("trace", String, nullable=False, index=True),
    Column("at", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
keys = Table(
    "keys",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("hash", String, nullable=False),
    Column("at", String, nullable=False),
    Column("revoked", String),
)

# One function a version, oldest first; each runs once, in one transaction with the change of `user_version`.
MIGRATIONS: list[Callable[[Connection], None]] = [lambda connection: metadata.create_all(connection)]


def migrate(connection: Connection) -> int:
    """Bring the catalog to this version of Slipway; returns the version found before.

    A catalog newer than this code is left alone, and the caller told by a version above len(MIGRATIONS). Raises
    ValueError for a version that no code has written.
    """
    found = int(connection.execute(text("PRAGMA user_version")).scalar_one())
    if found < 0:
        raise ValueError(f"user_version {found}")
    for version in range(found, len(MIGRATIONS)):
        MIGRATIONS[version](connection)
        connection.execute(text(f"PRAGMA user_version = {version + 1}"))
    return found
