"""An OpenTelemetry collector for tests: it reads what it is sent with the protocol's own classes, and answers as told."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

trace_service = pytest.importorskip(
    "opentelemetry.proto.collector.trace.v1.trace_service_pb2", reason="opentelemetry-proto is not installed"
)
metrics_service = pytest.importorskip("opentelemetry.proto.collector.metrics.v1.metrics_service_pb2")


def value(any_value: Any) -> Any:
    kind = any_value.WhichOneof("value")
    found = getattr(any_value, kind)
    return [value(one) for one in found.values] if kind == "array_value" else found


def pairs(attributes: Any) -> dict[str, Any]:
    return {one.key: value(one.value) for one in attributes}


class Span:
    """A span as it was sent."""

    def __init__(self, sent: Any) -> None:
        self.name, self.kind = sent.name, sent.kind
        self.id, self.parent, self.trace = sent.span_id.hex(), sent.parent_span_id.hex(), sent.trace_id.hex()
        self.started, self.ended = sent.start_time_unix_nano, sent.end_time_unix_nano
        self.failed = sent.status.code == 2
        self.attributes = pairs(sent.attributes)


class Collector:
    """`answer(path, n)` gives status, headers and body for the n-th message to a path; by default all are taken."""

    def __init__(self) -> None:
        self.answer: Callable[[str, int], tuple[int, dict[str, str], bytes]] = lambda path, n: (200, {}, b"")
        self.headers: list[dict[str, str]] = []
        self.requests: list[tuple[str, float]] = []  # path, time
        self.messages: dict[str, list[Any]] = {"/v1/traces": [], "/v1/metrics": []}  # those that were taken
        self.address = ""

    @property
    def spans(self) -> list[Span]:
        return [
            Span(span)
            for message in self.messages["/v1/traces"]
            for resource in message.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]

    @property
    def metrics(self) -> dict[str, Any]:
        """The newest of each name."""
        return {
            metric.name: metric
            for message in self.messages["/v1/metrics"]
            for resource in message.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def until(self, there: Callable[[], Any], seconds: float = 20.0) -> Any:
        end = time.monotonic() + seconds
        while not (found := there()):
            assert time.monotonic() < end, f"it never came; there were {[span.name for span in self.spans]}"
            time.sleep(0.02)
        return found

    def take(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        self.requests.append((path, time.monotonic()))
        self.headers.append(headers)
        status, more, said = self.answer(path, sum(asked == path for asked, _ in self.requests))
        if status == 200:
            service = trace_service if path == "/v1/traces" else metrics_service
            name = "ExportTraceServiceRequest" if path == "/v1/traces" else "ExportMetricsServiceRequest"
            self.messages[path].append(getattr(service, name).FromString(body))
        return status, more, said


@contextmanager
def collecting(port: int = 0) -> Iterator[Collector]:
    found = Collector()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {key.lower(): text for key, text in self.headers.items()}
            status, more, said = found.take(self.path, headers, body)
            self.send_response(status)
            for key, text in {**more, "content-length": str(len(said))}.items():
                self.send_header(key, text)
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    found.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
