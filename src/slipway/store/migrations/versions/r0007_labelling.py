"""Queues of items that people label, what they said, and who is looking at which item."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_RECORDS = {  # table -> its texts; `*`: unique, `+`: with an index
    "label_queues": ("*name",),
    "label_items": ("*id", "+queue"),
    "judgements": ("*id", "+queue", "item", "slot"),
}


def upgrade() -> None:
    """Add the four tables."""
    for table, texts in _RECORDS.items():
        columns = [sa.Column(one.strip("*+"), sa.String, nullable=False, unique=one[0] == "*") for one in texts]
        alone = [sa.UniqueConstraint("item", "slot")] if table == "judgements" else []
        body = sa.Column("body", sa.LargeBinary, nullable=False)
        op.create_table(table, sa.Column("seq", _NUMBER, primary_key=True, autoincrement=True), *columns, body, *alone)
        if "+queue" in texts:
            op.create_index(f"ix_{table}_queue", table, ["queue"])
    keys = [sa.Column(name, sa.String, nullable=False) for name in ("item", "by", "at")]
    op.create_table("label_claims", *keys, sa.PrimaryKeyConstraint("item", "by"))
