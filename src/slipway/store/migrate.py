"""Brings a catalog's schema to this version of Slipway, by Alembic. The steps lie in `migrations/versions`.

One transaction, and the second one waits and finds it done. A new catalog gets the tables of today at once; an
up-to-date one is only read, and Alembic is not even imported. Knows no verbs; `catalog` has them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, insert, inspect, select

from slipway.errors import ConfigError, SlipwayError
from slipway.i18n import t
from slipway.store import tables
from slipway.store.database import Database

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006")
HEAD = REVISIONS[-1]
_ALEMBIC = Table(  # Alembic's own table, as it makes it
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


def revision_of(connection: Connection, database: Database) -> str:
    """The revision of a catalog; empty for a database that has none of our tables."""
    before = database.version(connection)
    if before < 0:
        raise database.damaged(f"user_version {before}")
    if inspect(connection).has_table(_ALEMBIC.name):
        return str(connection.execute(select(_ALEMBIC.c.version_num)).scalar() or "")
    if before > len(REVISIONS):
        raise newer(database.where)
    return REVISIONS[before - 1] if before else ""


def migrate(database: Database) -> None:
    """Bring the schema up to date. Raises ConfigError for one that a newer Slipway wrote; it is left alone."""
    with database.snapshot.connect() as connection:
        if _is_current(connection, database):
            return
    with database.engine.begin() as connection:  # only now is anything written: the rest opens on a full disk
        database.alone(connection)
        if _is_current(connection, database):  # another process was quicker
            return
        found = revision_of(connection, database)
        if found:
            upgrade(connection, found)
        else:
            tables.metadata.create_all(connection)
            _ALEMBIC.create(connection)
            connection.execute(insert(_ALEMBIC).values(version_num=HEAD))
        database.set_version(connection, len(REVISIONS))


def _is_current(connection: Connection, database: Database) -> bool:
    found = revision_of(connection, database)
    if found and found not in REVISIONS:
        raise newer(database.where)
    return found == HEAD


def upgrade(connection: Connection, since: str, to: str = "head") -> None:
    """Take the steps after the revision `since`, within the transaction of this connection."""
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    scripts = ScriptDirectory.from_config(config)

    def steps(revision: Any, context: Any) -> Any:
        return scripts._upgrade_revs(to, since)  # pyright: ignore[reportPrivateUsage]  # as alembic.command does

    with EnvironmentContext(config, scripts, fn=steps) as environment:
        if not inspect(connection).has_table(_ALEMBIC.name):
            _ALEMBIC.create(connection)
            connection.execute(insert(_ALEMBIC).values(version_num=since))
        environment.configure(connection=connection)
        environment.run_migrations()


def newer(where: str) -> SlipwayError:
    """The schema is not known here."""
    return ConfigError(t("{path} was written by a newer Slipway", path=where), "pip install -U 'slipway-ai'")
