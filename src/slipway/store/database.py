"""What a database must do for the catalog beyond portable SQL. `sqlite` and `postgres` are the two there are.

Knows no table by name and no verb.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, Table

from slipway.errors import SlipwayError


class Database(Protocol):
    """An open database. Whatever it raises for a disk, a server or a lock is a SlipwayError that says what to do.

    `engine` begins transactions that write, `reader` single reads, `snapshot` reads that must all see one instant;
    none of them waits for another process's reads. `where` is what a person is shown of it: never a password.
    """

    @property
    def kind(self) -> str:
        """sqlite, or postgresql."""
        ...

    where: str
    engine: Engine
    reader: Engine
    snapshot: Engine

    def upsert(self, table: Table) -> Any:
        """An insert that knows `on_conflict_do_update` and `on_conflict_do_nothing`."""
        ...

    def alone(self, connection: Connection, tables: Sequence[Table] = ()) -> None:
        """Until this transaction ends no other gets past this call, and none writes to `tables`."""
        ...

    def version(self, connection: Connection) -> int:
        """The schema's version as Slipway kept it before it used Alembic; 0 for none."""
        ...

    def set_version(self, connection: Connection, version: int) -> None:
        """Keep the version there too, so that such a Slipway refuses a newer schema."""
        ...

    def restart_numbering(self, connection: Connection, tables: Sequence[Table]) -> None:
        """After rows with numbers of their own: the next row gets a number above them all."""
        ...

    def size(self) -> int:
        """Bytes it takes."""
        ...

    def room(self) -> tuple[int, int] | None:
        """(free, in all) bytes of its disk; None when that cannot be known from here."""
        ...

    def check(self, connection: Connection) -> list[str]:
        """What the database itself finds wrong with its files, where it can look."""
        ...

    def damaged(self, why: str) -> SlipwayError:
        """The error for contents that are not what Slipway wrote."""
        ...
