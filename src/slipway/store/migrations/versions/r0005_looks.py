"""A look at the gate split names the examples it was at, so that it is counted for each of them.

Uses that are there keep their digest of the list of gate examples: the loop finds out which examples those were.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the columns and the table."""
    for name in ("kind", "asked", "project", "who"):
        op.add_column("gate_uses", sa.Column(name, sa.String, nullable=False, server_default=sa.text("''")))
    op.create_table(
        "gate_examples",
        sa.Column("look", _NUMBER, nullable=False),
        sa.Column("example", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("look", "example"),
    )
    op.create_index("ix_gate_examples_example", "gate_examples", ["example"])
