"""What the monitor knows, for people: what it learns, each comparison as it stands, alerts, and what was measured."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from slipway.core.alert import Alert, Delivery
from slipway.loop.monitor.channel import ABOUT
from slipway.loop.monitor.questions import Known
from slipway.loop.monitor.references import Reference, bounded
from slipway.loop.monitor.rules import Watch
from slipway.loop.monitor.watcher import Evidence, moment
from slipway.loop.monitor.work import Monitor
from slipway.stats.changes import stability

DAYS = 14  # of measurements that are shown
_FEW = 5  # units: a mean of fewer is not shown


class Line(msgspec.Struct, frozen=True):
    """A comparison. `before`, `seen`: means of what it bets on, turned back for `down`; of ranks, 0.5 is usual. `seen`
    is since `since`, of `n` units. `evidence`: 1 is where it fires. `learning`: there is nothing to compare with yet.
    """

    learning: bool
    rule: str
    metric: str
    direction: str
    against: str
    before: float | None = None
    n: int = 0
    expected: float | None = None
    since: str = ""
    seen: float | None = None
    evidence: float = 0.0
    firing: str = ""
    category: str = ""


class Shift(msgspec.Struct, frozen=True):
    """Shares of categories before and in the last seven days, and the population stability index. `examples`: of a
    topic, the trace of a question before that is typical of it.
    """

    metric: str
    before: dict[str, float]
    now: dict[str, float]
    index: float
    n: int
    examples: dict[str, str] = {}


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """`learning`: of answers and questions, what there is of what is needed, from 0 to 1; absent when it is learnt.
    `hours`: metric -> (hour, n, mean). `unlike`: ids of traces whose questions are least like those before, newest
    last.
    """

    project: str
    channel: str
    release: str
    read: int
    skipped: int
    clock: str
    learning: dict[str, float] = {}
    lines: list[Line] = []
    shifts: list[Shift] = []
    alerts: list[Alert] = []
    deliveries: list[Delivery] = []
    hours: dict[str, list[tuple[str, int, float]]] = {}
    unlike: list[tuple[str, float]] = []
    sinks: list[str] = []


def status(monitor: Monitor) -> Status:
    """Read, not changed. The days that are shown end with what was read last."""
    kept, learnt = monitor.kept()
    now = kept.clock or time.time()
    references = dict(kept.released)
    for found in learnt.values():
        references |= found.references
    hours: dict[str, list[tuple[str, int, float]]] = {}
    since = (datetime.fromtimestamp(now, UTC) - timedelta(days=DAYS)).isoformat()[:13]
    for metric, hour, n, total in monitor.watching.hours(monitor.name, since):
        hours.setdefault(metric, []).append((hour, n, total / n))
    config = monitor.config
    return Status(
        project=monitor.project,
        channel=monitor.name,
        release=kept.release,
        read=kept.read,
        skipped=kept.skipped,
        clock=moment(kept.clock) if kept.clock else "",
        learning={
            about: min(
                1.0,
                max(0.0, kept.clock - kept.began[about]) / config.baseline,
                monitor.units_kept(about) / config.least,
            )
            for about in ABOUT
            if about not in kept.learnt and about in kept.began
        },
        lines=[_line(watch, references.get(watch.rule), kept.evidence.get(watch.rule)) for watch in monitor.watches],
        shifts=_shifts(monitor, references, hours, now, learnt["questions"].known if "questions" in learnt else None),
        alerts=monitor.watching.alerts(100),
        deliveries=monitor.watching.deliveries(100),
        hours={name: found for name, found in hours.items() if "=" not in name},
        unlike=[(trace, novelty) for novelty, trace in kept.unlike],
        sinks=list(config.sinks),
    )


def asked(monitor: Monitor, found: Status) -> dict[str, str]:
    """Questions of the traces that it names, by their ids: as far as they are still there and may be read."""
    named = {trace for trace, _ in found.unlike}
    named |= {trace for shift in found.shifts for trace in shift.examples.values()}
    named |= {alert.traces[-1] for alert in found.alerts if alert.traces}
    return monitor.asked(tuple(named))


def _line(watch: Watch, reference: Reference | None, evidence: Evidence | None) -> Line:
    named = watch.rule, watch.metric.name, watch.direction, watch.against
    if reference is None and watch.against == "bound":
        reference = bounded(watch)
    if reference is None:
        return Line(True, *named)
    place = evidence.strongest if evidence else 0
    course = evidence.course if evidence and evidence.courses and evidence.course.n >= _FEW else None
    turn = (lambda value: 1.0 - value) if watch.direction == "down" else (lambda value: value)
    seen = turn(course.mean) if course else None
    return Line(
        False,
        *named,
        None if watch.against == "bound" else turn(reference.mean[place]),
        course.n if course else 0,
        turn(min(1.0, reference.high[place][-1])),
        moment(course.since) if course else "",
        seen,
        evidence.size / watch.levels.limit if evidence else 0.0,
        moment(evidence.firing) if evidence and evidence.firing else "",
        watch.metric.categories[place] if seen is not None else "",
    )


def _shifts(
    monitor: Monitor,
    references: Mapping[str, Reference],
    hours: Mapping[str, list[tuple[str, int, float]]],
    now: float,
    known: Known | None,
) -> list[Shift]:
    since = moment(now - 7 * 86400)[:13]
    found: list[Shift] = []
    for watch in monitor.watches:
        reference = references.get(watch.rule)
        if watch.metric.kind != "mix" or reference is None:
            continue
        names = watch.metric.categories
        counts = [
            sum(n for hour, n, _ in hours.get(f"{watch.metric.name}={name}", ()) if hour >= since) for name in names
        ]
        if not sum(counts):
            continue
        index = stability([share * reference.n for share in reference.mean], counts)
        before = dict(zip(names, reference.mean, strict=True))
        now_ = {name: count / sum(counts) for name, count in zip(names, counts, strict=True)}
        shown = [name for name in names if before[name] or now_[name]]
        near = known.nearest if known is not None and watch.metric.name == "topics" else []
        found.append(
            Shift(
                watch.metric.name, {n: before[n] for n in shown}, {n: now_[n] for n in shown}, index, sum(counts),
                {name: trace for name, trace in zip(names, near, strict=False) if trace and name in shown},
            )
        )  # fmt: skip
    return found
