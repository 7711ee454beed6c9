"""gc deletes what nothing needs and what is over its time, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import kept
import pytest
from kept import DAY, age, ago, filled, orphan

from slipway.core.database import Address
from slipway.core.material import Dataset
from slipway.core.run import Run
from slipway.errors import Busy
from slipway.store import retention
from slipway.store.gc import expire_records, gc
from slipway.store.retention import Retention
from slipway.store.store import Store
from slipway.store.verify import verify
from slipway.testing.catalogs import feedback_of, trace_of

BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.service)]
FOR_EVER = Retention()


@pytest.fixture(params=BOTH)
def address(request: pytest.FixtureRequest) -> Address | None:
    return request.getfixturevalue("database") if request.param == "postgresql" else None


@pytest.fixture
def store(tmp_path: Path, address: Address | None) -> Store:
    return filled(tmp_path / ".slipway", address)


def test_by_default_everything_that_is_needed_stays(store: Store) -> None:
    age(store, 1000)
    before, blobs = kept.contents(store), set(store.blobs.files())
    swept = gc(store, FOR_EVER)
    assert swept.removed == {}
    assert kept.contents(store) == before
    assert set(store.blobs.files()) == blobs
    assert verify(store).problems == []


def test_what_a_killed_run_left_goes_after_the_grace_period(store: Store) -> None:
    lost = orphan(store)
    assert gc(store, FOR_EVER).removed == {}
    assert store.blobs.has(lost)
    age(store, 1)
    assert gc(store, FOR_EVER, dry_run=True).removed == {"blobs": 1}
    assert store.blobs.has(lost)
    swept = gc(store, FOR_EVER)
    assert swept.removed == {"blobs": 1}
    assert swept.bytes == {"blobs": 1000}
    assert not store.blobs.has(lost)
    assert verify(store).problems == []


def test_a_blob_that_was_stored_again_is_young(store: Store) -> None:
    """A run may find its bytes there already, and its noun comes only later."""
    lost = store.blobs.put(b"the same bytes")
    age(store, 1)
    store.blobs.put(b"the same bytes")
    assert gc(store, FOR_EVER).removed == {}
    assert store.blobs.has(lost)


def test_traces_and_feedback_leave_when_their_time_is_over(store: Store) -> None:
    """40 days old: those of the release that serves stay with their feedback, those of the other go."""
    dry = gc(store, Retention(traces=30 * DAY), dry_run=True)
    assert len(store.catalog.traces(1000)) == 13
    swept = gc(store, Retention(traces=30 * DAY))
    assert swept.removed == dry.removed == {"feedback": 2, "traces": 8}
    left = [trace for _, trace in store.catalog.traces(1000)]
    serving = store.catalog.channels()["production"]
    assert len(left) == 5
    assert sum(trace.at < ago(30) and trace.release == serving for trace in left) == 1  # the one with feedback
    assert "d" * 32 in {trace.id for trace in left}  # an example was made of it
    assert len(store.catalog.feedback()) == 2
    assert gc(store, Retention(traces=30 * DAY)).removed == {}
    assert verify(store).problems == []


def test_feedback_has_a_time_of_its_own_and_its_trace_stays_with_it(store: Store) -> None:
    swept = gc(store, Retention(traces=30 * DAY, feedback=100 * DAY))
    assert swept.removed == {"feedback": 1, "traces": 7}
    said = store.catalog.feedback()
    assert len(said) == 3
    for one in said:
        store.catalog.trace(one.trace)


def test_feedback_whose_trace_is_gone_leaves_by_its_own_time(store: Store) -> None:
    gone, other = trace_of(), trace_of()
    store.catalog.add_traces([], [feedback_of(gone, at=ago(50)), feedback_of(other, at=ago(1))])
    gc(store, Retention(traces=30 * DAY))
    assert store.catalog.feedback(gone.id) == []
    assert len(store.catalog.feedback(other.id)) == 1


def test_only_feedback_has_a_time(store: Store) -> None:
    assert gc(store, Retention(feedback=30 * DAY)).removed == {"feedback": 2}
    assert len(store.catalog.traces(1000)) == 13


def test_remembered_answers_leave_and_others_stay(store: Store) -> None:
    age(store, 40)
    store.catalog.remember("answer", {"young": b"x"})
    store.catalog.remember("parsed", {"p": b"x"})
    assert gc(store, Retention(answers=30 * DAY), dry_run=True).removed == {"answers": 2}
    assert gc(store, Retention(answers=30 * DAY)).removed == {"answers": 2}
    assert set(store.catalog.recall("answer", ["a1", "a2", "young"])) == {"young"}
    assert store.catalog.recall("parsed", ["p"])


def test_what_was_remembered_before_times_were_kept_begins_its_time_now(store: Store) -> None:
    from sqlalchemy import text

    with store.catalog.engine.begin() as connection:
        connection.execute(text("UPDATE memo SET at = ''"))
    assert gc(store, Retention(answers=30 * DAY)).removed == {}
    age(store, 40)
    assert gc(store, Retention(answers=30 * DAY)).removed == {"answers": 2}


def test_old_steps_take_along_what_only_they_needed(store: Store, tmp_path: Path) -> None:
    """Runs over their time, the nouns that only they named, and the blobs that only those named."""
    lone = kept.examples(store, "c.jsonl:1", name="unused")
    newer = kept.examples(store, "c.jsonl:2", name="unused")
    store.catalog.record(Run(id="r0", step="unused", status="done", started=ago(400), key="k0", output=lone.ref))
    store.catalog.record(Run(id="r3", step="unused", status="done", started=ago(390), key="k3", output=newer.ref))
    store.catalog.record(Run(id="r4", step="unused", status="running", started=ago(390), key="k4"))
    store.catalog.remember("vector:e", {_key(store): b"kept passage's", "0" * 64: b"nobody's"})
    store.catalog.remember("index", {"index-1:seal": b"", "index-2:seal": b""})
    (store.scratch / "index-1").mkdir()
    age(store, 40)
    keep = Retention(steps=30 * DAY)
    dry = gc(store, keep, dry_run=True)
    swept = gc(store, keep)
    assert swept.removed == dry.removed == {"steps": 2, "runs": 2, "nouns": 1, "blobs": 1}
    assert {run.id for run in store.catalog.runs()} == {"r2", "r3", "r4"}  # the newest of a step, and one at work
    assert [found.digest for _, found in store.catalog.list("dataset", Dataset, "unused")] == [newer.digest]
    assert not store.blobs.has(lone.items)
    assert set(store.catalog.recall("vector:e", [_key(store), "0" * 64])) == {_key(store)}
    assert set(store.catalog.recall("index", ["index-1:seal", "index-2:seal"])) == {"index-1:seal"}
    assert verify(store).problems == []
    assert len(store.catalog.list("dataset", Dataset, "examples")) == 2  # the first release needs the older one


def _key(store: Store) -> str:
    from slipway.core.material import Chunk

    (_, found), *_ = store.catalog.list("dataset", Dataset, "chunks")
    return next(iter(store.blobs.get_lines(found.items, Chunk))).vector_key


def test_a_clock_that_was_ahead_holds_nothing_back_for_ever(tmp_path: Path) -> None:
    store = Store(tmp_path)
    retention_batch, retention.BATCH = retention.BATCH, 2
    try:
        store.catalog.add_traces([trace_of(at="2999-01-01T00:00:00.000000Z") for _ in range(4)])
        store.catalog.add_traces([trace_of(at=ago(50)) for _ in range(5)])
        assert gc(store, Retention(traces=30 * DAY)).removed == {"traces": 5}
    finally:
        retention.BATCH = retention_batch


def test_a_retention_longer_than_time_itself_deletes_nothing(store: Store) -> None:
    assert gc(store, Retention(traces=1e15, answers=1e15, steps=1e15, feedback=1e15)).removed == {}


def test_gc_and_a_run_exclude_each_other(store: Store) -> None:
    with store.lock(), pytest.raises(Busy):
        gc(store, FOR_EVER)
    assert gc(store, FOR_EVER).removed == {}
    with store.lock():
        gc(store, FOR_EVER, dry_run=True)  # looking takes no lock
        assert expire_records(store, Retention(traces=30 * DAY)).removed == {"feedback": 2, "traces": 8}


WRITER = """
import os, sys
from pathlib import Path
from slipway.core.material import Dataset
from slipway.store.store import Store
store = Store(Path(sys.argv[1]))
print("go", flush=True)
for n in range(60):
    items = store.blobs.put(b"%d" % (n % 7) * 1000)  # the same bytes come back, without a noun in between
    store.catalog.put("dataset", f"d{n % 3}", Dataset(name="d", kind="chunks", items=items, size=n))
"""


def test_a_writer_without_the_lock_never_loses_a_blob(tmp_path: Path) -> None:
    """A caller that writes by the library alone is guarded by the grace period."""
    store = Store(tmp_path / ".slipway")
    with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / ".slipway")], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        while writer.poll() is None:
            gc(store, Retention(steps=1.0, traces=1.0, answers=1.0), grace=30.0)
    assert writer.returncode == 0
    assert verify(store).problems == []


def test_the_deletion_is_logged(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "slipway.store"):
        gc(store, Retention(traces=30 * DAY))
    (record,) = [record for record in caplog.records if record.name == "slipway.store"]
    assert record.__dict__["rows"] == {"feedback": 2, "traces": 8}


def test_a_deletion_that_is_killed_leaves_whole_rows_and_goes_on_next_time(tmp_path: Path) -> None:
    store = filled(tmp_path / ".slipway")
    store.catalog.add_traces([trace_of(at=ago(200)) for _ in range(3000)])
    store.close()
    script = (
        "import sys; from pathlib import Path; from slipway.store.store import Store; from slipway.store.gc import gc\n"
        "from slipway.store.retention import Retention\n"
        "store = Store(Path(sys.argv[1])); print('go', flush=True); gc(store, Retention(traces=2592000.0))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / ".slipway")], stdout=subprocess.PIPE
    ) as sweeping:
        assert sweeping.stdout is not None
        sweeping.stdout.readline()
        threading.Event().wait(0.03)
        sweeping.kill()
    store = Store(tmp_path / ".slipway")
    assert verify(store).problems == []
    gc(store, Retention(traces=30 * DAY))
    assert len(store.catalog.traces(10_000)) == 5


def test_deleted_traces_leave_no_text_in_the_file(tmp_path: Path) -> None:
    """Who asks for a retention means it: SQLite would keep the bytes until it needs the room."""
    store = Store(tmp_path / ".slipway")
    store.catalog.add_traces([trace_of(at=ago(50), request={"text": f"a private matter {n}" * 50}) for n in range(50)])
    gc(store, Retention(traces=30 * DAY))
    store.close()  # the log is emptied
    assert b"a private matter" not in (tmp_path / ".slipway" / "catalog.db").read_bytes()


def _sizes(store: Store) -> list[tuple[str, int]]:
    from sqlalchemy import text

    with store.catalog.database.reader.connect() as connection:
        return [
            (row.id, row.n) for row in connection.execute(text("select id, length(body) n from traces order by seq"))
        ]


def test_beyond_a_size_the_oldest_traces_go_and_what_is_needed_stays(tmp_path: Path, address: Address | None) -> None:
    store = Store(tmp_path, address)
    made = [trace_of(request={"prompt": "x" * 100}) for _ in range(12)]
    store.catalog.add_traces(made, [feedback_of(made[1])])
    kept.examples(store, f"trace:{made[2].id}")
    sizes = dict(_sizes(store))
    limit = sum(sizes.values()) - sum(sizes[made[n].id] for n in (0, 3, 4)) + 1
    batch, retention.BATCH = retention.BATCH, 2
    try:
        dry = gc(store, Retention(size=limit), dry_run=True)
        swept = gc(store, Retention(size=limit))
    finally:
        retention.BATCH = batch
    assert swept.removed == dry.removed == {"traces": 3}
    assert [id for id, _ in _sizes(store)] == [made[n].id for n in (1, 2, *range(5, 12))]
    assert sum(n for _, n in _sizes(store)) <= limit
    assert gc(store, Retention(size=limit)).removed == {}


def test_time_and_size_are_counted_once_together(tmp_path: Path) -> None:
    store = Store(tmp_path)
    old = [trace_of(at=ago(50)) for _ in range(4)]
    store.catalog.add_traces([*old, *(trace_of(at=ago(1)) for _ in range(4))])
    limit = sum(n for _, n in _sizes(store)[4:]) - 1  # of the young one too many
    keep = Retention(traces=30 * DAY, size=limit)
    assert gc(store, keep, dry_run=True).removed == {"traces": 5}
    assert gc(store, keep).removed == {"traces": 5}
