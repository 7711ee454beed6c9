"""Sending never holds up or fails a request, whatever the collector does; what is lost is counted."""

from __future__ import annotations

import http.server
import json
import re
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from collector import collecting, trace_service
from served import Running, echo, make_context, promote, release, serving
from slipway.core.candidate import ModelPin
from slipway.core.spans import Followed, following, parent_of, span, traceparent
from slipway.errors import ConfigError, MissingPrerequisite
from slipway.serve.telemetry import wire
from slipway.serve.telemetry.headers import read_headers
from slipway.serve.telemetry.measures import MOST, OVERFLOW, Histogram
from slipway.store.store import Store


def sending(folder: Path, endpoint: str, headers: dict[str, str] | None = None, **telemetry: Any) -> Any:
    store = Store(folder)
    promote(store, release(store, echo()))
    context = make_context(store, [echo()], telemetry={"endpoint": endpoint, "every": 0.1, **telemetry})
    object.__setattr__(context, "telemetry_headers", headers or {})
    return serving(context)


def counted(server: Running, result: str) -> int:
    found = re.search(
        rf'slipway_telemetry_spans_total{{result="{result}"}} ([0-9.]+)', server.get("/metrics").body.decode()
    )
    return int(float(found[1])) if found else 0


def until(there: Any, seconds: float = 20.0) -> Any:
    end = time.monotonic() + seconds
    while not (found := there()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


def test_a_collector_that_is_down_at_the_start_gets_it_later(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with sending(tmp_path, f"http://127.0.0.1:{port}") as server:
        server.until()
        assert server.chat("one").status == 200
        until(lambda: server.application.telemetry.trouble)
        assert server.chat("two").status == 200
        with collecting(port) as collector:
            collector.until(lambda: len(collector.named("POST /v1/chat/completions")) == 2)
        assert counted(server, "dropped") == 0


def test_a_queue_shorter_than_a_message_is_sent_when_it_is_full(tmp_path: Path) -> None:
    with collecting() as collector, sending(tmp_path, collector.address, queue=3, every=600) as server:
        server.until()
        for n in range(3):
            assert server.chat(f"question {n}").status == 200
        collector.until(lambda: collector.named("POST /v1/chat/completions"), 10)


@pytest.mark.slow
def test_a_collector_that_never_answers_holds_up_nothing_and_what_does_not_fit_is_counted(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        with sending(tmp_path, f"http://127.0.0.1:{deaf.getsockname()[1]}", queue=3) as server:
            server.until()
            replies = [server.chat(f"question {n}") for n in range(9)]
            assert {reply.status for reply in replies} == {200}
            # Three wait, and up to three may be on their way; each request has its own span and the model's.
            assert until(lambda: counted(server, "dropped") >= 3 * 2)
            assert counted(server, "dropped") in range(3 * 2, 6 * 2 + 1, 2)
            began = time.monotonic()
        assert time.monotonic() - began < 15


@pytest.mark.slow
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_waited_for_and_nothing_is_lost(tmp_path: Path, status: int) -> None:
    with collecting() as collector:
        collector.answer = lambda path, n: (status, {"retry-after": "1"}, b"") if n == 1 else (200, {}, b"")
        with sending(tmp_path, collector.address) as server:
            server.until()
            server.chat("patience")
            collector.until(lambda: collector.spans)
            first, second = [at for path, at in collector.requests if path == "/v1/traces"][:2]
            assert second - first >= 1.0
            assert counted(server, "dropped") == 0


def test_what_is_refused_for_good_is_dropped_and_counted_and_the_next_is_sent(tmp_path: Path) -> None:
    with collecting() as collector:
        collector.answer = lambda path, n: (400, {}, b"") if n == 1 and path == "/v1/traces" else (200, {}, b"")
        with sending(tmp_path, collector.address) as server:
            server.until()
            server.chat("refused")
            until(lambda: counted(server, "dropped") == 2)
            trace = server.chat("taken").headers["x-slipway-trace"]
            collector.until(lambda: collector.spans)
            assert {span.trace for span in collector.spans} == {trace}


def test_spans_that_a_collector_left_out_are_counted(tmp_path: Path) -> None:
    partial = trace_service.ExportTraceServiceResponse()
    partial.partial_success.rejected_spans = 1
    partial.partial_success.error_message = "no"
    with collecting() as collector:
        collector.answer = lambda path, n: (200, {}, partial.SerializeToString() if path == "/v1/traces" else b"")
        with sending(tmp_path, collector.address) as server:
            server.until()
            server.chat("half of it")
            until(lambda: counted(server, "dropped") == 1)
            assert counted(server, "sent") == 1


def test_what_is_left_is_sent_when_the_server_ends(tmp_path: Path) -> None:
    with collecting() as collector:
        with sending(tmp_path, collector.address, every=3600.0) as server:
            server.until()
            server.chat("just before the end")
            assert not collector.spans
        assert collector.named("POST /v1/chat/completions")


def test_headers_come_from_the_environment_and_are_in_no_message(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COLLECTOR_HEADERS", "authorization=Bearer%20s3cret-token-0815, x-scope = a")
    found = read_headers("COLLECTOR_HEADERS")
    assert found == {"authorization": "Bearer s3cret-token-0815", "x-scope": "a"}
    with collecting() as collector, sending(tmp_path, collector.address, found) as server:
        server.until()
        server.chat("s3cret-token-0815")
        collector.until(lambda: collector.spans)
        assert collector.headers[0]["authorization"] == "Bearer s3cret-token-0815"
        assert collector.headers[0]["content-type"] == "application/x-protobuf"
    for wrong in ("no equals sign", "name=a\x01b", "na me=x", "x=%0d%0ay"):
        monkeypatch.setenv("COLLECTOR_HEADERS", wrong)
        with pytest.raises(ConfigError) as caught:
            read_headers("COLLECTOR_HEADERS")
        assert wrong not in str(caught.value)
    monkeypatch.delenv("COLLECTOR_HEADERS")
    with pytest.raises(MissingPrerequisite, match="COLLECTOR_HEADERS"):
        read_headers("COLLECTOR_HEADERS")


class Upstream(http.server.BaseHTTPRequestHandler):
    """An OpenAI-compatible server that keeps the headers it was sent."""

    seen: list[dict[str, str]] = []  # noqa: RUF012

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.seen.append({key.lower(): text for key, text in self.headers.items()})
        said = {"id": "x", "object": "chat.completion", "choices": [{"index": 0, "finish_reason": "stop",
                "message": {"role": "assistant", "content": "Hi."}}], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}  # fmt: skip
        body = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.mark.parametrize("model", ["remote", "docs-assistant"])
def test_the_server_behind_is_told_whose_part_it_is(tmp_path: Path, model: str) -> None:
    Upstream.seen.clear()
    behind = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=behind.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    options = {"base_url": f"http://127.0.0.1:{behind.server_port}/v1", "model": "m", "retries": 0}
    pin = ModelPin(name="remote", engine="openai", source="", options=options)
    store = Store(tmp_path)
    promote(store, release(store, pin))
    with collecting() as collector:
        context = make_context(store, [pin], telemetry={"endpoint": collector.address, "every": 0.1})
        with serving(context) as server:
            server.until()
            assert server.chat("hi", model, headers={"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}).status == 200
            chat = collector.until(lambda: collector.named("chat m"))[0]
    behind.shutdown()
    behind.server_close()
    assert Upstream.seen[-1]["traceparent"] == f"00-{'ab' * 16}-{chat.id}-01"
    assert chat.attributes["server.address"] == "127.0.0.1"
    assert chat.attributes["gen_ai.provider.name"] == "openai"


def test_without_a_collector_nothing_is_followed_or_passed_on(tmp_path: Path) -> None:
    store = Store(tmp_path)
    promote(store, release(store, echo()))
    with serving(make_context(store, [echo()])) as server:
        server.until()
        assert server.chat("hi").status == 200
        assert server.application.telemetry is None
    assert traceparent() == ""


@pytest.mark.parametrize(
    "header",
    ["", "00", f"00-{'0' * 32}-{'cd' * 8}-01", f"00-{'ab' * 16}-{'0' * 16}-01", f"ff-{'ab' * 16}-{'cd' * 8}-01",
     f"00-{'AB' * 16}-{'cd' * 8}-01", f"00-{'ab' * 16}-{'cd' * 8}-01-more", f"00-{'ab' * 16}-{'cd' * 8}-01\n"],
)  # fmt: skip
def test_a_malformed_traceparent_is_as_good_as_none(header: str) -> None:
    assert parent_of(header) is None


def test_a_traceparent_of_a_later_version_is_read() -> None:
    found = parent_of(f"01-{'ab' * 16}-{'cd' * 8}-03-more")
    assert found is not None
    assert (found.trace, found.span, found.sampled) == ("ab" * 16, "cd" * 8, True)


def test_parts_are_timed_where_they_began_and_an_error_is_named() -> None:
    followed = Followed("ab" * 16, ago=1.0)
    with following(followed):
        with span("outer") as outer, outer.inside(), pytest.raises(ValueError, match="no"), span("inner"):
            raise ValueError("no")
        with span("after"):
            pass
    inner, outer_, after = followed.spans
    assert (inner.parent, outer_.parent, after.parent) == (outer_.id, followed.id, followed.id)
    assert inner.error == "ValueError"
    assert not outer_.error
    assert 0.9e9 < outer_.started - followed.started < 30e9


def test_attributes_beyond_a_bound_share_one_place() -> None:
    one = Histogram("x", "s", "", (1.0,))
    for n in range(MOST + 20):
        one.record(1.0, (("model", str(n)),))
    points = dict(one.points())
    assert len(points) == MOST + 1
    assert points[OVERFLOW].counts == [20, 0]  # a bucket ends with its bound, included


@pytest.mark.parametrize("answer", [b"", b"\xff" * 30, b"\x0a\xff\xff\xff\xff\x7f", b"\x0a\x02\x08\x07", b"\x0b"])
def test_whatever_a_collector_answers_is_read_without_harm(answer: bytes) -> None:
    assert wire.rejected(answer) == (7 if answer == b"\x0a\x02\x08\x07" else 0)


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, 2**31, 2**63 - 1, -1, -(2**63)])
def test_numbers_are_written_as_the_protocol_reads_them(number: int) -> None:
    sent = wire.message(1, wire.message(2, wire.message(2, wire.attributes(9, {"n": number, "t": "a\ud800b"}))))
    read = trace_service.ExportTraceServiceRequest.FromString(sent).resource_spans[0].scope_spans[0].spans[0]
    assert read.attributes[0].value.int_value == number
    assert read.attributes[1].value.string_value == "a?b"
