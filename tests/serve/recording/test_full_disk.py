"""A server whose disk takes nothing: it refuses before it generates, says so in /readyz, and recovers by itself."""

from __future__ import annotations

import errno
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from disks import SmallDisk, failing_writes, read_only, small_disk
from everyday import some
from served import Client, child
from slipway.store.store import Store


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk") as found:
        yield found


def generated(server: Client) -> float:
    """Tokens made so far, by the server's own count."""
    lines = server.get("/metrics").body.decode().split("\n")
    return sum(float(line.split()[-1]) for line in lines if line.startswith("slipway_generation_tokens_total"))


def refused_first(server: Client) -> None:
    """Whole and streamed, a release and a raw model, and feedback: each is a 503 that no model was asked for."""
    before = generated(server)
    for more in ({}, {"stream": True}, {"model": "writer"}):
        reply = server.chat("hello", **more)
        assert (reply.status, reply.error["code"]) == (503, "not_durable")
        assert reply.headers["retry-after"] == "5"
        assert "was made" not in reply.error["message"]
    assert server.post("/v1/feedback", {"trace": "0" * 32, "thumb": "up"}).status == 503
    assert generated(server) == before
    assert server.get("/healthz").status == 200


def not_ready(server: Client, why: str) -> dict[str, str]:
    """Wait until /readyz says why."""
    end = time.monotonic() + 30
    while why not in (found := server.until("/readyz", 503).json)["why"]:
        assert time.monotonic() < end, found
        time.sleep(0.02)
    return found


def kept(folder: Path) -> set[str]:
    store = Store(folder)
    found = {trace.id for _, trace in store.catalog.traces(100_000)}
    store.close()
    return found


@pytest.mark.slow
def test_a_disk_that_fills_while_serving(disk: SmallDisk) -> None:
    folder = disk.path / ".slipway"
    acknowledged: list[str] = []
    with child(folder) as (process, server):
        server.until()
        acknowledged += [server.chat().headers["x-slipway-trace"] for _ in range(5)]
        disk.fill()
        assert not_ready(server, "MB left")["release"]
        refused_first(server)
        disk.free()
        server.until()
        acknowledged.append(server.chat().headers["x-slipway-trace"])
        assert "slipway_store_free_bytes" in server.get("/metrics").body.decode()
        disk.fill()
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert set(acknowledged) <= kept(folder)  # on the full disk, after kill -9


@pytest.mark.slow
@pytest.mark.parametrize("end", some([signal.SIGTERM, signal.SIGKILL], 2))
def test_a_server_started_on_a_full_disk(disk: SmallDisk, end: signal.Signals) -> None:
    folder = disk.path / ".slipway"
    with child(folder) as (process, server):
        server.until()
        before = server.chat().headers["x-slipway-trace"]
        process.send_signal(end)
        process.wait()
    disk.fill()
    with child(folder) as (_, server):
        not_ready(server, "MB left")
        refused_first(server)
        disk.free()
        server.until()
        after = server.chat().headers["x-slipway-trace"]
    assert {before, after} <= kept(folder)


def test_relaxed_answers_on_a_full_disk_and_writes_when_there_is_room(disk: SmallDisk) -> None:
    folder = disk.path / ".slipway"
    relaxed: dict[str, Any] = {"durability": "relaxed"}
    with child(folder, config=relaxed) as (process, server):
        server.until()
        disk.fill()
        traces = [server.chat("x" * 5000).headers["x-slipway-trace"] for _ in range(20)]
        assert server.get("/readyz").status == 200
        feedback = server.post("/v1/feedback", {"trace": traces[0], "thumb": "up"})
        assert (feedback.status, feedback.error["code"]) == (503, "not_durable")  # feedback is always strict
        disk.free()
        while server.post("/v1/feedback", {"trace": traces[0], "thumb": "up"}).status != 200:
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert set(traces) <= kept(folder)


def test_a_read_only_file_system_is_served_by_relaxed_and_refused_by_strict(tmp_path: Path) -> None:
    with child(tmp_path / "own" / ".slipway") as (_, server):
        server.until()
    with read_only(tmp_path / "own", tmp_path / "seen") as seen:
        with child(seen / ".slipway", config={"durability": "relaxed"}) as (_, server):
            server.until()
            assert server.chat().status == 200
        with child(seen / ".slipway") as (_, server):
            not_ready(server, "read-only")
            refused_first(server)


@pytest.mark.slow
@pytest.mark.parametrize("number", some([errno.EIO, errno.ENOSPC], 2))
def test_a_disk_that_answers_with_errors(tmp_path: Path, number: int) -> None:
    folder, failing = tmp_path / ".slipway", tmp_path / "failing"
    with child(folder, failing_writes(folder, number, tmp_path)) as (process, server):
        server.until()
        before = server.chat().headers["x-slipway-trace"]
        failing.touch()
        first = server.chat(stream=True)
        assert "[DONE]" not in first.events
        assert first.events[-1]["error"]["code"] == "not_durable"
        assert server.get("/readyz").status == 503
        refused_first(server)
        failing.unlink()
        server.until()
        after = server.chat().headers["x-slipway-trace"]
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert {before, after} <= kept(folder)
