"""The catalog in one file, by SQLite. WAL, synchronous=FULL: a commit that returned survives `kill -9` and a power cut.

All that is SQLite's own stands here. The file is opened to read and write where the disk allows it, to read where not.

SQLite in WAL mode needs room even to read: 32 KB for the index of its log, made by the first that opens the file. On a
full disk or a read-only file system that fails, so there are two other ways, tried for each connection again until the
usual one works again:

- when the log holds nothing, the main file is whole by itself and is read as it is (`immutable`);
- else the file is opened by this connection alone, which keeps the index of the log in memory.

Every error of SQLite's that has to do with the disk leaves here as the SlipwayError that says what to do.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event, text
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import ExceptionContext

from slipway.errors import Busy, SlipwayError
from slipway.i18n import t
from slipway.store.failing import (
    ROOM,
    at_limit,
    broken_disk,
    damaged,
    forbidden,
    free_bytes,
    full,
    is_read_only,
    limited,
    read_only,
    reporting,
)

WAIT = 30  # seconds for a lock
_CANNOT_WRITE = frozenset((sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY))


class Reading(sqlite3.Connection):
    """A connection that cannot write; closed after each use, so that the next one may."""


class _Opener:
    """Makes connections to one file. `why`: what kept the last one from writing, None when nothing did."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.why: sqlite3.Error | None = None

    def __call__(self) -> sqlite3.Connection:
        try:
            found = self._open(str(self.path), sqlite3.Connection, ("journal_mode=WAL",))
        except UnicodeDecodeError as error:  # what SQLite says of a damaged schema quotes its bytes
            raise damaged(self.path, str(error)) from error
        except sqlite3.Error as error:
            if _code(error) not in _CANNOT_WRITE or not self.path.is_file():
                raise
            found = self._to_read(error)
            self.why = error
        else:
            self.why = None
        return found

    def _to_read(self, error: sqlite3.Error) -> sqlite3.Connection:
        log = self.path.with_name(f"{self.path.name}-wal")
        try:
            if not log.exists() or not log.stat().st_size:
                return self._open(f"{self.path.resolve().as_uri()}?mode=ro&immutable=1", Reading, ())
            return self._open(str(self.path), Reading, ("locking_mode=EXCLUSIVE",))
        except sqlite3.Error:
            raise error from None

    def _open(self, name: str, factory: type[sqlite3.Connection], pragmas: tuple[str, ...]) -> sqlite3.Connection:
        found = sqlite3.connect(
            name, timeout=WAIT, check_same_thread=False, isolation_level=None, uri=name.startswith("file:"),
            factory=factory,
        )  # fmt: skip
        try:
            for pragma in (*pragmas, "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
                found.execute(f"PRAGMA {pragma}")
            found.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except BaseException:
            found.close()
            raise
        return found

    def explain(self, context: ExceptionContext) -> None:
        """SQLAlchemy's hook: raise our own error instead, where there is one."""
        error = context.original_exception
        if isinstance(error, UnicodeDecodeError):  # a text column that holds other bytes
            raise damaged(self.path, str(error)) from error
        if not isinstance(error, sqlite3.Error):
            return
        if self.why is not None and _code(error) == sqlite3.SQLITE_READONLY:
            error = self.why
        ours = of_database(error, self.path)
        if ours is not None:
            raise ours from error


def _code(error: sqlite3.Error) -> int:
    """SQLite's code for an error; 0 for one that Python's module raises by itself."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


class SQLite:
    """A `Database` in the file at `path`, made when it is missing."""

    kind = "sqlite"

    def __init__(self, path: Path) -> None:
        if not path.exists():
            with reporting(path):
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                os.close(os.open(path, os.O_RDONLY | os.O_CREAT, 0o600))  # SQLite's own files take their rights from it
        self.path = path
        self.where = str(path)
        opener = _Opener(path)
        self.engine: Engine = create_engine(f"sqlite:///{path}", creator=opener)
        event.listen(self.engine, "checkin", _close_reading)
        event.listen(self.engine, "begin", _begin)
        event.listen(self.engine, "handle_error", opener.explain)
        self.reader: Engine = self.engine.execution_options(read=True)
        self.snapshot: Engine = self.reader

    def upsert(self, table: Table) -> Any:
        """See `Database`."""
        return insert(table)

    def alone(self, connection: Connection, tables: Sequence[Table] = ()) -> None:
        """A transaction of `engine` is alone from its beginning."""

    def version(self, connection: Connection) -> int:
        """See `Database`."""
        return int(connection.execute(text("PRAGMA user_version")).scalar_one())

    def set_version(self, connection: Connection, version: int) -> None:
        """See `Database`."""
        connection.execute(text(f"PRAGMA user_version = {version}"))

    def restart_numbering(self, connection: Connection, tables: Sequence[Table]) -> None:
        """SQLite looks at the rows."""

    def size(self) -> int:
        """The file with its log."""
        names = (self.path, *(self.path.with_name(f"{self.path.name}-{end}") for end in ("wal", "shm")))
        return sum(name.stat().st_size for name in names if name.exists())

    def room(self) -> tuple[int, int] | None:
        """Of the disk that the file is on."""
        try:
            found = os.statvfs(self.path.parent)
        except OSError:
            return None
        return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize

    def check(self, connection: Connection) -> list[str]:
        """See `Database`."""
        found = connection.execute(text("PRAGMA quick_check")).scalars().all()
        return [] if list(found) == ["ok"] else [str(line) for line in found]

    def damaged(self, why: str) -> SlipwayError:
        """See `Database`."""
        return damaged(self.path, why)


def _close_reading(connection: Any, record: Any) -> None:
    if isinstance(connection, Reading):
        record.invalidate()


def _begin(connection: Connection) -> None:
    # IMMEDIATE: a transaction that will write takes the lock at once, instead of failing half-way (SQLITE_BUSY).
    connection.exec_driver_sql("BEGIN" if connection.get_execution_options().get("read") else "BEGIN IMMEDIATE")


def of_database(error: sqlite3.Error, path: Path) -> SlipwayError | None:
    """The error for what SQLite says, by its result code; None when it is no matter of the disk but a defect."""
    code: int = getattr(error, "sqlite_errorcode", 0) or 0
    kind = code & 0xFF
    if kind == sqlite3.SQLITE_FULL:
        return full(path)
    if kind in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Busy(
            t("another program keeps {path} locked", path=path),
            t("end what works in this project's folder, then run the same command again; nothing was changed"),
        )
    if kind in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or _lacks(error, kind):
        return damaged(path, str(error))
    if kind == sqlite3.SQLITE_IOERR:
        no_room = code == sqlite3.SQLITE_IOERR_SHMSIZE or free_bytes(path.parent) < ROOM
        if not no_room and at_limit(*(path.with_name(path.name + end) for end in ("", "-wal", "-shm"))):
            return limited(path)  # SQLite does not tell this from a disk that is broken
        return full(path) if no_room else broken_disk(path)
    if kind in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return _not_writable(path)
    return None


def _lacks(error: sqlite3.Error, kind: int) -> bool:
    """Whether the file has not what our statements name: tables that vanished, texts that are none."""
    ours = isinstance(error, sqlite3.ProgrammingError | sqlite3.IntegrityError)
    return kind in (0, sqlite3.SQLITE_ERROR) and isinstance(error, sqlite3.DatabaseError) and not ours


def _not_writable(path: Path) -> SlipwayError:
    if is_read_only(path.parent):
        return read_only(path)
    if free_bytes(path.parent) < ROOM:
        return full(path)
    return forbidden(path)
