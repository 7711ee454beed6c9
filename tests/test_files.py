"""Whole writes into a cache, and where it lies."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.files import cache_folder, replace_file


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
