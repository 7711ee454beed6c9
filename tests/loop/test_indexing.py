"""A server indexes its traces beside its work, and ends at once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from slipway.core.trace import Wanted
from slipway.loop import indexing
from slipway.store import trace_index
from slipway.store.store import Store
from slipway.testing.catalogs import trace_of


def test_what_is_written_is_indexed_while_a_server_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "FIRST", 0.01)
    monkeypatch.setattr(indexing, "EVERY", 0.01)
    monkeypatch.setattr(trace_index, "SIZES", (16, 4))
    store = Store(tmp_path / ".slipway")
    try:
        with indexing.indexing(store):
            store.catalog.add_traces([trace_of(request={"prompt": f"needle {n}"}) for n in range(20)])
            end = time.monotonic() + 30
            while len(list((store.folder / "cache" / "traces").glob("*.db"))) < 2 and time.monotonic() < end:
                time.sleep(0.02)
            assert len(store.catalog.traces(wanted=Wanted(words=("needle",)))) == 20
        made = sorted(path.name for path in (store.folder / "cache" / "traces").glob("*.db"))
        assert made == ["16-00000000.db", "4-00000004.db"]
    finally:
        store.close()


def test_a_server_that_ends_does_not_wait_for_it(tmp_path: Path) -> None:
    store = Store(tmp_path / ".slipway")
    since = time.monotonic()
    with indexing.indexing(store):
        pass
    assert time.monotonic() - since < indexing.FIRST
    store.close()
