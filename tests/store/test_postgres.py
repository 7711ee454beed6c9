"""A server that is down, full, read-only, locked, or lets no one in: said as it is, nothing lost, no password shown."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

import postgres as server_of
from disks import small_disk
from postgres import PASSWORD, Server
from slipway.core.database import Address
from slipway.core.material import Document
from slipway.errors import Busy, ConfigError, IntegrityError, MissingPrerequisite, SlipwayError
from slipway.store import postgres as driver
from slipway.store.catalog import Catalog
from slipway.store.postgres import Postgres
from slipway.store.store import Store
from slipway.testing.catalogs import trace_of
from slipway.testing.projects import write_project

pytestmark = pytest.mark.service


@pytest.fixture
def own() -> Iterator[Server]:
    """A server that this test may stop and kill."""
    with server_of.running("-c", "fsync=off") as server:
        yield server


@contextlib.contextmanager
def refused(kind: type[SlipwayError], words: str) -> Iterator[None]:
    with pytest.raises(kind, match=words) as found:
        yield
    shown = f"{found.value} {found.value.hint} {found.value.__cause__!r} {found.value.__context__!r}"
    assert found.value.hint
    assert PASSWORD not in shown


@pytest.mark.slow
def test_a_server_that_is_down_and_comes_back(own: Server) -> None:
    address = own.database()
    catalog = Catalog(Postgres(address))
    catalog.promote("p", "r0", by="ada", why="")
    own.stop()
    for work in (
        lambda: catalog.promote("p", "r1", by="ada", why=""),
        catalog.channels,
        catalog.room,
        catalog.try_writing,
        lambda: catalog.add_traces([trace_of()]),
        lambda: Catalog(Postgres(address)),
    ):
        with refused(MissingPrerequisite, "cannot be reached"):
            work()
    own.start()
    assert catalog.channels() == {"p": "r0"}
    catalog.promote("p", "r1", by="ada", why="")
    assert catalog.room() is None
    catalog.close()


@pytest.mark.slow
def test_a_connection_that_breaks_in_the_middle(own: Server) -> None:
    catalog = Catalog(Postgres(own.database()))
    with refused(MissingPrerequisite, "cannot be reached"), catalog.engine.begin() as connection:
        connection.execute(text("INSERT INTO gate_uses (split, candidate, at) VALUES ('s', 'c', '')"))
        own.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname IS NOT NULL"
        )
        connection.execute(text("INSERT INTO gate_uses (split, candidate, at) VALUES ('s', 'c', '')"))
    assert catalog.looks(["e"], ["s"]) == []  # of the two nothing is there, and the pool has recovered
    own.kill()
    with refused(MissingPrerequisite, "cannot be reached"):
        catalog.look(["e"], "verdict", ["c"], "q", "", "")
    own.start()
    catalog.look(["e"], "verdict", ["c"], "q", "", "")
    assert len(catalog.looks(["e"])) == 1
    catalog.verify_history()
    catalog.close()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda url: url.replace("slipway@", "nobody@"), "does not let this user in"),
        (lambda url: url + "_not_there", "is not there"),
        (lambda url: url.replace("127.0.0.1", "does-not-exist.invalid"), "cannot be reached"),
    ],
)
def test_an_address_that_is_wrong(database: Address, change: Any, words: str) -> None:
    with refused(MissingPrerequisite, words):
        Catalog(Postgres(Address(change(database.url), database.password_env)))


def test_a_password_that_is_wrong_missing_or_in_a_file(
    database: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WRONG", "wrong-password")
    with refused(MissingPrerequisite, "does not let this user in"):
        Catalog(Postgres(Address(database.url, "WRONG")))
    monkeypatch.delenv("PGPASSWORD", raising=False)
    with refused(MissingPrerequisite, "does not let this user in"):
        Catalog(Postgres(Address(database.url)))
    with refused(MissingPrerequisite, "NOT_SET"):
        Catalog(Postgres(Address(database.url, "NOT_SET")))
    with refused(MissingPrerequisite, "cannot be read"):
        Catalog(Postgres(Address(database.url, password_file=str(tmp_path / "no"))))
    (tmp_path / "password").write_text(PASSWORD + "\n")
    Catalog(Postgres(Address(database.url, password_file=str(tmp_path / "password")))).close()


@pytest.mark.slow
def test_a_password_that_was_changed_is_read_again(own: Server, tmp_path: Path) -> None:
    (tmp_path / "password").write_text(PASSWORD)
    catalog = Catalog(Postgres(Address(own.database().url, password_file=str(tmp_path / "password"))))
    own.sql("ALTER USER slipway PASSWORD 'another-one'")
    catalog.engine.dispose()
    with refused(MissingPrerequisite, "does not let this user in"):
        catalog.channels()
    (tmp_path / "password").write_text("another-one")
    assert catalog.channels() == {}
    catalog.close()


def test_a_disk_that_is_full_on_the_server(postgres: Server, tmp_path: Path) -> None:
    place = Path("/var/tmp") / f"slipway-tablespace-{os.getpid()}"
    with small_disk(place, 32) as disk:
        (place / "t").mkdir()
        os.chown(place / "t", postgres.folder.stat().st_uid, -1)
        postgres.sql(f"CREATE TABLESPACE small LOCATION '{place}/t'")
        catalog = Catalog(Postgres(postgres.database("TABLESPACE small")))
        catalog.promote("p", "r", by="ada", why="")
        disk.fill()
        with refused(MissingPrerequisite, "is full"):
            for n in range(200):
                catalog.remember("k", {f"{n}": os.urandom(100_000)})
        assert catalog.channels() == {"p": "r"}
        disk.free()
        catalog.remember("k", {"after": os.urandom(100_000)})
        catalog.verify_history()
        catalog.close()
        postgres.sql(f"DROP DATABASE d{postgres.databases} WITH (FORCE)")
        postgres.sql("DROP TABLESPACE small")
    place.rmdir()


def test_a_server_that_takes_no_writes(postgres: Server, database: Address) -> None:
    catalog = Catalog(Postgres(database))
    catalog.promote("p", "r", by="ada", why="")
    name = database.url.rpartition("/")[2]
    postgres.sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    catalog.engine.dispose()
    assert catalog.channels() == {"p": "r"}
    for work in (lambda: catalog.promote("p", "r", by="ada", why=""), catalog.room, catalog.try_writing):
        with refused(MissingPrerequisite, "takes no writes"):
            work()
    with refused(MissingPrerequisite, "takes no writes"):
        Catalog(Postgres(postgres_read_only(postgres)))
    postgres.sql(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    catalog.engine.dispose()
    catalog.promote("p", "r2", by="ada", why="")
    catalog.close()


def postgres_read_only(postgres: Server) -> Address:
    address = postgres.database()
    postgres.sql(f"ALTER DATABASE {address.url.rpartition('/')[2]} SET default_transaction_read_only = on")
    return address


def test_a_lock_that_is_not_let_go(database: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "WAIT", 1)
    catalog, other = Catalog(Postgres(database)), Catalog(Postgres(database))
    with other.engine.begin() as connection:
        other.database.alone(connection)
        with refused(Busy, "keeps .* locked"):
            catalog.promote("p", "r", by="ada", why="")
        catalog.add_traces([trace_of()])  # serving is not held up
    catalog.promote("p", "r", by="ada", why="")
    catalog.close()
    other.close()


def test_a_user_that_may_not_create_tables(
    postgres: Server, database: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres.sql("DROP ROLE IF EXISTS guest")
    postgres.sql("CREATE ROLE guest LOGIN PASSWORD 'guest-password'")
    monkeypatch.setenv("GUEST", "guest-password")
    with refused(MissingPrerequisite, "does not allow"):
        Catalog(Postgres(Address(database.url.replace("slipway@", "guest@"), "GUEST")))


def test_a_catalog_that_somebody_changed_by_hand(database: Address) -> None:
    catalog = Catalog(Postgres(database))
    catalog.promote("p", "r", by="ada", why="")
    with catalog.engine.begin() as connection:
        connection.execute(text("UPDATE promotions SET why = 'forged'"))
    with refused(IntegrityError, "changed outside"):
        catalog.verify_history()
    with catalog.engine.begin() as connection:
        connection.execute(text("DROP TABLE traces"))
    with refused(IntegrityError, "cannot be read as a catalog"):
        catalog.traces()
    catalog.close()


def test_a_text_that_the_database_cannot_hold_is_refused_in_words(database: Address) -> None:
    catalog = Catalog(Postgres(database))
    with refused(ConfigError, "cannot hold"):
        catalog.promote("p", "r", by="ada", why="nul \x00")
    assert catalog.head().startswith("0:")
    catalog.close()


def test_a_commit_is_synchronous_whatever_the_server_says(postgres: Server, database: Address) -> None:
    postgres.sql(f"ALTER DATABASE {database.url.rpartition('/')[2]} SET synchronous_commit = off")
    catalog = Catalog(Postgres(database))
    with catalog.engine.begin() as connection:
        assert connection.execute(text("SHOW synchronous_commit")).scalar() == "on"
    catalog.close()


@pytest.mark.slow
def test_several_processes_share_one_project_on_a_server(database: Address, tmp_path: Path) -> None:
    folder = write_project(tmp_path / "demo").parent
    with (folder / "slipway.yaml").open("a") as file:
        file.write(f"\nstore:\n  url: {database.url}\n  password_env: {database.password_env}\n")
    command = [sys.executable, "-m", "slipway"]
    ran = subprocess.run([*command, "run", "-C", str(folder)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert not (folder / ".slipway" / "catalog.db").exists()
    asked = subprocess.run(
        [*command, "ask", "How much does the lighthouse weigh?", "-C", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "8 tonnes" in asked.stdout, asked.stderr
    verified = subprocess.run(
        [*command, "release", "verify", "production", "-C", str(folder)], capture_output=True, text=True, check=False
    )
    assert verified.returncode == 0, verified.stderr
    checked = subprocess.run([*command, "check", "-C", str(folder)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "answers" in checked.stdout
    os.environ["WRONG"] = "wrong-password"
    text_ = (folder / "slipway.yaml").read_text()
    (folder / "slipway.yaml").write_text(text_.replace(database.password_env, "WRONG"))
    wrong = subprocess.run([*command, "runs", "-C", str(folder)], capture_output=True, text=True, check=False)
    del os.environ["WRONG"]
    assert wrong.returncode == 3
    assert "does not let this user in" in wrong.stderr
    assert "wrong-password" not in wrong.stderr + wrong.stdout
    assert "Traceback" not in wrong.stderr


def test_without_the_driver_the_extra_is_named(tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from slipway.core.database import Address; from slipway.store.store import Store; from pathlib import Path\n"
        "from slipway.errors import MissingPrerequisite\n"
        "try: Store(Path(sys.argv[1]), Address('postgresql://a@127.0.0.1/b'))\n"
        "except MissingPrerequisite as error: print(error.hint)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False)
    assert "slipway-ai[postgres]" in done.stdout, done.stderr


def test_a_noun_of_a_megabyte(database: Address, tmp_path: Path) -> None:
    store = Store(tmp_path, database)
    noun = Document(source="a", text="字" * 400_000, media_type="a", raw_sha256="0" * 64)
    assert store.catalog.get("document", store.catalog.put("document", "a", noun).digest, Document) == noun
    store.close()
