from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import pytest

from slipway.core.material import Dataset, Document
from slipway.core.trace import Feedback, Trace
from slipway.errors import Busy, ConfigError, IntegrityError, NotFound
from slipway.store.catalog import Catalog, now
from slipway.store.sqlite import SQLite
from slipway.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / ".slipway")


def document(text: str = "text") -> Document:
    return Document(source="a.md", text=text, media_type="text/markdown", raw_sha256="0" * 64)


def trace(**more: object) -> Trace:
    fields = {"id": uuid.uuid4().hex, "at": now(), "endpoint": "/v1/chat/completions", "channel": "a", "release": "",
              "status": 200, "request": {"messages": []}}  # fmt: skip
    return Trace(**{**fields, **more})


def test_a_blob_comes_back_and_a_flipped_bit_is_noticed(store: Store) -> None:
    digest = store.blobs.put(b"hello")
    assert store.blobs.get(digest) == b"hello"
    assert store.blobs.put(b"hello") == digest
    path = store.blobs.path(digest)
    path.chmod(0o644)
    path.write_bytes(b"hellp")
    with pytest.raises(IntegrityError, match="does not match"):
        store.blobs.get(digest)
    with pytest.raises(IntegrityError):
        store.blobs.verify(digest)


def test_a_missing_blob_says_what_to_do(store: Store) -> None:
    with pytest.raises(NotFound, match="slipway run"):
        store.blobs.get("0" * 64)


def test_a_failed_write_leaves_nothing(store: Store) -> None:
    def pieces():
        yield b"half"
        raise RuntimeError("disk on fire")

    with pytest.raises(RuntimeError):
        store.blobs.put_pieces(pieces())
    assert [p for p in store.blobs.folder.rglob("*") if p.is_file()] == []


def test_lines_keep_their_order_and_types(store: Store) -> None:
    documents = [document(str(n)) for n in range(5)]
    assert list(store.blobs.get_lines(store.blobs.put_lines(documents), Document)) == documents


def test_nouns_are_found_by_digest_and_beginning(store: Store) -> None:
    ref = store.catalog.put("document", "a", document())
    assert store.catalog.get("document", ref.digest[:8], Document) == document()
    assert store.catalog.has("document", ref.digest)
    with pytest.raises(NotFound):
        store.catalog.get("document", ref.digest[:7], Document)  # too short to be sure
    with pytest.raises(NotFound):
        store.catalog.get("document", "%" * 8, Document)  # no wild cards


def test_a_noun_changed_in_the_catalog_is_noticed(store: Store) -> None:
    from sqlalchemy import text

    ref = store.catalog.put("document", "a", document())
    with store.catalog.engine.begin() as connection:
        connection.execute(text("UPDATE nouns SET body = replace(body, 'a.md', 'b.md')"))
    with pytest.raises(IntegrityError):
        store.catalog.get("document", ref.digest, Document)


def test_a_channel_points_where_it_was_last_told(store: Store) -> None:
    store.catalog.promote("production", "r1", by="ada", why="first")
    store.catalog.promote("production", "r2", by="bob", why="better")
    store.catalog.promote("staging", "r1", by="ada", why="")
    assert store.catalog.channels() == {"production": "r2", "staging": "r1"}
    assert [h["why"] for h in store.catalog.history("production")] == ["better", "first"]


def test_traces_and_feedback(store: Store) -> None:
    first, second = trace(), trace(channel="b")
    said = Feedback(id=uuid.uuid4().hex, trace=first.id, at=now(), thumb="up")
    store.catalog.add_traces([first, second], [said])
    assert store.catalog.trace(first.id) == first
    assert [t.id for _, t in store.catalog.traces()] == [second.id, first.id]
    assert [t.id for _, t in store.catalog.traces(channel="b")] == [second.id]
    assert store.catalog.feedback(first.id) == [said]
    with pytest.raises(NotFound, match="x-slipway-trace"):
        store.catalog.trace("nope")


def test_a_batch_with_one_bad_trace_writes_none_of_it(store: Store) -> None:
    one = trace()
    store.catalog.add_traces([one])
    with pytest.raises(Exception, match="UNIQUE"):
        store.catalog.add_traces([trace(), one])
    assert len(store.catalog.traces()) == 1


def test_memory_of_pure_work(store: Store) -> None:
    store.catalog.remember("kind", {f"k{n}": bytes([n]) for n in range(5)})
    store.catalog.remember("kind", {"k0": b"other"})  # the first result stays: equal work gives equal results
    assert store.catalog.recall("kind", ["k0", "k4", "nope"]) == {"k0": b"\0", "k4": b"\4"}
    assert store.catalog.recall("other", ["k0"]) == {}


def test_the_lock_refuses_a_second_holder_and_dies_with_its_process(store: Store) -> None:
    script = (
        "import sys, time; from pathlib import Path; from slipway.store.store import Store\n"
        "with Store(Path(sys.argv[1])).lock(): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(store.folder)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(Busy, match=str(holder.pid)), store.lock():
            pass
        holder.kill()
        holder.wait()
        with store.lock():
            pass


def test_writers_in_many_threads_do_not_lose_rows(store: Store) -> None:
    def write() -> None:
        for _ in range(20):
            store.catalog.add_traces([trace()])

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.catalog.traces(limit=1000)) == 160


def test_what_is_no_catalog_or_a_newer_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "catalog.db").write_bytes(b"not a database at all, but long enough to be looked at" * 50)
    with pytest.raises(IntegrityError, match="cannot be read"):
        Store(tmp_path / "a")
    newer = Store(tmp_path / "b")
    with newer.catalog.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    newer.close()
    with pytest.raises(ConfigError, match="newer"):
        Store(tmp_path / "b")


@pytest.mark.slow
def test_kill_9_between_any_two_writes_leaves_whole_nouns(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from slipway.store.store import Store\n"
        "from slipway.core.material import Dataset\n"
        "store = Store(Path(sys.argv[1])); print('go', flush=True)\n"
        "for n in range(10_000):\n"
        "    items = store.blobs.put(os.urandom(200_000))\n"
        "    store.catalog.put('dataset', 'd', Dataset(name='d', kind='chunks', items=items, size=n))\n"
    )
    folder = tmp_path / ".slipway"
    for wait in (0.05, 0.11, 0.23, 0.37):
        with subprocess.Popen([sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            threading.Event().wait(wait)
            writer.kill()
    store = Store(folder)
    found = store.catalog.list("dataset", Dataset)
    assert found
    for _, dataset in found:
        store.blobs.verify(dataset.items)
    with store.lock():
        assert os.listdir(store.blobs.folder / "aside") == []


def test_a_schema_that_is_no_text_is_said_in_words(tmp_path: Path) -> None:
    Catalog(SQLite(tmp_path / "a.db")).close()
    with contextlib.closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    data = (tmp_path / "a.db").read_bytes()
    at = data.index(b"CREATE TABLE")
    (tmp_path / "a.db").write_bytes(data[:at] + b"CREATE \x8a\xff\xfe\x8a\x8a" + data[at + 12 :])
    with pytest.raises(IntegrityError, match="damaged|cannot be read"):
        Catalog(SQLite(tmp_path / "a.db"))
