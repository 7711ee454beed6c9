"""gc, backup and verify beside a server that answers; `kill -9` of the server and of its database: nothing
acknowledged is lost.
"""

from __future__ import annotations

import dataclasses
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import postgres as server_of
from postgres import PASSWORD, Server
from served import Client, child
from slipway.core.database import Address
from slipway.store.backup import backup
from slipway.store.gc import gc
from slipway.store.restore import restore
from slipway.store.retention import Retention
from slipway.store.store import Store
from slipway.store.verify import verify
from slipway.testing.catalogs import feedback_of, trace_of

DAY = 86_400.0
KINDS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.service)]
OLD = "2020-01-01T00:00:00.000000Z"


@pytest.fixture(params=KINDS)
def address(request: pytest.FixtureRequest) -> Address:
    return request.getfixturevalue("database") if request.param == "postgresql" else Address()


@pytest.fixture
def own() -> Iterator[Server]:
    with server_of.running() as server:  # fsync on: it is killed
        yield server


class Asking:
    """Clients that ask and thumb as fast as they are answered, and remember what was acknowledged."""

    def __init__(self, server: Client, clients: int = 3) -> None:
        self.server = server
        self.traces: list[str] = []
        self.feedback: list[str] = []
        self.statuses: dict[int, int] = {}
        self.slowest = 0.0
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(clients)]

    def __enter__(self) -> Asking:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, who: int) -> None:
        n = 0
        while not self._ended.is_set():
            n += 1
            try:
                since = time.monotonic()
                reply = self.server.chat(f"{who}/{n}", stream=n % 3 == 0)
                self.slowest = max(self.slowest, time.monotonic() - since)
                done = reply.status == 200 and (n % 3 or reply.events[-1:] == ["[DONE]"])
                self.statuses[reply.status] = self.statuses.get(reply.status, 0) + 1
                if not done:
                    time.sleep(0.02)
                    continue
                trace = reply.headers["x-slipway-trace"]
                self.traces.append(trace)
                said = self.server.post("/v1/feedback", {"trace": trace, "thumb": "up"})
                if said.status == 200:
                    self.feedback.append(said.json["id"])
            except Exception:  # noqa: BLE001 -- a server that was killed ends a connection in many ways
                time.sleep(0.02)

    def until(self, more: int, seconds: float = 60.0) -> None:
        """Wait until so many more were acknowledged."""
        wanted, end = len(self.traces) + more, time.monotonic() + seconds
        while len(self.traces) < wanted:
            assert time.monotonic() < end, self.statuses
            time.sleep(0.01)


def lost(asking: Asking, folder: Path, address: Address) -> tuple[set[str], set[str]]:
    """What was acknowledged and is not there."""
    store = Store(folder, address)
    traces = {trace.id for _, trace in store.catalog.traces(1_000_000)}
    feedback = {said.id for said in store.catalog.feedback(limit=1_000_000)}
    assert store.catalog.verify_history()
    store.close()
    return set(asking.traces) - traces, set(asking.feedback) - feedback


def spec(address: Address, **more: Any) -> dict[str, Any]:
    return {"store": dataclasses.asdict(address), **more}


@pytest.mark.slow
def test_gc_backup_and_verify_in_a_loop_beside_a_server(address: Address, tmp_path: Path) -> None:
    folder = tmp_path / ".slipway"
    store = Store(folder, address)
    store.catalog.add_traces(
        [trace_of(at=OLD) for _ in range(2000)], [feedback_of(trace_of(), at=OLD) for _ in range(100)]
    )
    with child(folder, **spec(address)) as (_, server):
        server.until()
        with Asking(server) as asking:
            asking.until(5)
            swept = gc(store, Retention(traces=DAY, answers=DAY, steps=DAY), grace=5.0)
            assert swept.removed["traces"] == 2000
            assert swept.removed["feedback"] == 100
            for n in range(6):
                gc(store, Retention(traces=DAY, answers=DAY, steps=DAY), grace=5.0)
                backup(store, tmp_path / f"{n}.zip")
                assert {problem.kind for problem in verify(store).problems} <= {"missing"}  # a stand-in release's
                asking.until(3)
        assert asking.statuses.keys() == {200}
        assert server.get("/readyz").status == 200
    assert lost(asking, folder, address) == (set(), set())
    target = Store(tmp_path / "target")
    restore(target, tmp_path / "5.zip")
    assert target.catalog.verify_history() == store.catalog.head()


def test_restoring_under_a_server_is_seen_by_it_as_a_whole(address: Address, tmp_path: Path) -> None:
    folder = tmp_path / ".slipway"
    store = Store(folder, address)
    with child(folder, **spec(address)) as (_, server):
        server.until()
        before = server.chat().headers["x-slipway-trace"]
        backup(store, tmp_path / "b.zip")
        after = server.chat().headers["x-slipway-trace"]
        restore(store, tmp_path / "b.zip", replace=True)
        assert server.post("/v1/feedback", {"trace": before, "thumb": "up"}).status == 200
        assert server.post("/v1/feedback", {"trace": after, "thumb": "up"}).status == 404
        again = server.chat().headers["x-slipway-trace"]
    assert {trace.id for _, trace in store.catalog.traces()} == {before, again}


@pytest.mark.slow
@pytest.mark.service
def test_kill_9_of_a_server_on_postgresql_loses_nothing_acknowledged(database: Address, tmp_path: Path) -> None:
    folder = tmp_path / ".slipway"
    asked: list[Asking] = []
    for wait in (1, 7, 19):
        with child(folder, **spec(database)) as (process, server):
            server.until()
            with Asking(server) as asking:
                asked.append(asking)
                asking.until(wait)
                process.send_signal(signal.SIGKILL)
                process.wait()
    assert sum(len(asking.feedback) for asking in asked) > 10
    for asking in asked:
        assert lost(asking, folder, database) == (set(), set())


@pytest.mark.slow
@pytest.mark.service
@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_database_that_is_killed_or_stopped_and_comes_back(own: Server, tmp_path: Path, end: str) -> None:
    """The server refuses before it generates, says why, and goes on by itself; nothing acknowledged is lost."""
    folder, address = tmp_path / ".slipway", own.database()
    with child(folder, **spec(address)) as (_, server):
        server.until()
        with Asking(server) as asking:
            for _ in range(2):
                asking.until(20)
                getattr(own, end)()
                found = server.until("/readyz", 503).json
                assert "cannot be reached" in found["why"]
                assert PASSWORD not in str(found)
                assert server.get("/healthz").status == 200
                before = tokens(server)
                for more in ({}, {"stream": True}, {"model": "writer"}):
                    reply = server.chat("hello", **more)
                    assert (reply.status, reply.error["code"]) == (503, "not_durable")
                    assert "was made" not in reply.error["message"]
                assert tokens(server) == before
                own.start()
                server.until()
                asking.until(5)
        assert asking.statuses.keys() <= {200, 503}
    assert lost(asking, folder, address) == (set(), set())


def tokens(server: Client) -> float:
    lines = server.get("/metrics").body.decode().split("\n")
    return sum(float(line.split()[-1]) for line in lines if line.startswith("slipway_generation_tokens_total"))


@pytest.mark.service
def test_a_server_that_starts_without_its_database_says_so_and_ends(own: Server, tmp_path: Path) -> None:
    address = own.database()
    own.stop()
    with pytest.raises(AssertionError) as found, child(tmp_path / ".slipway", **spec(address)):
        pass
    assert "cannot be reached" in str(found.value)
    assert PASSWORD not in str(found.value)


def test_a_server_deletes_by_itself_what_is_over_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from slipway.loop import retain

    monkeypatch.setattr(retain, "FIRST", 0.05)
    monkeypatch.setattr(retain, "EVERY", 0.05)
    store = Store(tmp_path / ".slipway")
    store.catalog.add_traces([trace_of(at=OLD) for _ in range(1200)])
    fresh = trace_of(at="2999-01-01T00:00:00.000000Z")
    store.catalog.add_traces([fresh])
    with retain.daily(store, Retention()):  # no retention, no thread
        assert "slipway-retention" not in {thread.name for thread in threading.enumerate()}
    with retain.daily(store, Retention(traces=DAY)):
        _wait(lambda: len(store.catalog.traces(5000)) == 1)
        store.catalog.add_traces([trace_of(at=OLD)])
        _wait(lambda: len(store.catalog.traces(5000)) == 1)
    assert store.catalog.trace(fresh.id) == fresh
    assert "slipway-retention" not in {thread.name for thread in threading.enumerate()}


def test_a_database_that_is_down_does_not_end_the_daily_deletion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from slipway.errors import Busy
    from slipway.loop import retain

    monkeypatch.setattr(retain, "FIRST", 0.02)
    monkeypatch.setattr(retain, "EVERY", 0.02)
    store = Store(tmp_path / ".slipway")
    store.catalog.add_traces([trace_of(at=OLD)])
    failed: list[int] = []
    really = retain.expire_records

    def sometimes(*arguments: Any) -> Any:  # a fault that comes and goes, at the edge of the store
        if len(failed) < 3:
            failed.append(1)
            raise Busy("busy") if len(failed) < 3 else RuntimeError("a defect")
        return really(*arguments)

    monkeypatch.setattr(retain, "expire_records", sometimes)
    with retain.daily(store, Retention(traces=DAY)):
        _wait(lambda: not store.catalog.traces())
    assert len(failed) == 3


def _wait(what: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)
