"""`slipway store ...` on a project that ran."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import commands
from slipway import api
from slipway.errors import Busy, ConfigError
from slipway.project.load import load
from slipway.testing.projects import write_project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_project(tmp_path_factory.mktemp("store") / "demo").parent
    with api.open_project(folder) as opened:
        api.run(opened)
    return folder


def slipway(folder: Path, *arguments: str, code: int = 0, **more: str) -> str:
    done = commands.slipway(*arguments, "-C", str(folder), **more)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def test_stats(project: Path) -> None:
    shown = slipway(project, "store", "stats")
    assert "catalog.db" in shown
    found = json.loads(slipway(project, "store", "stats", "--json"))
    counts = {kind["name"]: kind["count"] for kind in found["kinds"]}
    assert counts["release"] == 1
    assert counts["answer"] > 0
    assert counts["blobs"] >= 4
    assert found["database"] == "sqlite"
    assert found["size"] > 0
    assert found["free"] > 0


@pytest.mark.slow
def test_gc_keeps_what_a_run_needs(project: Path) -> None:
    assert "nothing to delete" in slipway(project, "store", "gc", "--dry-run")
    assert "nothing to delete" in slipway(project, "store", "gc")
    forced = json.loads(slipway(project, "store", "gc", "--set", "store.retention.answers=1 ms", "--dry-run", "--json"))
    assert forced["removed"]["answers"] > 0
    assert forced["dry_run"]
    assert "no step was run" in slipway(project, "run")
    slipway(project, "release", "verify", "production")
    assert "everything is as it was written" in slipway(project, "store", "verify")


@pytest.mark.slow
def test_a_run_goes_on_after_gc_took_all_it_could(project: Path, tmp_path: Path) -> None:
    slipway(project, "store", "backup", str(tmp_path / "b.zip"))
    retention = [f"--set=store.retention.{kind}=1 ms" for kind in ("traces", "answers", "steps")]
    with api.open_project(project, [one.removeprefix("--set=") for one in retention]) as opened:
        from slipway.loop.retain import retention as of
        from slipway.store.gc import gc

        gc(opened.store, of(opened.project), grace=0.0)
        assert api.store_verify(opened).sound
    slipway(project, "release", "verify", "production")
    assert "8 tonnes" in slipway(project, "ask", "How much does the lighthouse weigh?")
    slipway(project, "run")
    slipway(project, "store", "restore", str(tmp_path / "b.zip"), "--replace")
    assert "no step was run" in slipway(project, "run")


@pytest.mark.slow
def test_backup_and_restore_into_another_folder(project: Path, tmp_path: Path) -> None:
    file = tmp_path / "b.zip"
    assert "manifest" in slipway(project, "store", "backup", str(file))
    assert "cannot be written" in slipway(project, "store", "backup", str(file), code=2)
    other = write_project(tmp_path / "other").parent
    assert "restored the state of" in slipway(other, "store", "restore", str(file))
    told = slipway(other, "run")
    assert "✓ index:words" in told, "an index is a cache, which no backup holds"
    assert told.count("✓ ") == 1
    assert "no step was run" in slipway(other, "run")
    assert "holds something" in slipway(other, "store", "restore", str(file), code=2)
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 1
    file.write_bytes(raw)
    assert "cannot be used" in slipway(other, "store", "restore", str(file), "--replace", code=4)
    assert "everything is as it was written" in slipway(other, "store", "verify")


@pytest.mark.slow
def test_verify_ends_with_4_when_something_was_changed(project: Path, tmp_path: Path) -> None:
    file = tmp_path / "b.zip"
    slipway(project, "store", "backup", str(file))
    other = write_project(tmp_path / "other").parent
    slipway(other, "store", "restore", str(file))
    blob = next(path for path in (other / ".slipway" / "blobs").rglob("*") if path.is_file())
    blob.chmod(0o600)
    blob.write_bytes(b"rotten")
    assert "does not match its digest" in slipway(other, "store", "verify", code=4)
    assert json.loads(slipway(other, "store", "verify", "--json", code=4))["problems"]
    assert "left out" in slipway(other, "store", "backup", str(tmp_path / "c.zip"), code=4)


def test_the_commands_speak_chinese(project: Path) -> None:
    assert "一切都有用" in slipway(project, "store", "gc", "--dry-run", SLIPWAY_LANG="zh")
    assert "一切都和写入时一样" in slipway(project, "store", "verify", SLIPWAY_LANG="zh")


def test_gc_is_refused_while_a_run_is_at_work(project: Path) -> None:
    with api.open_project(project) as opened, opened.store.lock(), pytest.raises(Busy):
        api.store_gc(opened)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://ada:secret-word@db/x", "holds a password"),
        ("postgresql://ada@db/x?password=secret-word", "holds a password"),
        ("mysql://ada@db/x", "not the address of a PostgreSQL database"),
        ("postgresql://ada@db", "not the address of a PostgreSQL database"),
        ("postgresql://ada@db:port/x", "not the address of a PostgreSQL database"),
        ("/var/lib/x.db", "not the address of a PostgreSQL database"),
        ("postgresql://[::1/x", "not the address of a PostgreSQL database"),
    ],
)
def test_an_address_is_checked_and_a_password_never_repeated(tmp_path: Path, url: str, words: str) -> None:
    file = write_project(tmp_path / "demo")
    with file.open("a") as out:
        out.write(f"\nstore:\n  url: '{url}'\n")
    with pytest.raises(ConfigError, match=words) as found:
        load(file)
    assert "secret-word" not in str(found.value)
    assert "secret-word" not in slipway(file.parent, "check", code=2)


def test_retention_takes_days_and_refuses_nothing_and_less(tmp_path: Path) -> None:
    file = write_project(tmp_path / "demo")
    assert load(file, ["store.retention.traces=90d"]).store.retention.traces == 90 * 86_400
    assert load(file).store.retention.traces is None
    for wrong in ("0", "-1d", "soon", "90 days", "nan"):
        with pytest.raises(ConfigError, match="retention"):
            load(file, [f"store.retention.traces={wrong}"])


def test_the_password_of_the_database_is_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it turns up in what is kept or shown."""
    monkeypatch.setenv("DB_ACCESS", "open-sesame-4711")
    file = write_project(tmp_path / "demo")
    with api.open_project(file.parent) as opened:
        object.__setattr__(opened.project.store, "password_env", "DB_ACCESS")
        assert "open-sesame-4711" in opened.secrets
    (tmp_path / "demo" / "db.txt").write_text("open-sesame-4712\n")
    with api.open_project(file.parent) as opened:
        object.__setattr__(opened.project.store, "password_file", "db.txt")
        assert "open-sesame-4712" in opened.secrets
