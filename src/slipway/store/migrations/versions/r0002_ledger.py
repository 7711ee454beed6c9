"""Nouns in the order they were stored, digests of remembered work, and the ledger of what had been decided.

What an older version wrote is entered in the ledger as it is, marked `adopted`: nothing vouches for it but the tables.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from slipway.core.ref import canonical, digest_bytes

revision = "0002"
down_revision = "0001"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_NOUNS = sa.table("nouns", *(sa.column(name) for name in ("kind", "digest", "at", "seq")))
_MEMO = sa.table("memo", *(sa.column(name) for name in ("kind", "key", "value", "digest")))
_LEDGER = sa.table("ledger", sa.column("seq"), sa.column("body"), sa.column("digest"))
_DECIDED = {
    "promotions": ("seq", "channel", "release", "at", "by", "why", "action"),
    "gate_uses": ("seq", "split", "candidate", "at"),
    "keys": ("id", "name", "hash", "at"),
}


def upgrade() -> None:
    """Add the columns and the table, and fill them."""
    op.add_column("nouns", sa.Column("seq", _NUMBER, nullable=False, server_default="0"))
    _number_nouns()
    op.create_index("ix_nouns_seq", "nouns", ["seq"])
    op.add_column("memo", sa.Column("digest", sa.String))
    _digest_memo()
    op.create_table(
        "ledger",
        sa.Column("seq", _NUMBER, primary_key=True, autoincrement=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("digest", sa.String, nullable=False),
    )
    _adopt()


def _number_nouns() -> None:
    connection = op.get_bind()
    query = sa.select(_NOUNS.c.kind, _NOUNS.c.digest).order_by(_NOUNS.c.at, *_as_written("nouns"))
    for place, (kind, digest) in enumerate(connection.execute(query).all(), 1):
        this = (_NOUNS.c.kind == kind) & (_NOUNS.c.digest == digest)
        connection.execute(sa.update(_NOUNS).where(this).values(seq=place))


def _digest_memo() -> None:
    connection = op.get_bind()
    keys = connection.execute(sa.select(_MEMO.c.kind, _MEMO.c.key)).all()
    for kind, key in keys:
        this = (_MEMO.c.kind == kind) & (_MEMO.c.key == key)
        value: Any = connection.execute(sa.select(_MEMO.c.value).where(this)).scalar_one()
        raw = value if isinstance(value, bytes) else str(value).encode()
        connection.execute(sa.update(_MEMO).where(this).values(digest=digest_bytes(raw)))


def _adopt() -> None:
    connection, before = op.get_bind(), "0" * 64
    for place, entry in enumerate(_entries(connection), 1):
        body = canonical({**entry, "adopted": True})
        before = hashlib.sha256(before.encode() + body).hexdigest()
        connection.execute(sa.insert(_LEDGER).values(seq=place, body=body, digest=before))


def _entries(connection: sa.Connection) -> Iterator[dict[str, Any]]:
    for what, columns in _DECIDED.items():
        of = sa.table(what, *(sa.column(name) for name in columns))
        order = [of.c.seq] if "seq" in columns else _as_written(what)
        for row in connection.execute(sa.select(of).order_by(*order)).all():
            yield {"what": what, **dict(zip(columns, row, strict=True))}
    keys = sa.table("keys", sa.column("id"), sa.column("revoked"))
    query = sa.select(keys.c.id, keys.c.revoked).where(keys.c.revoked.is_not(None)).order_by(*_as_written("keys"))
    for row in connection.execute(query).all():
        yield {"what": "revoked", "id": row.id, "at": row.revoked}


def _as_written(table: str) -> list[Any]:
    """What sorts the rows of a table without a number as they were written: only SQLite had such catalogs."""
    return [sa.literal_column(f"{table}.rowid")] if op.get_bind().dialect.name == "sqlite" else []
