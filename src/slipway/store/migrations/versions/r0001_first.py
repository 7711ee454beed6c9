"""The tables as the first release made them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "nouns",
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("at", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("kind", "digest"),
    )
    op.create_index("nouns_by_name", "nouns", ["kind", "name", "at"])
    op.create_table(
        "runs",
        _place(),
        sa.Column("id", sa.String, nullable=False, unique=True),
        sa.Column("step", sa.String, nullable=False),
        sa.Column("key", sa.String, nullable=False, index=True),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "memo",
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("value", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("kind", "key"),
    )
    op.create_table(
        "promotions",
        _place(),
        sa.Column("channel", sa.String, nullable=False, index=True),
        *(sa.Column(name, sa.String, nullable=False) for name in ("release", "at", "by", "why", "action")),
    )
    op.create_table(
        "gate_uses",
        _place(),
        sa.Column("split", sa.String, nullable=False, index=True),
        *(sa.Column(name, sa.String, nullable=False) for name in ("candidate", "at")),
    )
    _records()
    op.create_table(
        "keys",
        sa.Column("id", sa.String, primary_key=True),
        *(sa.Column(name, sa.String, nullable=False) for name in ("name", "hash", "at")),
        sa.Column("revoked", sa.String),
    )


def _records() -> None:
    op.create_table(
        "traces",
        _place(),
        sa.Column("id", sa.String, nullable=False, unique=True),
        *(sa.Column(name, sa.String, nullable=False) for name in ("at", "channel", "release")),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "feedback",
        _place(),
        sa.Column("id", sa.String, nullable=False, unique=True),
        sa.Column("trace", sa.String, nullable=False, index=True),
        sa.Column("at", sa.String, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )


def _place() -> sa.Column[int]:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column("seq", number, primary_key=True, autoincrement=True)
