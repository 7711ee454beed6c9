"""A backup is all of the state at one instant, restores into either database, and is all or nothing."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kept
import pytest
from kept import filled
from sqlalchemy import text

from disks import small_disk
from everyday import some
from slipway.core.database import Address
from slipway.core.material import Document
from slipway.errors import Busy, ConfigError, IntegrityError, MissingPrerequisite, NotFound
from slipway.store.backup import backup
from slipway.store.gc import gc
from slipway.store.restore import restore
from slipway.store.retention import Retention
from slipway.store.store import Store
from slipway.store.verify import verify
from slipway.testing.catalogs import feedback_of, trace_of

KINDS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.service)]


@pytest.fixture
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str, str], Store]:
    """`opened(kind, name)`: a new, empty store."""

    def make(kind: str, name: str) -> Store:
        address = request.getfixturevalue("postgres").database() if kind == "postgresql" else None
        return Store(tmp_path / name, address)

    return make


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return filled(tmp_path / "own")


@pytest.mark.slow
@pytest.mark.parametrize("into", KINDS)
@pytest.mark.parametrize("of", KINDS)
def test_each_database_restores_into_each(
    of: str, into: str, opened: Callable[[str, str], Store], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    address = request.getfixturevalue("postgres").database() if of == "postgresql" else None
    source = filled(tmp_path / "source", address)
    made = backup(source, tmp_path / "b.zip")
    target = opened(into, "target")
    back = restore(target, tmp_path / "b.zip")
    assert back.digest == made.digest
    assert kept.contents(target) == kept.contents(source)
    assert target.salt == source.salt
    assert {path.name for path in target.blobs.files()} == {path.name for path in source.blobs.files()}
    assert verify(target, [made.head]).problems == []
    # and it goes on: numbers are given after those that were restored
    new = trace_of()
    target.catalog.add_traces([new], [feedback_of(new)])
    target.catalog.promote("production", "r", by="ada", why="")
    assert target.catalog.traces(1)[0][1].id == new.id
    assert target.catalog.head().startswith("5:")
    target.catalog.verify_history([made.head])


def test_a_backup_is_readable_by_its_owner_only_and_never_over_a_file(store: Store, tmp_path: Path) -> None:
    made = backup(store, tmp_path / "b.zip")
    assert stat.S_IMODE((tmp_path / "b.zip").stat().st_mode) == 0o600
    assert made.size == (tmp_path / "b.zip").stat().st_size
    with pytest.raises(ConfigError, match="cannot be written"):
        backup(store, tmp_path / "b.zip")
    with pytest.raises(ConfigError, match="cannot be written"):
        backup(store, tmp_path / "nowhere" / "b.zip")
    assert [path.name for path in tmp_path.iterdir() if "part" in path.name] == []


def test_a_backup_for_which_there_is_no_room_leaves_nothing(store: Store, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1) as disk:
        disk.fill(leave=1000)
        with pytest.raises(MissingPrerequisite, match="is full"):
            backup(store, disk.path / "b.zip")
        assert [path.name for path in disk.path.iterdir()] == ["ballast"]


def test_restore_refuses_a_project_that_holds_something(
    store: Store, opened: Callable[[str, str], Store], tmp_path: Path
) -> None:
    backup(store, tmp_path / "b.zip")
    before = kept.contents(store)
    store.catalog.promote("production", "later", by="ada", why="")
    with pytest.raises(ConfigError, match="holds something"):
        restore(store, tmp_path / "b.zip")
    assert store.catalog.channels()["production"] == "later"
    restore(store, tmp_path / "b.zip", replace=True)
    assert kept.contents(store) == before
    only_cache = opened("sqlite", "cache")
    only_cache.catalog.remember("answer", {"x": b"1"})
    restore(only_cache, tmp_path / "b.zip")
    assert kept.contents(only_cache) == before


def flip(path: Path, at: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[at] ^= 0x10
    path.write_bytes(raw)


@pytest.mark.slow
def test_any_flipped_bit_of_a_backup_is_noticed_before_anything_is_written(
    store: Store, opened: Callable[[str, str], Store], tmp_path: Path
) -> None:
    backup(store, tmp_path / "b.zip")
    raw = (tmp_path / "b.zip").read_bytes()
    target = opened("sqlite", "target")
    noticed = 0
    for at in range(0, len(raw), max(1, len(raw) // 150)):
        (tmp_path / "c.zip").write_bytes(raw)
        flip(tmp_path / "c.zip", at)
        try:
            restore(target, tmp_path / "c.zip")
        except (IntegrityError, ConfigError):
            noticed += 1
            assert kept.contents(target) == kept.contents(opened("sqlite", "empty"))
            assert list(target.blobs.files()) == []
        else:  # a bit that says nothing, such as the time in a header
            assert kept.contents(target) == kept.contents(store)
            target.close()
            target = opened("sqlite", f"target{at}")
    assert noticed > 100
    for cut in (0, 10, len(raw) // 2, len(raw) - 1):
        (tmp_path / "c.zip").write_bytes(raw[:cut])
        with pytest.raises(IntegrityError, match="no backup, or not whole"):
            restore(target, tmp_path / "c.zip")
    with pytest.raises(NotFound):
        restore(target, tmp_path / "nothing.zip")


def altered(source: Path, target: Path, change: Callable[[dict[str, bytes], Any], None]) -> None:
    """A backup made again with other parts or another manifest, whole as a zip."""
    with zipfile.ZipFile(source) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    manifest = json.loads(parts.pop("manifest.json"))
    change(parts, manifest)
    with zipfile.ZipFile(target, "w") as new:
        for name, data in parts.items():
            new.writestr(name, data)
        new.writestr("manifest.json", json.dumps(manifest))


HOSTILE: dict[str, Callable[[dict[str, bytes], Any], None]] = {
    "a part more": lambda parts, manifest: parts.update({"../../etc/passwd": b"x"}),
    "a part that leads out": lambda parts, manifest: (
        parts.update({"../x": b"x"}), manifest["parts"].update({"../x": {"sha256": "0" * 64, "size": 1}})
    ),
    "a part less": lambda parts, manifest: parts.pop("rows/traces.jsonl"),
    "other rows": lambda parts, manifest: parts.update({"rows/traces.jsonl": b"[]\n"}),
    "a column that is none": lambda parts, manifest: manifest["columns"]["traces"].append("evil"),
    "a newer schema": lambda parts, manifest: manifest.update(schema="0099"),
    "a newer format": lambda parts, manifest: manifest.update(format=99),
    "another head": lambda parts, manifest: manifest.update(head="4:" + "f" * 64),
    "no manifest to speak of": lambda parts, manifest: manifest.clear(),
}  # fmt: skip


@pytest.mark.parametrize("how", list(HOSTILE))
def test_a_backup_that_somebody_made_up_is_refused(
    store: Store, opened: Callable[[str, str], Store], tmp_path: Path, how: str
) -> None:
    backup(store, tmp_path / "b.zip")
    altered(tmp_path / "b.zip", tmp_path / "c.zip", HOSTILE[how])
    target = opened("sqlite", "target")
    with pytest.raises((IntegrityError, ConfigError)):
        restore(target, tmp_path / "c.zip")
    assert kept.contents(target) == kept.contents(opened("sqlite", "empty"))
    assert not (tmp_path / "x").exists()


RESTORE = """
import os, sys
from pathlib import Path
from slipway.core.database import Address
from slipway.store import restore
from slipway.store.store import Store
store = Store(Path(sys.argv[1]), Address(sys.argv[3], "SLIPWAY_TEST_DB_PASSWORD"))
where = getattr(restore, sys.argv[4])
def ended(*arguments):
    where(*arguments)
    os.kill(os.getpid(), 9)
setattr(restore, sys.argv[4], ended)
restore.restore(store, Path(sys.argv[2]), replace=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("where", some(["_put_blob", "_replace_rows", "_replace_salt"]))
@pytest.mark.parametrize("kind", KINDS)
def test_kill_9_in_the_middle_leaves_what_was_there(
    kind: str, where: str, store: Store, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """After a blob, after all rows, and after the last thing before the commit."""
    backup(store, tmp_path / "b.zip")
    address = request.getfixturevalue("postgres").database() if kind == "postgresql" else Address()
    for beginning in ("something", "nothing"):
        if kind == "postgresql" and beginning == "nothing":
            address = request.getfixturevalue("postgres").database()
        folder = tmp_path / beginning
        target = Store(folder, address)
        if beginning == "something":
            target.catalog.promote("production", "mine", by="ada", why="")
            target.catalog.add_traces([trace_of()])
        before = kept.contents(target)
        target.close()
        killed = subprocess.run(
            [sys.executable, "-c", RESTORE, str(folder), str(tmp_path / "b.zip"), address.url, where], check=False
        )
        assert killed.returncode == -9
        target = Store(folder, address)
        assert kept.contents(target) == before
        assert [problem for problem in verify(target).problems if problem.kind != "missing"] == []
        restore(target, tmp_path / "b.zip", replace=True)
        assert kept.contents(target) == kept.contents(store)
        target.close()


@pytest.mark.slow
def test_kill_9_at_any_instant_leaves_the_old_or_the_new(store: Store, tmp_path: Path) -> None:
    store.catalog.remember("answer", {f"{n}": b"x" * 2000 for n in range(2000)})
    backup(store, tmp_path / "b.zip")
    new = kept.contents(store)
    folder = tmp_path / "target"
    target = Store(folder)
    target.catalog.promote("production", "mine", by="ada", why="")
    old = kept.contents(target)
    target.close()
    script = (
        "import sys; from pathlib import Path; from slipway.store.store import Store; from slipway.store.restore import restore\n"
        "store = Store(Path(sys.argv[1])); print('go', flush=True); restore(store, Path(sys.argv[2]), replace=True)"
    )
    for wait in (0.0, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.13, 0.16, 0.2, 0.3):
        with subprocess.Popen(
            [sys.executable, "-c", script, str(folder), str(tmp_path / "b.zip")], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            threading.Event().wait(wait)
            process.kill()
        target = Store(folder)
        assert kept.contents(target) in (old, new)
        target.close()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_backup_while_others_write_is_of_one_instant(
    kind: str, opened: Callable[[str, str], Store], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Feedback never without its trace, no decision without its entry."""
    address = request.getfixturevalue("postgres").database() if kind == "postgresql" else None
    source = Store(tmp_path / "source", address)
    ended = threading.Event()

    def write() -> None:
        own = Store(tmp_path / "source", address)
        n = 0
        while not ended.is_set():
            new = trace_of()
            own.catalog.add_traces([new], [feedback_of(new)])
            own.catalog.promote("p", f"r{n}", by="ada", why="")
            own.catalog.put(
                "document", "d", Document(source=f"{n}", text="x", media_type="a", raw_sha256=own.blobs.put(b"%d" % n))
            )
            n += 1
        own.close()

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        for n in range(5):
            made = backup(source, tmp_path / f"{n}.zip")
            target = opened("sqlite", f"target{n}")
            restore(target, tmp_path / f"{n}.zip")
            assert made.rows["traces"] == made.rows["feedback"]
            assert len(target.catalog.traces(100_000)) == made.rows["traces"]
            for said in target.catalog.feedback():
                target.catalog.trace(said.trace)
            assert target.catalog.verify_history([made.head]) == made.head
            for _, document in target.catalog.list("document", Document):
                target.blobs.verify(document.raw_sha256)
            target.close()
    finally:
        ended.set()
        for writer in writers:
            writer.join()
    source.catalog.verify_history([made.head])


def test_restore_waits_for_nobody_who_runs(store: Store, tmp_path: Path) -> None:
    backup(store, tmp_path / "b.zip")
    with store.lock(), pytest.raises(Busy):
        restore(store, tmp_path / "b.zip", replace=True)


def test_a_backup_and_gc_exclude_each_other(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipway.store.store.WAIT", 0.1)
    with store.sweeping(shared=True):
        with pytest.raises(Busy, match="backup"):
            gc(store, Retention())
        backup(store, tmp_path / "b.zip")  # two backups do not
    with store.sweeping(), pytest.raises(Busy):
        backup(store, tmp_path / "c.zip")


def test_a_damaged_blob_is_left_out_and_told(store: Store, tmp_path: Path) -> None:
    path = next(iter(store.blobs.files()))
    path.chmod(0o600)
    path.write_bytes(b"rotten")
    made = backup(store, tmp_path / "b.zip")
    assert made.damaged == [path.name]
    target = Store(tmp_path / "target")
    restore(target, tmp_path / "b.zip")
    assert [problem.kind for problem in verify(target).problems] == ["missing"]


def test_restoring_mends_a_damaged_blob(store: Store, tmp_path: Path) -> None:
    backup(store, tmp_path / "b.zip")
    path = next(iter(store.blobs.files()))
    path.chmod(0o600)
    path.write_bytes(b"rotten")
    restore(store, tmp_path / "b.zip", replace=True)
    assert verify(store).problems == []


# verify ------------------------------------------------------------------------------------------------------------
DAMAGE: dict[str, tuple[str, str]] = {
    "a noun": ("UPDATE nouns SET name = name, body = replace(body, 'first', 'fi_st') WHERE kind = 'candidate'", "row"),
    "a noun that is gone": ("DELETE FROM nouns WHERE kind = 'report'", "missing"),
    "a release that is gone": ("DELETE FROM nouns WHERE kind = 'release'", "missing"),
    "a trace": ("UPDATE traces SET body = x'7b' WHERE seq = 1", "row"),
    "a trace in another's place": ("UPDATE traces SET id = 'other' WHERE seq = 1", "row"),
    "feedback": ("UPDATE feedback SET body = x'7b7d' WHERE seq = 1", "row"),
    "a run": ("UPDATE runs SET body = x'ff'", "row"),
    "an answer": ("UPDATE memo SET value = x'00' WHERE key = 'a1'", "forgotten"),
    "the history": ("UPDATE promotions SET why = 'forged'", "history"),
}


@pytest.mark.parametrize("what", list(DAMAGE))
def test_verify_tells_what_is_not_as_it_was(store: Store, what: str) -> None:
    statement, kind = DAMAGE[what]
    with store.catalog.engine.begin() as connection:
        connection.execute(text(statement))
    found = verify(store)
    assert kind in {problem.kind for problem in found.problems}
    assert found.sound == (kind == "forgotten")


def test_verify_tells_of_blobs_that_are_missing_or_damaged(store: Store) -> None:
    first, second, *_ = store.blobs.files()
    first.unlink()
    second.chmod(0o600)
    second.write_bytes(b"rotten")
    found = verify(store)
    assert sorted(problem.kind for problem in found.problems) == ["blob", "missing"]
    assert not found.sound
    assert verify(store, ["1:" + "f" * 64]).head == ""


@pytest.mark.service
def test_verify_on_postgresql(tmp_path: Path, database: Address) -> None:
    store = filled(tmp_path / "s", database)
    assert verify(store).problems == []
    with store.catalog.engine.begin() as connection:
        connection.execute(text("UPDATE traces SET body = '\\x7b' WHERE seq = 1"))
        connection.execute(text("UPDATE promotions SET why = 'forged'"))
    assert sorted(problem.kind for problem in verify(store).problems) == ["history", "row"]
