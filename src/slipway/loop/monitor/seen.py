"""What the monitor sees of one request or one word of feedback, and units: one user's questions within a short time.

Questions of one user hang together, so a unit, not a question, is one piece of evidence: it has the mean of its values.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from slipway.stats.grouping import Floats

MOST_OPEN = 20_000  # units at once; the oldest are closed early


@dataclass(frozen=True)
class Question:
    """Of a question, what it can be compared by: hashes of its words, its language, a unit vector or None."""

    words: tuple[int, ...]
    language: str
    digest: int
    vector: Floats | None = None


@dataclass(frozen=True)
class Seen:
    """`at`: seconds since 1970. `unit`: who asks, as far as that is known. `values`: metric -> value."""

    at: float
    values: dict[str, float]
    unit: str
    trace: str
    release: str
    asked: Question | None = None


class Unit(msgspec.Struct):
    """`sums`: metric -> [sum, n]. `trace`: id of the first request."""

    at: float
    trace: str
    release: str = ""
    sums: dict[str, list[float]] = {}
    category: dict[str, str] = {}  # metric -> what the first question is, of topics and languages

    @property
    def values(self) -> dict[str, float]:
        """Metric -> mean."""
        return {name: total / n for name, (total, n) in self.sums.items()}


@dataclass
class Units:
    """Those that are open, by who asks."""

    length: float
    open: dict[str, Unit] = field(default_factory=dict[str, Unit])

    def add(self, seen: Seen, values: dict[str, float], category: dict[str, str]) -> list[Unit]:
        """Add to the unit of whoever asks; what this closes."""
        closed: list[Unit] = []
        unit = self.open.get(seen.unit)
        if unit is not None and (seen.at - unit.at > self.length or seen.release != unit.release):
            closed.append(self.open.pop(seen.unit))
            unit = None
        if unit is None:
            unit = self.open[seen.unit] = Unit(seen.at, seen.trace, seen.release, {}, dict(category))
        for name, value in values.items():
            kept = unit.sums.setdefault(name, [0.0, 0.0])
            kept[0], kept[1] = kept[0] + value, kept[1] + 1
        if len(self.open) > MOST_OPEN:
            closed.append(self.open.pop(next(iter(self.open))))
        return closed

    def is_new(self, seen: Seen) -> bool:
        """Whether this would begin a unit."""
        unit = self.open.get(seen.unit)
        return unit is None or seen.at - unit.at > self.length or seen.release != unit.release

    def over(self, now: float) -> list[Unit]:
        """Close what is over by now, in the order in which they began."""
        ended = [key for key, unit in self.open.items() if now - unit.at > self.length]
        return sorted((self.open.pop(key) for key in ended), key=lambda unit: unit.at)
