"""Traces and feedback on their way to disk: shared transactions, failures that are told, `kill -9` under load."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import random
import signal
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from served import Client, child, echo, make_context, promote, release, serving
from slipway.core.trace import Feedback, Trace
from slipway.serve.recording.recorder import Recorder
from slipway.serve.refuse import Refused
from slipway.store.store import Store


def trace(n: int, **more: Any) -> Trace:
    values: dict[str, Any] = {"endpoint": "/generate", "channel": "", "release": "", "status": 200, "request": {}}
    return Trace(id=f"{n:032x}", at="2026-01-01T00:00:00Z", **{**values, **more})


@contextlib.asynccontextmanager
async def recording(store: Store, strict: bool = True) -> Any:
    batches: list[int] = []
    recorder = Recorder(store.catalog, strict=strict, on_commit=lambda n, seconds: batches.append(n))
    recorder.start()
    yield recorder, batches
    await recorder.close()


def limit_pages(store: Store, pages: int) -> None:
    """A disk that gets full: SQLite itself refuses to grow the file."""
    store.catalog.engine.dispose()

    def limit(connection: Any, _record: Any) -> None:
        connection.execute(f"PRAGMA max_page_count={pages}")

    event.listen(store.catalog.engine, "connect", limit)


async def test_many_records_share_transactions(tmp_path: Path) -> None:
    store = Store(tmp_path)
    async with recording(store) as (recorder, batches):
        await asyncio.gather(*(recorder.write(trace(n)) for n in range(500)))
        assert sum(batches) == 500
        assert len(batches) < 100
        assert len(store.catalog.traces(1000)) == 500
        said = Feedback(id="f", trace=trace(3).id, at="2026-01-01T00:00:00Z", thumb="up")
        await recorder.write(said)
        assert store.catalog.feedback() == [said]


async def test_one_bad_record_does_not_take_the_others_with_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    async with recording(store) as (recorder, _):
        await recorder.write(trace(1))
        written = [
            recorder.write(record) for record in (trace(2), trace(1), trace(3, request={"x": object()}), trace(4))
        ]
        results = await asyncio.gather(*written, return_exceptions=True)
        assert [type(result) for result in results] == [type(None), Refused, Refused, type(None)]
        assert recorder.failed == 2
    assert len(store.catalog.traces()) == 3


async def test_a_full_disk_is_told(tmp_path: Path) -> None:
    store = Store(tmp_path)
    limit_pages(store, 60)
    async with recording(store) as (recorder, _):
        writes = [recorder.write(trace(n, error="x" * 10_000)) for n in range(100)]
        results = await asyncio.gather(*writes, return_exceptions=True)
        refused = [result for result in results if isinstance(result, Refused)]
        assert refused
        assert {(found.status, found.code) for found in refused} == {(503, "not_durable")}
        assert len(store.catalog.traces(1000)) == results.count(None)


@pytest.mark.slow
def test_a_full_disk_is_a_503_and_serving_goes_on_when_there_is_room(tmp_path: Path) -> None:
    store = Store(tmp_path)
    promote(store, release(store, echo()))
    with serving(make_context(store, [])) as server:
        server.until()
        limit_pages(store, 60)
        statuses = [server.chat("x" * 50_000).status for _ in range(12)]
        assert statuses[-1] == 503
        refused = server.chat("x" * 50_000)
        assert refused.error["code"] == "not_durable"
        assert "free some space" in refused.error["hint"]
        assert "was made" not in refused.error["message"]  # refused before a model was asked
        assert refused.headers["retry-after"] == "5"
        assert server.get("/readyz").status == 503
        assert 'slipway_records_total{result="failed"}' in server.get("/metrics").body.decode()
        limit_pages(store, 100_000)
        server.until()
        assert server.chat("x" * 50_000).status == 200
        acknowledged = statuses.count(200) + 1
        assert sum(found.status == 200 for _, found in store.catalog.traces()) == acknowledged


async def test_relaxed_acknowledges_before_the_disk_does(tmp_path: Path) -> None:
    store = Store(tmp_path)
    blocker = sqlite3.connect(tmp_path / "catalog.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    async with recording(store, strict=False) as (recorder, _):
        async with asyncio.timeout(5):
            for n in range(100):
                await recorder.write(trace(n))
        assert recorder.pending(trace(99).id)
        assert store.catalog.traces() == []
        blocker.execute("COMMIT")
    assert len(store.catalog.traces(200)) == 100


@pytest.mark.slow
async def test_relaxed_holds_so_many_records_and_then_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipway.serve.recording.recorder.MAX_PENDING", 5)
    store = Store(tmp_path)
    async with recording(store, strict=False) as (recorder, _):
        store.catalog.engine.dispose()
        refuse = limit_to_reading(store)
        for n in range(5):
            recorder.require()
            await recorder.write(trace(n))
            await asyncio.sleep(0.05)
        assert recorder.room.trouble is not None
        with pytest.raises(Refused) as found:
            recorder.require()
        assert found.value.code == "not_durable"
        assert recorder.trouble
        refuse.clear()
        while recorder.trouble:  # noqa: ASYNC110 -- another thread finds out
            await asyncio.sleep(0.05)
    assert len(store.catalog.traces()) == 5
    assert recorder.failed == 0


def limit_to_reading(store: Store) -> threading.Event:
    """While the event is set, every new connection only reads, as on a file system that is mounted so."""
    refuse = threading.Event()
    refuse.set()

    def limit(connection: Any, _record: Any, _proxy: Any) -> None:
        connection.execute(f"PRAGMA query_only={int(refuse.is_set())}")

    event.listen(store.catalog.engine, "checkout", limit)
    return refuse


async def test_closing_writes_what_is_pending(tmp_path: Path) -> None:
    store = Store(tmp_path)
    async with recording(store) as (recorder, _):
        for n in range(1000):
            recorder.later(trace(n))
    assert len(store.catalog.traces(2000)) == 1000


class Load:
    """Asks, and gives feedback, until the server is gone; remembers what was acknowledged."""

    def __init__(self, server: Client) -> None:
        self.server = server
        self.traces: list[str] = []
        self.feedback: list[str] = []
        self.gone = threading.Event()

    def run(self, n: int) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            while not self.gone.is_set():
                reply = self.server.chat(f"question {n}", stream=bool(n % 2))
                if reply.status != 200 or (n % 2 and reply.events[-1:] != ["[DONE]"]):
                    continue
                self.traces.append(reply.headers["x-slipway-trace"])
                said = self.server.post("/v1/feedback", {"trace": self.traces[-1], "thumb": "up"})
                if said.status == 200:
                    self.feedback.append(said.json["id"])


@pytest.mark.slow
def test_kill_9_under_load_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """One store, killed and served again: 50 random instants."""
    random.seed(5)
    traces, feedback = set[str](), set[str]()
    for _ in range(50):
        with child(tmp_path, engine={"delay": 0.002}) as (process, server):
            server.until()
            load = Load(server)
            threads = [threading.Thread(target=load.run, args=(n,)) for n in range(6)]
            for thread in threads:
                thread.start()
            time.sleep(random.uniform(0.05, 0.8))
            process.send_signal(signal.SIGKILL)
            process.wait()
            load.gone.set()
            for thread in threads:
                thread.join(60)
            traces.update(load.traces)
            feedback.update(load.feedback)
        store = Store(tmp_path)
        kept = {found.id for _, found in store.catalog.traces(1_000_000)}
        said = {found.id for found in store.catalog.feedback(limit=1_000_000)}
        store.close()
        assert traces <= kept, f"{len(traces - kept)} acknowledged traces were lost"
        assert feedback <= said, f"{len(feedback - said)} acknowledged feedbacks were lost"
    assert len(traces) > 300
    assert len(feedback) > 300
