"""A key may be for some things only, and for one tenant."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the two columns; keys that are there keep every right they had."""
    for name in ("scopes", "tenant"):
        op.add_column("keys", sa.Column(name, sa.String, nullable=False, server_default=sa.text("''")))
