"""Queue, deadlines, clients that leave, models that die, drain: what happens when there is too much or too little."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from served import PROJECT, Client, Running, child, echo, held, make_context, promote, release, serving
from slipway.i18n import Said, set_language, speaking, told
from slipway.store.store import Store


@contextlib.contextmanager
def slow(folder: Path, delay: float, **config: Any) -> Iterator[tuple[Running, Store]]:
    """A server whose model thinks for `delay` seconds before each answer."""
    store = Store(folder)
    model = echo(delay=delay)
    promote(store, release(store, model))
    with serving(make_context(store, [model, echo("quick"), echo("drip", token_delay=0.05)], **config)) as running:
        running.until()
        yield running, store


def wait_for(condition: Any, seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


def open_request(server: Client, stream: bool, text: str = "hello " * 200, model: str = PROJECT) -> socket.socket:
    """A request whose answer is not read."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": text}], "stream": stream}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    connection = socket.create_connection((server.host, server.port), timeout=30)
    connection.sendall(head + body)
    return connection


def test_more_than_the_queue_holds_is_refused_at_once(tmp_path: Path) -> None:
    with held() as released, slow(tmp_path, 0, parallel=1, queue=2) as (server, _), ThreadPoolExecutor(3) as pool:
        accepted = []
        for n in range(3):  # one runs, two wait
            accepted.append(pool.submit(server.chat, f"number {n}"))
            wait_for(lambda n=n: server.application.slots.running + server.application.slots.waiting == n + 1)
        started = time.monotonic()
        refused = server.chat("one too many")
        assert time.monotonic() - started < 1
        assert refused.status == 429
        assert refused.error["code"] == "queue_full"
        assert refused.error["type"] == "rate_limit_error"
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        released.set()
        assert [reply.result().text for reply in accepted] == ["number 0", "number 1", "number 2"]
        assert server.chat("after").status == 200
        assert server.application.slots.running == 0


def test_the_deadline_frees_the_model(tmp_path: Path) -> None:
    with slow(tmp_path, 30.0, parallel=1, deadline=0.3) as (server, store):
        reply = server.chat("too slow")
        assert reply.status == 504
        assert reply.error["code"] == "deadline"
        assert "0.3 s" in reply.error["message"]
        assert store.catalog.trace(reply.headers["x-slipway-trace"]).status == 504
        assert server.application.slots.running == 0
        assert server.chat("quick", model="quick").status == 200


@pytest.mark.slow
def test_time_in_the_queue_counts(tmp_path: Path) -> None:
    with slow(tmp_path, 0.8, parallel=1, queue=5, deadline=1.4) as (server, store), ThreadPoolExecutor(2) as pool:
        first = pool.submit(server.chat, "first")
        wait_for(lambda: server.application.slots.running == 1)
        second = pool.submit(server.chat, "second")
        assert first.result().status == 200
        late = second.result()
        assert late.status == 504
        assert server.application.slots.running == server.application.slots.waiting == 0


def test_a_deadline_in_the_middle_of_a_stream_is_an_event(tmp_path: Path) -> None:
    with slow(tmp_path, 0.0, deadline=0.5) as (server, store):
        reply = server.chat("word " * 100, model="drip", stream=True)
        assert reply.status == 200
        assert reply.events[-1]["error"]["code"] == "deadline"
        assert "[DONE]" not in reply.events
        assert store.catalog.trace(reply.headers["x-slipway-trace"]).status == 504


def test_a_body_that_never_comes_is_given_up(tmp_path: Path) -> None:
    with slow(tmp_path, 0.0, deadline=0.3) as (server, _):
        connection = socket.create_connection((server.host, server.port), timeout=10)
        connection.sendall(b"POST /generate HTTP/1.1\r\nhost: localhost\r\ncontent-length: 50\r\n\r\n{")
        assert connection.recv(1000).startswith(b"HTTP/1.1 504")
        connection.close()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_client_that_leaves_frees_the_model_and_is_traced(tmp_path: Path, stream: bool) -> None:
    with slow(tmp_path, 30.0, parallel=1, queue=1) as (server, store):
        connection = open_request(server, stream)
        wait_for(lambda: server.application.slots.running == 1)
        engine: Any = next(iter(server.application.context.session._engines.values()))
        wait_for(lambda: engine.active == 1)
        connection.close()
        wait_for(lambda: engine.active == 0)
        wait_for(lambda: server.application.slots.running == 0)
        assert server.chat("x", model="quick").status == 200
        wait_for(lambda: [trace.status for _, trace in store.catalog.traces(channel="production")] == [499])
        page = server.get("/metrics").body.decode()
        assert 'status="499"' in page


def test_a_client_that_leaves_in_the_middle_of_a_stream(tmp_path: Path) -> None:
    with slow(tmp_path, 0.0, parallel=1) as (server, store):
        connection = open_request(server, stream=True, model="drip")
        assert b"200 OK" in connection.recv(4096)
        connection.close()
        wait_for(lambda: server.application.slots.running == 0, 5)
        wait_for(lambda: [trace.status for _, trace in store.catalog.traces()] == [499])


def test_a_client_that_leaves_the_queue_gives_up_its_place(tmp_path: Path) -> None:
    with held() as released, slow(tmp_path, 0, parallel=1, queue=1) as (server, _), ThreadPoolExecutor(2) as pool:
        first = pool.submit(server.chat, "first")
        wait_for(lambda: server.application.slots.running == 1)
        waiting = open_request(server, stream=False)
        wait_for(lambda: server.application.slots.waiting == 1)
        waiting.close()
        wait_for(lambda: server.application.slots.waiting == 0, 5)
        second = pool.submit(server.chat, "second")
        wait_for(lambda: server.application.slots.waiting == 1)
        released.set()
        assert (first.result().text, second.result().text) == ("first", "second")
        assert server.application.slots.running == 0


def test_a_model_that_dies_before_it_speaks_is_a_status_and_after_an_event(tmp_path: Path) -> None:
    store = Store(tmp_path)
    model = echo(fail="the engine's process ended", fail_after=3, fail_retryable=True)
    promote(store, release(store, model))
    with serving(make_context(store, [model])) as server:
        server.until()
        whole = server.chat("one two three four")
        assert whole.status == 503
        assert whole.error["code"] == "engine_error"
        assert whole.headers["retry-after"] == "1"
        streamed = server.chat("one two three four", stream=True)
        assert streamed.status == 200
        assert streamed.events[-1]["error"]["code"] == "engine_error"
        assert "[DONE]" not in streamed.events
        for reply in (whole, streamed):
            trace = store.catalog.trace(reply.headers["x-slipway-trace"])
            assert (trace.status, told(trace.error)) == (503, "the engine's process ended")
        assert server.chat("one").text == "one"


@pytest.mark.slow
def test_sigterm_drains(tmp_path: Path) -> None:
    spec = {"config": {"drain": 20.0, "parallel": 4}, "engine": {"delay": 2.0}}
    with child(tmp_path, **spec) as (process, server), ThreadPoolExecutor(2) as pool:
        server.until()
        running = [pool.submit(server.chat, "finish me"), pool.submit(server.chat, "and me", stream=True)]
        wait_for(lambda: "slipway_num_requests_running 2.0" in server.get("/metrics").body.decode())
        process.send_signal(signal.SIGTERM)
        assert server.until("/readyz", 503, 5).json["why"] == "the server is shutting down"
        assert server.get("/healthz").status == 200
        refused = server.chat("too late")
        assert refused.status == 503
        assert refused.error["code"] == "draining"
        assert [reply.result().text for reply in running] == ["finish me", "and me"]
        assert process.wait(20) == 0
        assert [trace.status for _, trace in Store(tmp_path).catalog.traces()] == [200, 200]


@pytest.mark.slow
def test_drain_ends_when_its_time_is_over(tmp_path: Path) -> None:
    spec = {"config": {"drain": 0.5}, "engine": {"delay": 60.0}}
    with child(tmp_path, **spec) as (process, server):
        server.until()
        outcome: list[Any] = []

        def ask() -> None:
            try:
                outcome.append(server.chat("never answered").status)
            except (OSError, http.client.HTTPException) as error:
                outcome.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        wait_for(lambda: "slipway_num_requests_running 1.0" in server.get("/metrics").body.decode())
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        thread.join(10)
        assert outcome == [503]
        assert [trace.status for _, trace in Store(tmp_path).catalog.traces()] == [503]


def test_a_second_signal_ends_what_runs_and_loses_no_trace(tmp_path: Path) -> None:
    spec = {"config": {"drain": 300.0}, "engine": {"delay": 60.0}}
    with child(tmp_path, **spec) as (process, server), ThreadPoolExecutor(1) as pool:
        server.until()
        running = pool.submit(server.chat, "never answered")
        wait_for(lambda: "slipway_num_requests_running 1.0" in server.get("/metrics").body.decode())
        process.send_signal(signal.SIGINT)
        server.until("/readyz", 503)
        process.send_signal(signal.SIGINT)
        assert running.result().status == 503
        assert process.wait(20) == 0
        assert [trace.status for _, trace in Store(tmp_path).catalog.traces()] == [503]


def test_what_is_ending_already_is_not_cancelled_again(tmp_path: Path) -> None:
    """Two cuts, the second while the trace of the first waits for a busy database."""
    with slow(tmp_path, 60.0) as (server, store), ThreadPoolExecutor(1) as pool:
        running = pool.submit(server.chat, "never answered")
        wait_for(lambda: "slipway_num_requests_running 1.0" in server.get("/metrics").body.decode())
        wait_for(lambda: server.application.in_flight == 1)  # the request for the metrics has ended, too
        [task] = server.application._running
        with sqlite3.connect(store.folder / "catalog.db", isolation_level=None) as other:
            other.execute("begin immediate")
            for _ in range(2):
                task.get_loop().call_soon_threadsafe(server.application.cut)
                time.sleep(0.1)
            other.execute("rollback")
        assert running.result().status == 503
        assert [trace.status for _, trace in store.catalog.traces()] == [503]


def test_why_a_request_failed_is_stored_in_no_language(tmp_path: Path) -> None:
    store = Store(tmp_path)
    set_language("zh")
    try:
        with serving(make_context(store, [echo(delay=5.0)], deadline=0.2)) as server:
            reply = server.chat("x", model="writer")
            assert reply.status == 504
            found = store.catalog.trace(reply.headers["x-slipway-trace"])
    finally:
        set_language(None)
    assert isinstance(found.error, Said)
    with speaking("en"):
        assert told(found.error) not in reply.error["message"]
    with speaking("zh"):
        assert told(found.error) in reply.error["message"]
