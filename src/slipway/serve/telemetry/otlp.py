"""Spans and histograms as the messages of OTLP 1.x (opentelemetry-proto: trace/v1, metrics/v1), encoded."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from functools import lru_cache
from time import time_ns

from slipway import __version__
from slipway.core.spans import Shared, Value, span
from slipway.serve.telemetry import wire
from slipway.serve.telemetry.answered import Answered, own
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


def traces(sender: bytes, requests: Iterable[bytes]) -> bytes:
    """`ExportTraceServiceRequest`, of requests as `spans` has them."""
    return wire.message(1, sender + wire.message(2, _SCOPE + b"".join(requests)))


def spans(one: Answered, more: Mapping[str, Value]) -> bytes:
    """A request's own span and its parts; `more`: what its own says besides."""
    followed = one.followed
    trace = bytes.fromhex(followed.trace)
    shares, found = own(one)
    made = wire.message(
        2,
        _ids(trace, followed.id, followed.parent, followed.epoch + followed.started, followed.epoch + one.ended)
        + _alike(f"{one.method} {one.endpoint}", _SERVER, str(one.status) if one.status >= 500 else "", shares)
        + wire.attributes(9, {**found, **more} if more else found),
    )
    for part in followed.spans:
        made += wire.message(2, _part(trace, followed.epoch, part))
    return made


def _part(trace: bytes, epoch: int, part: span) -> bytes:
    return (
        _ids(trace, part.id, part.parent, epoch + part.started, epoch + part.ended)
        + _alike(part.name, _CLIENT if part.calls else _INTERNAL, part.error, part.shares)
        + wire.attributes(9, part.attributes)
    )


_CHILD = struct.Struct("<2s16s 2s8s 2s8s sQ sQ").pack  # fields 1, 2, 4, 7 and 8, which have always one length
_ROOT = struct.Struct("<2s16s 2s8s sQ sQ").pack


def _ids(trace: bytes, id: str, parent: str, started: int, ended: int) -> bytes:
    own_id = bytes.fromhex(id)
    if parent:
        return _CHILD(
            b"\n\x10", trace, b"\x12\x08", own_id, b'"\x08', bytes.fromhex(parent), b"9", started, b"A", ended
        )
    return _ROOT(b"\n\x10", trace, b"\x12\x08", own_id, b"9", started, b"A", ended)


@lru_cache(4096)
def _alike(name: str, kind: int, error: str, shares: Shared | None) -> bytes:
    """What many spans say alike."""
    made = wire.text(5, name) + wire.number(6, kind)
    if shares is not None:
        made += wire.attributes(9, shares.of)
    return made + (wire.attributes(9, {"error.type": error}) + _ERROR if error else b"")


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
