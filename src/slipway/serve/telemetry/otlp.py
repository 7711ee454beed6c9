"""Spans and histograms as the messages of OTLP 1.x (opentelemetry-proto: trace/v1, metrics/v1), encoded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from time import time_ns

from slipway import __version__
from slipway.core.spans import Followed, Span, Value
from slipway.serve.telemetry import wire
from slipway.serve.telemetry.measures import Histogram, Measures

_INTERNAL, _SERVER, _CLIENT = 1, 2, 3
_ERROR = wire.message(15, wire.number(3, 2))
_CUMULATIVE = 2
_SCOPE = wire.message(1, wire.text(1, "slipway") + wire.text(2, __version__))


def resource(project: str, instance: str) -> bytes:
    """Who sends: `service.name` is the project's."""
    found: dict[str, Value] = {
        "service.name": project,
        "service.namespace": "slipway",
        "service.version": __version__,
        "service.instance.id": instance,
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "slipway",
        "telemetry.sdk.version": __version__,
    }
    return wire.message(1, wire.attributes(1, found))


def traces(sender: bytes, followed: Iterable[tuple[Followed, Mapping[str, Value]]]) -> bytes:
    """`ExportTraceServiceRequest`; with each request what its own span says besides."""
    spans: list[bytes] = []
    for one, more in followed:
        trace = wire.message(1, bytes.fromhex(one.trace))
        spans.append(wire.message(2, trace + _span(one.own, _SERVER, more)))
        spans += [wire.message(2, trace + _span(part, _CLIENT if part.calls else _INTERNAL)) for part in one.spans]
    return wire.message(1, sender + wire.message(2, _SCOPE + b"".join(spans)))


def _span(span: Span, kind: int, more: Mapping[str, Value] | None = None) -> bytes:
    attributes = span.attributes
    if more or span.error:
        attributes = {**attributes, **(more or {}), **({"error.type": span.error} if span.error else {})}
    return b"".join(
        (
            wire.message(2, bytes.fromhex(span.id)),
            wire.message(4, bytes.fromhex(span.parent)) if span.parent else b"",
            wire.text(5, span.name),
            wire.number(6, kind),
            wire.fixed(7, span.started),
            wire.fixed(8, span.ended),
            wire.attributes(9, attributes),
            _ERROR if span.error else b"",
        )
    )


def metrics(sender: bytes, measures: Measures, counted: Mapping[str, int]) -> bytes:
    """`ExportMetricsServiceRequest`: all that was measured since the start. `counted`: counters of our own."""
    now, began = time_ns(), measures.request.began
    made = [wire.message(2, _histogram(one, now)) for one in measures]
    made += [wire.message(2, _counter(name, value, began, now)) for name, value in counted.items()]
    return wire.message(1, sender + wire.message(2, _SCOPE + b"".join(filter(None, made))))


def _histogram(one: Histogram, now: int) -> bytes:
    points = b"".join(
        wire.message(
            1,
            b"".join(
                (
                    wire.attributes(9, dict(named)),
                    wire.fixed(2, one.began),
                    wire.fixed(3, now),
                    wire.fixed(4, sum(point.counts)),
                    wire.double(5, point.sum),
                    wire.packed(6, point.counts, "Q"),
                    wire.packed(7, one.bounds, "d"),
                    wire.double(11, point.least),
                    wire.double(12, point.most),
                )
            ),
        )
        for named, point in one.points()
    )
    head = wire.text(1, one.name) + wire.text(2, one.about) + wire.text(3, one.unit)
    return head + wire.message(9, points + wire.number(2, _CUMULATIVE))


def _counter(name: str, value: int, began: int, now: int) -> bytes:
    point = wire.fixed(2, began) + wire.fixed(3, now) + wire.fixed(6, value)
    total = wire.message(1, point) + wire.number(2, _CUMULATIVE) + wire.number(3, 1)
    return wire.text(1, name) + wire.text(3, "{span}") + wire.message(7, total)
