"""Histograms over all requests, sampled or not, with the buckets that the conventions advise. Sends nothing."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from time import time_ns

Named = tuple[tuple[str, str], ...]  # attributes

MOST = 500
"""Combinations of attributes that a histogram tells apart; what comes after shares one (`otel.metric.overflow`)."""
OVERFLOW: Named = (("otel.metric.overflow", "true"),)

DURATION = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
FIRST_TOKEN = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
PER_TOKEN = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
TOKENS = tuple(float(4**n) for n in range(14))


@dataclass(slots=True)
class Point:
    """One combination of attributes: how many fell into each bucket; bucket n ends with the bound n, included."""

    counts: list[int]
    sum: float = 0.0
    least: float = float("inf")
    most: float = float("-inf")


@dataclass
class Histogram:
    """Values by attributes. `record` is called in the event loop, `points` by the thread that sends."""

    name: str
    unit: str
    about: str
    bounds: Sequence[float]
    began: int = field(default_factory=time_ns)
    _points: dict[Named, Point] = field(default_factory=dict[Named, Point])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def record(self, value: float, attributes: Named) -> None:
        """One value."""
        with self._lock:
            point = self._points.get(attributes)
            if point is None:
                attributes = attributes if len(self._points) < MOST else OVERFLOW
                point = self._points.setdefault(attributes, Point([0] * (len(self.bounds) + 1)))
            point.counts[bisect_left(self.bounds, value)] += 1
            point.sum += value
            if value < point.least:
                point.least = value
            if value > point.most:
                point.most = value

    def points(self) -> list[tuple[Named, Point]]:
        """What there is so far, since `began`."""
        with self._lock:
            return [(name, Point(list(p.counts), p.sum, p.least, p.most)) for name, p in self._points.items()]


class Measures:
    """The histograms of a server, by the names of the conventions (`runtime.conventions`)."""

    def __init__(self) -> None:
        self.request = Histogram("gen_ai.server.request.duration", "s", "Whole requests to this server", DURATION)
        self.first = Histogram("gen_ai.server.time_to_first_token", "s", "From request to first text", FIRST_TOKEN)
        self.per_token = Histogram("gen_ai.server.time_per_output_token", "s", "Each token after the first", PER_TOKEN)
        self.operation = Histogram("gen_ai.client.operation.duration", "s", "Models and indexes asked", DURATION)
        self.tokens = Histogram("gen_ai.client.token.usage", "{token}", "Tokens of each time a model was asked", TOKENS)

    def __iter__(self) -> Iterator[Histogram]:
        return iter((self.request, self.first, self.per_token, self.operation, self.tokens))
