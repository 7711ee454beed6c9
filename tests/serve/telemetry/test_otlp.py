"""What a collector is sent: spans, attributes and metrics by the conventions, decoded with the protocol's own classes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collector import Collector, collecting, pairs
from served import PROJECT, Running, echo, make_context, promote, release, serving
from slipway.core.candidate import Retrieval
from slipway.core.material import Chunk, Dataset
from slipway.store.store import Store

TEXT = "The harbour was built in 1840. The harbour is nine metres deep. Its walls are of stone."
QUESTION = "How deep is the harbour, asks Zacharias Quintilius?"
PARENT = f"00-{'ab' * 16}-{'cd' * 8}-01"


def shop(folder: Path) -> Store:
    """A project whose release retrieves, puts in order, and asks a model."""
    store = Store(folder)
    chunk = Chunk(source="harbour.md", path=("Harbour",), start=0, end=len(TEXT), text=TEXT, language="en")
    dataset = Dataset(name="chunks", kind="chunks", items=store.blobs.put_lines([chunk]), size=1)
    chunks = store.catalog.put("dataset", "chunks", dataset)
    retrieve = Retrieval(chunks=chunks, embedder=None, mode="lexical", rerank=3)
    prompt = "{% for passage in passages %}{{ passage.text }}{% endfor %}\n{{ question }}"
    promote(store, release(store, echo(), prompt, retrieve=retrieve))
    return store


def sending(store: Store, collector: Collector, **more: Any) -> Any:
    telemetry = {"endpoint": collector.address, "every": 0.1, **more.pop("telemetry", {})}
    return serving(make_context(store, [echo()], telemetry=telemetry, **more))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Collector]]:
    pytest.importorskip("tantivy")
    with collecting() as collector, sending(shop(tmp_path_factory.mktemp("state")), collector) as running:
        running.until()
        yield running, collector


def test_a_request_is_a_trace_with_its_parts_under_the_caller_span(both: tuple[Running, Collector]) -> None:
    server, collector = both
    reply = server.chat(QUESTION, headers={"traceparent": PARENT})
    assert reply.status == 200
    assert reply.headers["x-slipway-trace"] == "ab" * 16
    spans = collector.until(lambda: [span for span in collector.spans if span.trace == "ab" * 16])
    by_name = {span.name: span for span in spans}
    assert set(by_name) == {"POST /v1/chat/completions", "retrieval", "rerank", "chat writer"}
    own, retrieval = by_name["POST /v1/chat/completions"], by_name["retrieval"]
    rerank, chat = by_name["rerank"], by_name["chat writer"]
    assert own.parent == "cd" * 8
    assert (retrieval.parent, chat.parent, rerank.parent) == (own.id, own.id, retrieval.id)
    assert (own.kind, retrieval.kind, chat.kind) == (2, 1, 3)  # SERVER, INTERNAL, CLIENT
    assert own.started <= retrieval.started <= rerank.started <= rerank.ended <= retrieval.ended
    assert retrieval.ended <= chat.started <= chat.ended <= own.ended
    assert not any(span.failed for span in spans)


def test_attributes_have_the_names_of_the_conventions(both: tuple[Running, Collector]) -> None:
    server, collector = both
    trace = server.chat(QUESTION).headers["x-slipway-trace"]
    spans = collector.until(lambda: {span.name: span for span in collector.spans if span.trace == trace})
    own, chat = spans["POST /v1/chat/completions"].attributes, spans["chat writer"].attributes
    assert own["http.response.status_code"] == 200
    assert own["http.route"] == "/v1/chat/completions"
    assert own["slipway.asked"] == PROJECT
    assert len(own["slipway.release"]) == 64
    assert chat["gen_ai.operation.name"] == "chat"
    assert chat["gen_ai.provider.name"] == "echo"
    assert chat["gen_ai.request.model"] == "writer"
    assert chat["gen_ai.request.max_tokens"] == 64
    assert chat["gen_ai.response.finish_reasons"] == ["stop"]
    assert chat["gen_ai.usage.input_tokens"] > 10
    assert chat["gen_ai.usage.output_tokens"] > 0
    assert spans["retrieval"].attributes["gen_ai.operation.name"] == "retrieval"
    assert spans["retrieval"].attributes["gen_ai.retrieval.top_k"] == 3


def test_no_text_is_sent_by_default(both: tuple[Running, Collector]) -> None:
    server, collector = both
    trace = server.chat(QUESTION, stream=True).headers["x-slipway-trace"]
    collector.until(lambda: [span for span in collector.spans if span.trace == trace])
    sent = b"".join(m.SerializeToString() for messages in collector.messages.values() for m in messages)
    for text in (b"Quintilius", b"harbour is nine", b"harbour.md"):
        assert text not in sent


def test_a_raw_model_a_stream_and_an_embedding_are_followed_too(both: tuple[Running, Collector]) -> None:
    server, collector = both
    streamed = server.chat("hello", "writer", stream=True).headers["x-slipway-trace"]
    embedded = server.post("/v1/embeddings", {"model": "writer", "input": "hello"}).headers["x-slipway-trace"]

    def of(trace: str) -> dict[str, Any]:
        return collector.until(lambda: {span.name: span for span in collector.spans if span.trace == trace})

    chat = of(streamed)["chat writer"].attributes
    assert chat["gen_ai.request.stream"] is True
    assert chat["gen_ai.response.time_to_first_chunk"] > 0
    assert "embeddings writer" in of(embedded)


def test_metrics_count_every_request_in_the_advised_buckets(both: tuple[Running, Collector]) -> None:
    server, collector = both
    assert server.chat("what do I cost?").status == 200

    def found() -> Any:
        metrics = collector.metrics
        return metrics if "gen_ai.server.request.duration" in metrics else None

    metrics = collector.until(found)
    request = metrics["gen_ai.server.request.duration"].histogram
    assert request.aggregation_temporality == 2
    point = next(p for p in request.data_points if pairs(p.attributes)["gen_ai.request.model"] == PROJECT)
    assert sum(point.bucket_counts) == point.count >= 1
    assert list(point.explicit_bounds)[:3] == [0.01, 0.02, 0.04]
    assert len(point.bucket_counts) == len(point.explicit_bounds) + 1
    tokens = metrics["gen_ai.client.token.usage"].histogram.data_points
    assert {pairs(p.attributes)["gen_ai.token.type"] for p in tokens} == {"input", "output"}
    assert metrics["gen_ai.client.operation.duration"].unit == "s"
    assert metrics["slipway.telemetry.dropped_spans"].sum.is_monotonic


def test_a_request_that_fails_says_so(both: tuple[Running, Collector]) -> None:
    server, collector = both
    reply = server.chat("x", "no-such-model")
    assert reply.status == 404
    spans = collector.until(lambda: [s for s in collector.spans if s.trace == reply.headers["x-slipway-trace"]])
    assert spans[0].attributes["http.response.status_code"] == 404
    assert not spans[0].failed  # the client's mistake is no error of the server (conventions for HTTP)


def test_who_asks_decides_whether_it_is_recorded(tmp_path: Path) -> None:
    store = Store(tmp_path)
    promote(store, release(store, echo()))
    with collecting() as collector, sending(store, collector, telemetry={"sample": 0.0}) as server:
        server.until()
        server.chat("not sampled", headers={"traceparent": f"00-{'11' * 16}-{'22' * 8}-00"})
        server.chat("not sampled either")
        server.chat("sampled", headers={"traceparent": PARENT})
        collector.until(lambda: collector.spans)
        assert {span.trace for span in collector.spans} == {"ab" * 16}
        counts = collector.until(
            lambda: (
                (m := collector.metrics.get("gen_ai.server.request.duration"))
                and [p.count for p in m.histogram.data_points if p.count == 3]
            )
        )
        assert counts == [3]  # metrics tell of all


def test_bodies_go_where_the_project_says_so_and_are_redacted(tmp_path: Path) -> None:
    store = Store(tmp_path)
    promote(store, release(store, echo()))
    telemetry = {"bodies": ["input", "answer"]}
    with collecting() as collector, sending(store, collector, telemetry=telemetry, redact="mask") as server:
        server.until()
        server.chat("write to zacharias@example.org about the keel")
        span = collector.until(lambda: collector.named("POST /v1/chat/completions"))[0]
    asked = json.loads(span.attributes["gen_ai.input.messages"])
    assert asked[0]["role"] == "user"
    assert "the keel" in asked[0]["parts"][0]["content"]
    assert json.loads(span.attributes["gen_ai.output.messages"])[0]["parts"][0]["content"]
    assert "zacharias@example.org" not in json.dumps(span.attributes)
