"""A full disk, one that is read-only, one that answers with errors, a page that rotted: said as it is, nothing lost."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from disks import SmallDisk, failing_writes, read_only, small_disk
from slipway.core.material import Document
from slipway.errors import Busy, IntegrityError, MissingPrerequisite, SlipwayError
from slipway.store import sqlite
from slipway.store.blobs import write_aside
from slipway.store.store import Store
from slipway.testing.projects import write_project

FILL = """
import os, sys
from pathlib import Path
from slipway.store.store import Store
store = Store(Path(sys.argv[1]))
for n in range(20):
    store.catalog.promote("production", f"r{n}", by="ada", why="x" * 2000)
if sys.argv[2] == "killed":
    os.kill(os.getpid(), 9)
store.close()
"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk") as found:
        yield found


def filled(folder: Path, how: str) -> None:
    """A catalog with twenty promotions, left properly or by kill -9 (its log then holds them all)."""
    subprocess.run([sys.executable, "-c", FILL, str(folder), how], check=False)


def slipway(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "slipway", *arguments, "--project", str(folder)],
        capture_output=True, text=True, check=False, env={**os.environ, "SLIPWAY_LANG": "en", **more},
    )  # fmt: skip


@pytest.mark.parametrize("how", ["closed", "killed"])
def test_on_a_full_disk_the_catalog_is_read_and_takes_writes_again_by_itself(disk: SmallDisk, how: str) -> None:
    folder = disk.path / ".slipway"
    filled(folder, how)
    disk.fill()
    store = Store(folder)
    assert store.catalog.channels() == {"production": "r19"}
    assert len(store.catalog.history()) == 20
    with pytest.raises(MissingPrerequisite, match="is full") as found:
        store.catalog.promote("production", "next", by="ada", why="y" * 20_000)
    assert "move" not in found.value.hint
    assert store.catalog.channels() == {"production": "r19"}
    disk.free()
    store.catalog.promote("production", "next", by="ada", why="y" * 20_000)
    assert store.catalog.channels() == {"production": "next"}
    store.catalog.verify_history()


@pytest.mark.parametrize("how", ["closed", "killed"])
def test_on_a_read_only_file_system_the_catalog_is_read(tmp_path: Path, how: str) -> None:
    filled(tmp_path / "own" / ".slipway", how)
    with read_only(tmp_path / "own", tmp_path / "seen") as seen:
        store = Store(seen / ".slipway")
        assert store.catalog.channels() == {"production": "r19"}
        with pytest.raises(MissingPrerequisite, match="read-only"):
            store.catalog.promote("production", "next", by="ada", why="")
        with pytest.raises(MissingPrerequisite, match="read-only"):
            store.blobs.put(b"x")
        with pytest.raises(MissingPrerequisite, match="read-only"), store.lock():
            pass
        store.close()


def test_a_new_catalog_on_a_full_disk_says_so_and_is_made_later(disk: SmallDisk) -> None:
    disk.fill()
    with pytest.raises(MissingPrerequisite, match="is full"):
        Store(disk.path / ".slipway")
    disk.free()
    Store(disk.path / ".slipway").catalog.promote("a", "r", by="ada", why="")


def test_a_blob_that_finds_no_room_leaves_nothing(disk: SmallDisk) -> None:
    store = Store(disk.path / ".slipway")
    disk.fill(leave=100_000)
    with pytest.raises(MissingPrerequisite, match="is full"):
        store.blobs.put(os.urandom(500_000))
    with pytest.raises(MissingPrerequisite, match="is full"):
        write_aside(disk.path / "slipway.lock", os.urandom(500_000))
    assert [path.name for path in store.blobs.folder.rglob("*") if path.is_file()] == []
    assert sorted(path.name for path in disk.path.iterdir()) == [".slipway", "ballast"]
    disk.free()
    assert store.blobs.put(b"x")


@pytest.mark.slow
def test_every_command_on_a_full_disk_says_so_and_goes_on_afterwards(disk: SmallDisk) -> None:
    folder = write_project(disk.path / "demo").parent
    disk.fill(leave=400_000)
    first = slipway(folder, "run")
    assert first.returncode == 3, first.stderr
    assert "is full" in first.stderr
    assert "defect" not in first.stderr
    disk.free()
    assert slipway(folder, "run").returncode == 0
    disk.fill()
    for command in (
        ["keys", "create", "bob"],
        ["release", "rollback"],
        ["run", "--set", "evaluate.metrics=[token_f1]"],
    ):
        done = slipway(folder, *command)
        assert done.returncode in (2, 3), (command, done.stderr)
        assert "defect" not in done.stderr
        assert done.returncode == 2 or "is full" in done.stderr, (command, done.stderr)
    assert "8 tonnes" in slipway(folder, "ask", "How much does the lighthouse weigh?").stdout
    assert slipway(folder, "release", "verify", "production").returncode == 0
    assert slipway(folder, "keys", "list").stdout.count("bob") == 0
    disk.free()
    assert slipway(folder, "keys", "create", "bob").returncode == 0


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_answers_with_errors_loses_nothing_acknowledged(tmp_path: Path, number: int) -> None:
    """Writes begin to fail in the middle; what was acknowledged before is there, what was not is an error of ours."""
    folder = tmp_path / ".slipway"
    script = """
import sys
from pathlib import Path
from slipway.errors import SlipwayError
from slipway.store.store import Store
store = Store(Path(sys.argv[1]))
for n in range(40):
    if n == 20:
        Path(sys.argv[1], "..", "failing").touch()
    for write in (lambda: store.catalog.promote("a", f"r{n}", by="ada", why="x" * 3000), lambda: store.blobs.put(b"%d" % n)):
        try:
            write()
            print("ok", n, flush=True)
        except SlipwayError as error:
            print("refused", type(error).__name__, flush=True)
import os; os.kill(os.getpid(), 9)
"""
    environment = failing_writes(folder, number, tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)], env=environment, capture_output=True, text=True, check=False
    )
    said = done.stdout.split("\n")
    assert "Traceback" not in done.stderr, done.stderr
    assert said.count("ok 19") == 2
    assert sum(line.startswith("refused") for line in said) >= 38
    store = Store(folder)
    assert len(store.catalog.history()) >= 20
    store.catalog.verify_history()
    assert store.blobs.get(store.blobs.put(b"19")) == b"19"


@pytest.mark.slow
def test_a_rotten_page_is_said_by_every_command_and_is_no_defect(tmp_path: Path) -> None:
    folder = write_project(tmp_path / "demo").parent
    store = Store(folder / ".slipway")
    for n in range(200):
        store.catalog.put("document", "a", Document(source=f"{n}", text="x" * 4000, media_type="a", raw_sha256="0"))
        store.catalog.promote("production", f"{n:08x}", by="ada", why="x" * 500)
    store.close()
    file = folder / ".slipway" / "catalog.db"
    raw = bytearray(file.read_bytes())
    pages = len(raw) // 4096
    for page in range(1, pages):
        raw[page * 4096 : page * 4096 + 200] = os.urandom(200)
    file.write_bytes(raw)
    for command in (
        ["runs"],
        ["release", "list"],
        ["release", "verify"],
        ["traces", "list"],
        ["data", "list"],
        ["run"],
    ):
        done = slipway(folder, *command)
        assert done.returncode == 4, (command, done)
        assert "cannot be read as a catalog" in done.stderr, (command, done.stderr)
        assert ".recover" in done.stderr
        assert "defect" not in done.stderr


def test_a_locked_catalog_is_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "WAIT", 0.1)
    store = Store(tmp_path / ".slipway")
    blocker = sqlite3.connect(tmp_path / ".slipway" / "catalog.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(Busy, match="keeps .* locked"):
        store.catalog.promote("a", "r", by="ada", why="")
    blocker.execute("COMMIT")
    store.catalog.promote("a", "r", by="ada", why="")


def test_a_folder_of_somebody_else_is_said(tmp_path: Path) -> None:
    if os.getuid() == 0:
        pytest.skip("root may write everywhere")
    (tmp_path / "a").mkdir(mode=0o500)
    with pytest.raises(MissingPrerequisite, match="may not"):
        Store(tmp_path / "a" / ".slipway")


def test_a_value_that_rotted_is_forgotten_and_computed_again(tmp_path: Path) -> None:
    store = Store(tmp_path / ".slipway")
    store.catalog.remember("vector:x", {"k": b"\0\0\0\0", "other": b"\1"})
    with store.catalog.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE memo SET value = x'00000040' WHERE key = 'k'")
    assert store.catalog.recall("vector:x", ["k", "other"]) == {"other": b"\1"}
    with store.catalog.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE memo SET value = CAST(value AS TEXT) WHERE key = 'other'")
    assert store.catalog.recall("vector:x", ["k", "other"]) == {}
    store.catalog.remember("vector:x", {"k": b"\0\0\0\0"})
    assert store.catalog.recall("vector:x", ["k"]) == {"k": b"\0\0\0\0"}


def test_a_listed_noun_that_rotted_is_noticed(tmp_path: Path) -> None:
    store = Store(tmp_path / ".slipway")
    store.catalog.put("document", "a", Document(source="a", text="8 tonnes", media_type="a", raw_sha256="0"))
    with store.catalog.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE nouns SET body = replace(body, '8 tonnes', '9 tonnes')")
    with pytest.raises(IntegrityError):
        store.catalog.list("document", Document)


def test_a_run_that_cannot_be_read_is_no_defect(tmp_path: Path) -> None:
    store = Store(tmp_path / ".slipway")
    with store.catalog.engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO runs (id, step, key, status, body) VALUES ('a', 's', 'k', 'done', '{')")
    for read in (lambda: store.catalog.finished("k"), store.catalog.runs):
        with pytest.raises(SlipwayError, match="cannot be read"):
            read()
