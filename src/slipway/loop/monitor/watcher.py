"""Evidence of change in one channel, and the alerts that follow. Knows traces and stores only by what it is given."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec
import numpy as np

from slipway.core.alert import Alert, State
from slipway.loop.monitor.references import Reference, bets, bounded, value_of
from slipway.loop.monitor.rules import Watch
from slipway.loop.monitor.seen import Unit
from slipway.stats.changes import BETS, advanced, at_most, deciding, sizes, start

SHOWN = 5  # traces that an alert names
_HIGHEST = 10.0  # so that it goes back soon
_STEP = 0.12  # the bet by which it is told when a change began


class Course(msgspec.Struct):
    """Of one category: `since` when it has run high (CUSUM, Page 1954), and `n` units from there on with their
    `total`.
    """

    since: float
    n: int = 0
    total: float = 0.0
    height: float = 0.0

    @property
    def mean(self) -> float:
        """Of what was bet on."""
        return self.total / self.n if self.n else 0.0


class Evidence(msgspec.Struct):
    """Of one watch. `rows`: of each category, at all levels and bets; `sizes` follow from them. `firing`: since when
    there is an alert, 0 without one; `low`: since when it may be over.
    """

    rows: list[list[float]] = []
    sizes: list[float] = []
    last: float = 0.0
    courses: list[Course] = []
    firing: float = 0.0
    low: float = 0.0
    traces: list[str] = []

    @property
    def size(self) -> float:
        """Compared with the watch's limit."""
        return sum(self.sizes) / len(self.sizes) if self.sizes else 0.0

    @property
    def strongest(self) -> int:
        """The category with most of the evidence."""
        return max(range(len(self.sizes)), key=self.sizes.__getitem__, default=0)

    @property
    def course(self) -> Course:
        """Of that category."""
        return self.courses[self.strongest]


class Watcher:
    """All watches of a channel. `evidence` and `references`, by rule, are the caller's to keep."""

    def __init__(
        self,
        watches: Sequence[Watch],
        clear: float,
        named: Callable[[], tuple[str, str]],
        evidence: dict[str, Evidence],
        references: Mapping[str, Reference],
    ) -> None:
        self._watches, self._clear, self._named = watches, clear, named
        self.evidence, self.references = evidence, references
        self._bounds = {watch.rule: bounded(watch) for watch in watches if watch.against == "bound"}

    def weigh(self, unit: Unit, release: str) -> list[Alert]:
        """One more unit of every watch that it has a value for. `release`: the one that serves."""
        found: list[Alert] = []
        for watch in self._watches:
            if watch.metric.about == "answers" and unit.release != release:
                continue
            reference = self.references.get(watch.rule) or self._bounds.get(watch.rule)
            value = value_of(watch, unit)
            if reference is not None and value is not None:
                found += self._one(watch, reference, unit, value)
        return found

    def forget(self, rules: Sequence[str], at: float, release: str) -> list[Alert]:
        """These begin anew, since what they compare with does; their alerts are over."""
        ended = [(watch, self.evidence.pop(watch.rule, None)) for watch in self._watches if watch.rule in rules]
        return [
            self._alert(watch, "cleared", at, kept, self._bound(watch, at), release)
            for watch, kept in ended
            if kept and kept.firing
        ]

    def _bound(self, watch: Watch, at: float) -> list[float]:
        """What the mean of each category is at most without a change; empty where that is not known any more."""
        reference = self.references.get(watch.rule) or self._bounds.get(watch.rule)
        return reference.bounds(at)[:, 0].tolist() if reference is not None else []

    def _one(self, watch: Watch, reference: Reference, unit: Unit, value: float | str) -> list[Alert]:
        bounds, bet = reference.bounds(unit.at), bets(watch, value, reference.ordered)
        kept, levels = self.evidence.setdefault(watch.rule, Evidence(last=unit.at)), watch.levels
        shape = (*bounds.shape, len(BETS))
        before = np.array(kept.rows).reshape(shape) if kept.sizes else start(*bounds.shape)
        rows = advanced(before, unit.at - kept.last, np.array(bet), bounds, at_most(levels, len(bet)))
        kept.rows, kept.last = rows.reshape(len(bet), -1).tolist(), max(kept.last, unit.at)
        kept.sizes = sizes(rows, levels).tolist()
        against = bounds[np.arange(len(bet)), deciding(rows, levels)].tolist()
        kept.courses = kept.courses or [Course(unit.at) for _ in bet]
        for course, value_, bound in zip(kept.courses, bet, bounds[:, 0], strict=True):
            if course.height <= 0.0 and not kept.firing:
                course.since, course.n, course.total = unit.at, 0, 0.0
            course.n, course.total = course.n + 1, course.total + value_
            height = course.height + math.log1p(_STEP * (value_ / float(bound) - 1.0))
            course.height = min(max(0.0, height), _HIGHEST)
        if bet[kept.strongest] > against[kept.strongest]:
            kept.traces = [*kept.traces, unit.trace][-SHOWN:]
        return self._changed(watch, kept, unit, against)

    def _changed(self, watch: Watch, kept: Evidence, unit: Unit, bounds: Sequence[float]) -> list[Alert]:
        size = kept.size
        if not kept.firing:
            if size < watch.levels.limit:
                return []
            kept.firing, kept.low = unit.at, 0.0
            return [self._alert(watch, "firing", unit.at, kept, bounds, unit.release)]
        if size >= watch.levels.limit or kept.course.height > 0.0:
            kept.low = 0.0
        elif not kept.low:
            kept.low = unit.at
        if not kept.low or unit.at - kept.low < self._clear:
            return []
        alert = self._alert(watch, "cleared", unit.at, kept, bounds, unit.release)
        self.evidence[watch.rule] = Evidence(last=kept.last)
        return [alert]

    def _alert(
        self, watch: Watch, state: State, at: float, kept: Evidence, bounds: Sequence[float], release: str
    ) -> Alert:
        project, channel = self._named()
        place, course = kept.strongest, kept.course
        seen = course.mean
        bound = bounds[place] if place < len(bounds) else 0.0
        turned = watch.direction == "down"
        mix = watch.metric.kind in ("far", "mix")
        return Alert(
            id=uuid.uuid4().hex,
            at=moment(at),
            state=state,
            project=project,
            channel=channel,
            release=release,
            rule=watch.rule,
            metric=watch.metric.name,
            direction=watch.direction,
            against=watch.against,
            seen=1.0 - seen if turned else seen,
            expected=1.0 - bound if turned else bound,
            n=course.n,
            since=moment(course.since),
            scale="category" if mix else watch.metric.kind,
            category=watch.metric.categories[place] if mix else "",
            traces=tuple(kept.traces) if state == "firing" else (),
        )


def moment(at: float) -> str:
    """Seconds since 1970 as RFC 3339, UTC."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def seconds(at: str) -> float:
    """RFC 3339 as seconds since 1970."""
    return datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp()
