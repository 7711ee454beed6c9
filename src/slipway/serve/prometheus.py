"""What is counted and timed, under the names that Prometheus and vLLM users know. Knows no endpoint's meaning."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160)
FAST = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """One server's metrics. `model` labels are names that resolved, so a client cannot make new series."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        self._requests = Counter(
            "slipway_requests", "Requests by endpoint, model and status", ("endpoint", "model", "status"), registry=r
        )
        self._latency = Histogram(
            "slipway_e2e_request_latency_seconds", "Whole requests", ("model",), buckets=SECONDS, registry=r
        )
        self._first = Histogram(
            "slipway_time_to_first_token_seconds", "To the first text", ("model",), buckets=SECONDS, registry=r
        )
        self._prompt = Counter("slipway_prompt_tokens", "Tokens read", ("model",), registry=r)
        self._generated = Counter("slipway_generation_tokens", "Tokens made", ("model",), registry=r)
        self._cost = Counter("slipway_cost", "Cost of answers", ("model", "currency"), registry=r)
        self.overhead = Histogram(
            "slipway_overhead_seconds", "Slipway's own part of a request", buckets=FAST, registry=r
        )
        self.running = Gauge("slipway_num_requests_running", "Requests being answered", registry=r)
        self.waiting = Gauge("slipway_num_requests_waiting", "Requests in the queue", registry=r)
        self.commit = Histogram(
            "slipway_trace_commit_seconds", "One transaction of traces and feedback", buckets=FAST, registry=r
        )
        self.records = Counter("slipway_records", "Traces and feedback written, or failed to", ("result",), registry=r)
        self.free = Gauge("slipway_store_free_bytes", "Disk space left for traces", registry=r)
        self.feedback = Counter("slipway_feedback", "Feedback received", ("thumb",), registry=r)
        self.refused = Counter(
            "slipway_release_refused", "Releases that were not put into service", ("channel",), registry=r
        )
        self.release = Gauge("slipway_release_info", "1 for the release in service", ("channel", "release"), registry=r)
        self.auth_failures = Counter(
            "slipway_auth_failures", "Requests without a valid key, by reason", ("reason",), registry=r
        )
        self._spans = Counter(
            "slipway_telemetry_spans", "Spans for the collector, by what became of them", ("result",), registry=r
        )
        self._begin_at_zero()
        self._children: dict[tuple[str, ...], Counter | Histogram] = {}

    def _begin_at_zero(self) -> None:
        """What is known to be countable is there from the start: of a counter that appears as 1 no increase is seen."""
        for counter, known in (
            (self.records, ("written", "failed")),
            (self.feedback, ("up", "down", "")),
            (self.auth_failures, ("missing", "invalid", "throttled")),
            (self._spans, ("sent", "dropped")),
        ):
            for value in known:
                counter.labels(value)

    def request(self, endpoint: str, model: str, status: int, seconds: float) -> None:
        """One finished request."""
        self._child(self._requests, endpoint, model, str(status)).inc()
        self._child(self._latency, model).observe(seconds)

    def answer(self, model: str, prompt_tokens: int, made_tokens: int, cost: float, currency: str) -> None:
        """What one answer took."""
        self._child(self._prompt, model).inc(prompt_tokens)
        self._child(self._generated, model).inc(made_tokens)
        if cost:
            self._child(self._cost, model, currency).inc(cost)

    def first_token(self, model: str, seconds: float) -> None:
        """Seconds from the request to its first text."""
        self._child(self._first, model).observe(seconds)

    def sent(self, result: str, spans: int) -> None:
        """What became of spans on their way to a collector."""
        self._spans.labels(result).inc(spans)

    def _child(self, parent: Counter | Histogram, *labels: str) -> Any:
        key = (str(id(parent)), *labels)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = parent.labels(*labels)
        return child

    def page(self) -> bytes:
        """The text that Prometheus scrapes."""
        return generate_latest(self.registry)
