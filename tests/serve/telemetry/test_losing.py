"""Many requests at once, collectors that are slow, gone for a while or hang at the end: each span comes once, or is
counted as dropped.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from collector import collecting, pairs, trace_service
from slipway.core.answer import Answer
from slipway.core.candidate import ModelPin
from slipway.core.message import GenerateRequest, Usage
from slipway.core.spans import Shared, following, span, traceparent
from slipway.core.trace import Trace
from slipway.project.telemetry import TelemetryConfig
from slipway.runtime.conventions import generation
from slipway.serve.connection.call import Call
from slipway.serve.telemetry import otlp, telemetry
from slipway.serve.telemetry.answered import answered
from slipway.serve.telemetry.telemetry import Telemetry

PIN = ModelPin(name="writer", engine="openai", source="", options={"base_url": "http://127.0.0.1:8000/v1"})


@contextmanager
def telling(endpoint: str, **config: Any) -> Iterator[tuple[Telemetry, Counter[str]]]:
    """Telemetry without a server before it, and what became of spans."""
    became: Counter[str] = Counter()
    config = {"endpoint": endpoint, "every": 0.1, **config}
    found = Telemetry(
        "shop",
        TelemetryConfig.model_validate(config),
        {},
        lambda result, spans: became.update({result: spans}),
        lambda trace: trace,
    )
    found.start()
    try:
        yield found, became
    finally:
        found.close()


async def _nothing(*_: Any) -> Any:
    raise AssertionError


def answer(to: Telemetry, tokens: Any = 7, status: int = 200) -> Call:
    """One request with one generation: two spans."""
    call = Call({"method": "POST", "path": "/v1/chat/completions", "headers": []}, _nothing, _nothing)
    call.endpoint, call.model, call.release, call.status = call.path, "shop", "a" * 64, status
    followed = to.begin(call)
    with following(followed), generation(PIN, GenerateRequest()) as part, part.inside():
        assert traceparent().split("-")[1:3] == [call.trace, part.id]
        part.made("stop", Usage(prompt_tokens=3, completion_tokens=tokens))
    said = Answer(text="x", raw="x", usage=Usage(completion_tokens=2), seconds=0.5, first_token_seconds=0.25)
    call.written = Trace(
        id=call.trace, at="", endpoint=call.endpoint, channel="", release=call.release, status=status, request={},
        answer=said,
    )  # fmt: skip
    to.finish(call, followed)
    return call


def test_each_span_of_a_burst_comes_once() -> None:
    with collecting() as collector:
        with telling(collector.address, queue=4000) as (to, became):
            calls = [answer(to) for _ in range(1200)]
            collector.until(lambda: to.sent == 2400)
        spans = collector.spans
        assert became == {"sent": 2400}
        assert len({span.id for span in spans}) == len(spans) == 2400
        assert {span.trace for span in spans} == {call.trace for call in calls}
        request = collector.metrics["gen_ai.server.request.duration"].histogram.data_points
        assert [point.count for point in request] == [1200]


@pytest.mark.slow
@pytest.mark.parametrize("queue", [1, 2048])
def test_what_of_a_burst_finds_no_room_is_counted_and_measured(queue: int) -> None:
    over = threading.Event()

    def waiting(path: str, n: int) -> tuple[int, dict[str, str], bytes]:
        over.wait(60)
        return 200, {}, b""

    with collecting() as collector:
        collector.answer = waiting
        with telling(collector.address, queue=queue) as (to, became):
            for _ in range(10_000):
                answer(to)
            over.set()
            collector.until(lambda: to.sent + to.dropped == 20_000)
        sent = [span.id for span in collector.spans]
        assert queue * 2 <= became["sent"] == len(sent) == len(set(sent)) <= (queue + telemetry.BATCH) * 2
        assert became["sent"] + became["dropped"] == 20_000
        request = collector.metrics["gen_ai.server.request.duration"].histogram.data_points
        assert [point.count for point in request] == [10_000]  # metrics tell of all
        assert collector.metrics["slipway.telemetry.dropped_spans"].sum.data_points[0].as_int == became["dropped"]


def test_a_collector_that_was_gone_gets_what_waited_and_what_comes_after() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with telling(f"http://127.0.0.1:{port}", queue=50) as (to, became):
        for _ in range(120):
            answer(to)
            if to.trouble:
                break
            time.sleep(0.02)
        while to.dropped < 40:
            answer(to)
        before = to.dropped
        with collecting(port) as collector:
            collector.until(lambda: to.sent)
            last = answer(to).trace
            collector.until(lambda: any(span.trace == last for span in collector.spans))
            assert became["dropped"] == before
            assert became["sent"] == len({span.id for span in collector.spans})
            assert became["sent"] >= 100


@pytest.mark.slow
def test_a_slow_collector_loses_nothing_that_has_room() -> None:
    def slow(path: str, n: int) -> tuple[int, dict[str, str], bytes]:
        time.sleep(0.3)
        return 200, {}, b""

    with collecting() as collector:
        collector.answer = slow
        with telling(collector.address, queue=4000) as (to, became):
            began = time.monotonic()
            for _ in range(2000):
                answer(to)
            collector.until(lambda: to.sent == 4000)
        assert became == {"sent": 4000}
        assert len({span.id for span in collector.spans}) == 4000
        assert time.monotonic() - began > 4 * 0.3 - 0.1  # four messages at least


@pytest.mark.slow
def test_what_is_left_when_a_collector_hangs_at_the_end_is_counted_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hung: list[bool] = []

    def hang(path: str, n: int) -> tuple[int, dict[str, str], bytes]:
        if n > 1:
            hung.append(True)
            time.sleep(8.0)
        return 200, {}, b""

    with collecting() as collector, caplog.at_level(logging.WARNING, "slipway.serve"):
        with telling(collector.address) as (to, became):
            answer(to)
            collector.until(lambda: to.sent == 2)
            collector.answer = hang  # the connection is there already, with its own, longer time
            answer(to)
            collector.until(lambda: hung)
            answer(to)
            began = time.monotonic()
        assert time.monotonic() - began < 2 * telemetry.LAST + 2
        assert became == {"sent": 2, "dropped": 4}
        left = [record.__dict__["spans"] for record in caplog.records if "left at the end" in record.getMessage()]
        assert left == [4]


def test_what_a_collector_refuses_at_the_end_is_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    with collecting() as collector, caplog.at_level(logging.WARNING, "slipway.serve"):
        collector.answer = lambda path, n: (503, {"retry-after": "60"}, b"")
        with telling(collector.address, every=600) as (to, became):
            for _ in range(3):
                answer(to)
    assert became == {"dropped": 6}
    assert [record.__dict__["spans"] for record in caplog.records if "left" in record.getMessage()] == [6]


def test_one_request_that_cannot_be_told_takes_no_other_along(caplog: pytest.LogCaptureFixture) -> None:
    with collecting() as collector:
        with telling(collector.address, every=600) as (to, became):
            answer(to)
            answer(to, tokens=None)  # an engine of somebody else's, which counts nothing
            answer(to, tokens=2**80)
            last = answer(to).trace
        assert became == {"sent": 6, "dropped": 2}
        spans = collector.spans
        assert last in {span.trace for span in spans}
        assert max(one.attributes.get("gen_ai.usage.output_tokens", 0) for one in spans) == 2**63 - 1


def test_requests_alike_but_for_one_thing_are_told_apart() -> None:
    """What is encoded once must not be taken for what differs from it in one attribute, or in a kind of number."""
    shares = [Shared({"n": 1}), Shared({"n": 1.0}), Shared({"n": True}), Shared({"n": "1"}), None]
    to = Telemetry("shop", TelemetryConfig(), {}, lambda result, spans: None, lambda trace: trace)
    seen: list[Any] = []
    for name in ("a", "b"):
        for calls in (False, True):
            for error in (None, ValueError, TypeError):
                for one in shares:
                    call = Call({"method": "POST", "path": "/generate", "headers": []}, _nothing, _nothing)
                    call.endpoint, call.status = call.path, 500 if error else 200
                    followed = to.begin(call)
                    with following(followed):
                        try:
                            with span(name, calls=calls) as part:
                                part.shares = one
                                if error:
                                    raise error
                        except (ValueError, TypeError):
                            pass
                    made = otlp.spans(answered(call, followed, bodies=False), {})
                    message = trace_service.ExportTraceServiceRequest.FromString(otlp.traces(b"", [made]))
                    own_, part_ = message.resource_spans[0].scope_spans[0].spans
                    found = pairs(part_.attributes)
                    expected = {**(one.of if one else {}), **({"error.type": error.__name__} if error else {})}
                    assert (part_.name, part_.kind, part_.status.code) == (name, 3 if calls else 1, 2 if error else 0)
                    assert found == expected
                    assert [type(found.get("n"))] == [type(expected.get("n"))]
                    assert own_.status.code == part_.status.code
                    seen.append(part_.span_id)
    assert len(set(seen)) == len(seen)
