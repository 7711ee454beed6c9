"""The catalog on a PostgreSQL server, by psycopg (the extra `postgres`). All that is PostgreSQL's own stands here.

A commit that returned is on the server's disk (`synchronous_commit`), whatever the server's own default says. The
password is read for each connection, so that it may be changed; it is in no text that leaves this module.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event, func, make_url, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import ExceptionContext

from slipway.core.database import Address
from slipway.errors import Busy, ConfigError, IntegrityError, MissingPrerequisite, SlipwayError
from slipway.i18n import t
from slipway.store import failing

WAIT = 30  # seconds for a lock
_LINK = {"connect_timeout": "5", "tcp_user_timeout": "10000", "keepalives_idle": "10", "keepalives_interval": "5"}
"""Seconds, and once milliseconds, after which a server that says nothing counts as gone; the URL may say otherwise."""
_LOCK = 0x736C6970776179  # the advisory lock of a caller that must be alone: "slipway"


def read_password(address: Address) -> str:
    """The password from the environment or its file; empty when the address names neither."""
    if address.password_env:
        found = os.environ.get(address.password_env, "")
        if not found:
            raise MissingPrerequisite(
                t(
                    "the environment variable {name}, which should hold the database's password, is not set",
                    name=address.password_env,
                ),
                f"export {address.password_env}=...",
            )
        return found
    if not address.password_file:
        return ""
    try:
        return Path(address.password_file).expanduser().read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise MissingPrerequisite(
            t("the file {name}, which should hold the database's password, cannot be read", name=address.password_file),
            t("write the password into it, readable only by you (chmod 600)"),
        ) from error


class Postgres:
    """A `Database` on a server."""

    kind = "postgresql"

    def __init__(self, address: Address) -> None:
        address.check()
        url = make_url(address.url).set(drivername="postgresql+psycopg")
        self.where = url.set(drivername="postgresql", query={}).render_as_string(hide_password=True)
        options = f"-c synchronous_commit=on -c lock_timeout={WAIT}s {url.query.get('options', '')}".strip()
        asked = url.update_query_dict({**_LINK, **url.query, "options": options})
        try:
            self.engine: Engine = create_engine(asked, pool_pre_ping=True, hide_parameters=True)
        except ModuleNotFoundError as error:
            raise MissingPrerequisite(
                t("the driver for PostgreSQL is not installed"), "pip install 'slipway-ai[postgres]'"
            ) from error
        self._address = address
        event.listen(self.engine, "do_connect", self._sign_in)
        event.listen(self.engine, "handle_error", self._explain)
        self.reader: Engine = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self.snapshot: Engine = self.engine.execution_options(isolation_level="REPEATABLE READ")

    def _sign_in(self, dialect: Any, record: Any, arguments: Any, parameters: dict[str, Any]) -> None:
        password = read_password(self._address)
        if password:
            parameters["password"] = password

    def upsert(self, table: Table) -> Any:
        """See `Database`."""
        return insert(table)

    def alone(self, connection: Connection, tables: Sequence[Table] = ()) -> None:
        """By an advisory lock; tables are locked against writers, not against readers."""
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
        if tables:
            names = ", ".join(f'"{table.name}"' for table in tables)
            connection.execute(text(f"LOCK TABLE {names} IN EXCLUSIVE MODE"))

    def version(self, connection: Connection) -> int:
        """There was none: what is here was always kept by Alembic."""
        return 0

    def set_version(self, connection: Connection, version: int) -> None:
        """See `version`."""

    def restart_numbering(self, connection: Connection, tables: Sequence[Table]) -> None:
        """Set the sequences."""
        for table in tables:
            (column,) = table.primary_key.columns
            last = select(func.coalesce(func.max(column), 0) + 1).scalar_subquery()
            sequence = func.pg_get_serial_sequence(table.name, column.name)
            connection.execute(select(func.setval(sequence, last, False)))

    def size(self) -> int:
        """Of the whole database, as the server counts it."""
        with self.reader.connect() as connection:
            return int(connection.execute(select(func.pg_database_size(func.current_database()))).scalar_one())

    def room(self) -> tuple[int, int] | None:
        """The server's disk cannot be seen from here; whether it answers and takes writes can."""
        with self.reader.connect() as connection:
            if connection.execute(select(func.current_setting("transaction_read_only"))).scalar() == "on":
                raise _read_only(self.where, "transaction_read_only = on")
        return None

    def check(self, connection: Connection) -> list[str]:
        """The server's own business: `pg_amcheck`, data checksums."""
        return []

    def damaged(self, why: str) -> SlipwayError:
        """See `Database`."""
        return _damaged(self.where, why)

    def _explain(self, context: ExceptionContext) -> None:
        """SQLAlchemy's hook: raise our own error instead, where there is one."""
        if context.is_pre_ping:
            return  # the pool makes a new connection, and says what comes of that
        error = context.original_exception
        ours = explained(error, self.where)
        if ours is not None:
            raise ours from None if context.connection is None else error


def explained(error: BaseException, where: str) -> SlipwayError | None:
    """The error for what psycopg says, by its SQLSTATE; None when it is no matter of the server but a defect."""
    import psycopg

    if not isinstance(error, psycopg.Error):
        return None
    state = error.sqlstate or ""
    for beginning, made in _BY_STATE:
        if state.startswith(beginning):
            return made(where, _first_line(error))
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return _not_reached(where, _first_line(error))
    if isinstance(error, psycopg.DataError):
        return ConfigError(
            t("{where} cannot hold this text: {why}", where=where, why=_first_line(error)),
            t("take out what is no character, and create the database with ENCODING 'UTF8'"),
        )
    return None


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _not_reached(where: str, why: str) -> SlipwayError:
    said = why.lower()  # the driver has no code for a connection that failed
    if "password" in said or "authentication" in said or "pg_hba.conf" in said or "role" in said:
        return _not_let_in(where, why)
    if "does not exist" in said:
        return _not_there(where, why)
    return MissingPrerequisite(
        t("{where} cannot be reached: {why}", where=where, why=why),
        t("start the database, or correct store.url; what was acknowledged is kept, then run the same command again"),
    )


def _not_let_in(where: str, why: str) -> SlipwayError:
    return MissingPrerequisite(
        t("{where} does not let this user in: {why}", where=where, why=why),
        t("put the right password where store.password_env or store.password_file says, or ask who runs the server"),
    )


def _not_there(where: str, why: str) -> SlipwayError:
    return MissingPrerequisite(
        t("{where} is not there: {why}", where=where, why=why),
        t("create it on the server: CREATE DATABASE name ENCODING 'UTF8'"),
    )


def _full(where: str, why: str) -> SlipwayError:
    todo = t("free some space on the database server, then run the same command again; what was finished is kept")
    return failing.full(where, todo)


def _read_only(where: str, why: str) -> SlipwayError:
    return MissingPrerequisite(
        t("{where} takes no writes: {why}", where=where, why=why),
        t("what is there can be read and served; name the primary server in store.url, or end its read-only mode"),
    )


def _busy(where: str, why: str) -> SlipwayError:
    return Busy(
        t("another program keeps {path} locked", path=where),
        t("end what works in this project's folder, then run the same command again; nothing was changed"),
    )


def _refused(where: str, why: str) -> SlipwayError:
    return MissingPrerequisite(
        t("{where} does not allow it: {why}", where=where, why=why),
        t("make this user the owner of the database, or grant it CREATE and USAGE on the schema"),
    )


def _broken(where: str, why: str) -> SlipwayError:
    todo = t("stop, and look at the log of the database server; then restore a backup: `slipway store restore`")
    return failing.broken_disk(where, todo)


def _damaged(where: str, why: str) -> SlipwayError:
    return IntegrityError(
        t("{path} cannot be read as a catalog: {why}", path=where, why=why),
        t("was it changed by hand? Restore a backup into an empty database: `slipway store restore`"),
    )


_BY_STATE = (
    ("53100", _full),
    ("53", _not_reached),  # out of memory, too many connections
    ("25006", _read_only),
    ("55P03", _busy),
    ("57014", _busy),
    ("40", _busy),  # deadlock, serialization
    ("57P", _not_reached),  # shutting down, starting up
    ("08", _not_reached),
    ("28", _not_let_in),
    ("3D", _not_there),
    ("42501", _refused),
    ("42P01", _damaged),  # no such table
    ("42703", _damaged),  # no such column
    ("58", _broken),
    ("XX", _broken),
)
