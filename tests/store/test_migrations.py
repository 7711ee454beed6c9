"""Catalogs that older versions wrote become today's, without loss, once, whichever process comes first; newer ones are refused."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import older
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from everyday import some
from slipway.core.database import Address
from slipway.core.material import Dataset
from slipway.core.trace import Trace
from slipway.errors import ConfigError, IntegrityError, MissingPrerequisite
from slipway.store import migrate, tables
from slipway.store.postgres import Postgres
from slipway.store.sqlite import SQLite
from slipway.store.store import Store


def look(folder: Path, statement: str) -> list[Any]:
    with sqlite3.connect(folder / "catalog.db") as connection:
        return connection.execute(statement).fetchall()


@pytest.mark.parametrize("version", [1, 2])
def test_an_older_catalog_is_brought_up_to_date_without_loss(tmp_path: Path, version: int) -> None:
    older.write(tmp_path / "catalog.db", version)
    head = look(tmp_path, "SELECT digest FROM ledger ORDER BY seq DESC LIMIT 1") if version == 2 else None
    store = Store(tmp_path)
    catalog = store.catalog
    assert [found.size for _, found in catalog.list("dataset", Dataset, "d")] == [2, 1, 0]
    assert [run.id for run in catalog.runs()] == ["r1"]
    assert catalog.recall("answer", ["a"]) == {"a": b"1"}
    assert [(row["release"], row["why"]) for row in catalog.history()] == [("r1", "好"), ("r0", "好")]
    assert catalog.trace(older.TRACE).channel == "p"
    assert [said.thumb for said in catalog.feedback(older.TRACE)] == ["up"]
    assert [(key["id"], bool(key["revoked"])) for key in catalog.api_keys()] == [("k2", False), ("k1", True)]
    assert catalog.verify_history().startswith("6:")
    if head:
        assert catalog.head().endswith(head[0][0])
    # and it goes on from there
    catalog.promote("p", "r2", by="ada", why="")
    catalog.put("dataset", "d", Dataset(name="d", kind="documents", items="0" * 64, size=1))
    catalog.add_key("k0", "ada", "hash")
    old = catalog.looks(["e"], ["split", "another"])
    assert [(look.kind, look.candidates) for look in old] == [("use", ("c",))]
    assert catalog.looks(["e"]) == []
    new = catalog.look(["e"], "verdict", ["d"], "q", "demo", "ada")
    assert catalog.looks(["e"], ["split"]) == [*old, new]
    assert [found.size for _, found in catalog.list("dataset", Dataset, "d")] == [1, 2, 0]
    assert [key["id"] for key in catalog.api_keys()] == ["k2", "k1", "k0"]
    assert catalog.verify_history().startswith("9:")
    store.close()
    Store(tmp_path).catalog.verify_history()
    with sqlite3.connect(tmp_path / "catalog.db") as connection:
        connection.execute("DELETE FROM promotions WHERE seq = 1")
    with pytest.raises(IntegrityError):
        Store(tmp_path).catalog.verify_history()


@pytest.mark.parametrize("version", [1, 2])
def test_what_the_steps_make_is_what_a_new_catalog_has(tmp_path: Path, version: int) -> None:
    older.write(tmp_path / "catalog.db", version)
    Store(tmp_path).close()
    assert _difference(f"sqlite:///{tmp_path / 'catalog.db'}") == []
    Store(tmp_path / "new").close()
    assert _difference(f"sqlite:///{tmp_path / 'new' / 'catalog.db'}") == []


def _difference(url: str) -> list[Any]:
    engine = create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        found = compare_metadata(context, tables.metadata)
    engine.dispose()
    return found


@pytest.mark.service
def test_the_steps_run_on_postgresql_too(database: Address) -> None:
    """From nothing, as Alembic runs them: what a catalog made on PostgreSQL will go through later."""
    opened = Postgres(database)
    with opened.engine.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)"))
        migrate.upgrade(connection, "base")
    with opened.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, tables.metadata) == []
        assert migrate.revision_of(connection, opened) == migrate.HEAD
    opened.engine.dispose()


def test_the_list_of_revisions_is_that_of_the_files() -> None:
    scripts = ScriptDirectory(str(Path(migrate.__file__).with_name("migrations")))
    assert [found.revision for found in scripts.walk_revisions()] == list(reversed(migrate.REVISIONS))
    assert scripts.get_current_head() == migrate.HEAD


OPEN = "import sys; from pathlib import Path; from slipway.store.store import Store; sys.stdin.readline()\nprint(Store(Path(sys.argv[1])).catalog.verify_history())"


@pytest.mark.parametrize("version", some([0, 2], 2))
def test_processes_that_start_at_once_migrate_once(tmp_path: Path, version: int) -> None:
    if version:
        older.write(tmp_path / "catalog.db", version)
    opening = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for process in opening:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    assert len({process.communicate()[0] for process in opening}) == 1
    assert [process.returncode for process in opening] == [0] * 4
    assert look(tmp_path, "SELECT version_num FROM alembic_version") == [(migrate.HEAD,)]


def test_a_migration_that_ends_in_the_middle_leaves_what_was_there(tmp_path: Path) -> None:
    """kill -9 after the last step, before the commit."""
    older.write(tmp_path / "catalog.db", 1)
    script = (
        "import os, sys; from pathlib import Path; from slipway.store import migrate; from slipway.store.store import Store\n"
        "from slipway.store.sqlite import SQLite\n"
        "SQLite.set_version = lambda *_: os.kill(os.getpid(), 9)\n"
        "Store(Path(sys.argv[1]))"
    )
    assert subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False).returncode == -9
    assert look(tmp_path, "PRAGMA user_version") == [(1,)]
    assert look(tmp_path, "SELECT count(*) FROM sqlite_master WHERE name IN ('ledger', 'alembic_version')") == [(0,)]
    assert Store(tmp_path).catalog.verify_history().startswith("6:")


@pytest.mark.parametrize(
    "statement",
    ["UPDATE alembic_version SET version_num = '0099'", "DROP TABLE alembic_version; PRAGMA user_version = 99"],
)
def test_a_newer_catalog_is_refused_and_left_alone(tmp_path: Path, statement: str) -> None:
    Store(tmp_path).close()
    with sqlite3.connect(tmp_path / "catalog.db") as connection:
        connection.executescript(statement)
    before = look(tmp_path, "SELECT * FROM sqlite_master")
    with pytest.raises(ConfigError, match="newer"):
        Store(tmp_path)
    assert look(tmp_path, "SELECT * FROM sqlite_master") == before


def test_slipway_before_alembic_refuses_what_this_one_wrote(tmp_path: Path) -> None:
    """It knew `user_version`, and 2 was the highest it knew."""
    Store(tmp_path).close()
    assert look(tmp_path, "PRAGMA user_version")[0][0] > 2


@pytest.mark.service
def test_a_newer_schema_on_postgresql_is_refused(database: Address) -> None:
    opened = Postgres(database)
    migrate.migrate(opened)
    with opened.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0099'"))
    with pytest.raises(ConfigError, match="newer"):
        migrate.migrate(opened)
    opened.engine.dispose()


def test_an_up_to_date_catalog_is_opened_without_alembic(tmp_path: Path) -> None:
    """It takes a third of a second to import."""
    Store(tmp_path).close()
    script = "import sys; from pathlib import Path; from slipway.store.store import Store; Store(Path(sys.argv[1])); sys.exit('alembic' in sys.modules or 'psycopg' in sys.modules)"
    for folder in (tmp_path, tmp_path / "new"):
        assert subprocess.run([sys.executable, "-c", script, str(folder)], check=False).returncode == 0


def test_an_older_catalog_on_a_full_disk_is_left_as_it_is(tmp_path: Path) -> None:
    from disks import small_disk

    with small_disk(tmp_path / "disk") as disk:
        older.write(disk.path / "s" / "catalog.db", 1)
        disk.fill()
        with pytest.raises(MissingPrerequisite, match="is full"):
            Store(disk.path / "s")
        disk.free()
        assert Store(disk.path / "s").catalog.verify_history().startswith("6:")


def test_a_trace_written_after_the_migration_is_like_any_other(tmp_path: Path) -> None:
    older.write(tmp_path / "catalog.db", 2)
    store = Store(tmp_path)
    new = Trace(
        id="1" * 32,
        at="2026-02-01T00:00:00.000000Z",
        endpoint="/generate",
        channel="p",
        release="",
        status=200,
        request={},
    )
    store.catalog.add_traces([new])
    assert [trace.id for _, trace in store.catalog.traces()] == ["1" * 32, older.TRACE]


def test_sqlite_is_never_migrated_by_reading(tmp_path: Path) -> None:
    older.write(tmp_path / "catalog.db", 1)
    opened = SQLite(tmp_path / "catalog.db")
    with opened.reader.connect() as connection:
        assert migrate.revision_of(connection, opened) == "0001"
    assert look(tmp_path, "PRAGMA user_version") == [(1,)]
