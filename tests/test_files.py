"""Whole writes into a cache, and where it lies."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

import slipway
from slipway.files import aside, cache_folder, private, replace_file

SOURCES = Path(slipway.__file__).parent
HABITS = {  # what makes a habit -> the only modules that may have it, and why they have one of their own
    "os.replace(": {
        "files.py",
        "store/blobs.py",  # readable by its owner only, with errors for people
        "store/models/shelf.py", "store/models/download.py",  # a folder of files that are there already
    },
    "hashlib.file_digest(": {"files.py"},
    "cpu_count(": {"machine.py"},
    "sched_getaffinity": {"machine.py"},
    "MemAvailable": {"machine.py"},
    ".prctl(": {"machine.py"},
    '".cache"': {"files.py"},
}  # fmt: skip


def test_a_file_is_replaced_whole_and_nothing_else_stays(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    for data in (b"one", b"two, longer"):
        replace_file(path, data)
        assert path.read_bytes() == data
    assert list(path.parent.iterdir()) == [path]


def test_a_write_that_fails_leaves_nothing_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(OSError, match="there"):
        replace_file(tmp_path / "there", b"a folder cannot be replaced by a file")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_the_cache_lies_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("SLIPWAY_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "slipway"


@pytest.mark.parametrize("durable", [True, False])
def test_what_is_written_aside_appears_at_the_end_or_not_at_all(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "new" / "file"
    with aside(path, durable=durable) as new:
        new.write_bytes(b"whole")
        assert not path.exists()
    with pytest.raises(ZeroDivisionError), aside(path, durable=durable) as new:
        new.write_bytes(b"half" + b"%d" % (1 // 0))
    assert path.read_bytes() == b"whole"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("habit", HABITS)
def test_a_habit_has_one_place(habit: str) -> None:
    """The installer of a bundle runs where nothing of Slipway is installed yet."""
    files = [path for path in SOURCES.rglob("*.py") if path != SOURCES / "offline" / "install.py"]
    found = {path.relative_to(SOURCES).as_posix() for path in files if habit in path.read_text("utf-8")}
    assert found == HABITS[habit]


def test_what_is_put_in_its_place_is_for_its_owner_only(tmp_path: Path) -> None:
    replace_file(tmp_path / "folder" / "cache", b"1")
    with private(tmp_path / "told") as out:
        out.write(b"2")
    for path in (tmp_path / "folder" / "cache", tmp_path / "told"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
