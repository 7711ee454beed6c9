"""What the monitor knows between two looks, what it measured, and the alerts that are on their way."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "watch_states",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
    )
    op.create_table(
        "watch_units",
        sa.Column("seq", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("place", sa.Float, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_watch_units_name", "watch_units", ["name"])
    op.create_table(
        "watch_hours",
        *(sa.Column(name, sa.String, nullable=False) for name in ("channel", "metric", "hour")),
        sa.Column("n", sa.Integer, nullable=False),
        sa.Column("total", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("channel", "metric", "hour"),
    )
    op.create_table(
        "alerts",
        sa.Column("seq", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String, nullable=False, unique=True),
        sa.Column("at", sa.String, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "deliveries",
        *(sa.Column(name, sa.String, nullable=False) for name in ("alert", "sink")),
        sa.Column("tries", sa.Integer, nullable=False),
        *(sa.Column(name, sa.String, nullable=False) for name in ("due", "done", "error")),
        sa.PrimaryKeyConstraint("alert", "sink"),
    )
    op.create_index("ix_deliveries_due", "deliveries", ["due"])
