"""Opens the catalog's file: to read and write where the disk allows it, to read where it does not.

SQLite in WAL mode needs room even to read: 32 KB for the index of its log, made by whoever opens the file first. On a
full disk or a read-only file system that fails, so there are two other ways, tried for each connection anew until the
usual one works again:

- when the log holds nothing, the main file is whole by itself and is read as it is (`immutable`);
- else the file is opened by this connection alone, which keeps the index of the log in memory.

Every error of SQLite's that has to do with the disk leaves here as the SlipwayError that says what to do.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import ExceptionContext

from slipway.store.failing import damaged, of_database

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
            for pragma in (*pragmas, "synchronous=FULL", "foreign_keys=ON"):
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


def connect(path: Path) -> Engine:
    """An engine for the catalog at `path`. What it raises for a failing disk is a SlipwayError, at whatever call."""
    opener = _Opener(path)
    engine = create_engine(f"sqlite:///{path}", creator=opener)
    event.listen(engine, "checkin", _close_reading)
    event.listen(engine, "begin", _begin)
    event.listen(engine, "handle_error", opener.explain)
    return engine


def _close_reading(connection: Any, record: Any) -> None:
    if isinstance(connection, Reading):
        record.invalidate()


def _begin(connection: Connection) -> None:
    # IMMEDIATE: a transaction that will write takes the lock at once, instead of failing half-way (SQLITE_BUSY).
    connection.exec_driver_sql("BEGIN" if connection.get_execution_options().get("read") else "BEGIN IMMEDIATE")
