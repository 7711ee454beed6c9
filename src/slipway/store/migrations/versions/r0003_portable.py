"""Nothing leans on SQLite any more: keys have a number of their own. Remembered work says when it was remembered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the two columns. `memo.at` stays empty for what is there: filling it would write all values again."""
    op.add_column("keys", sa.Column("seq", _NUMBER, nullable=False, server_default="0"))
    keys = sa.table("keys", sa.column("id"), sa.column("at"), sa.column("seq"))
    connection = op.get_bind()
    order = sa.literal_column("keys.rowid") if connection.dialect.name == "sqlite" else keys.c.at
    for place, id_ in enumerate(connection.execute(sa.select(keys.c.id).order_by(order)).scalars().all(), 1):
        connection.execute(sa.update(keys).where(keys.c.id == id_).values(seq=place))
    op.add_column("memo", sa.Column("at", sa.String, nullable=False, server_default=sa.text("''")))
