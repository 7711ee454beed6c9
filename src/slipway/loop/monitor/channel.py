"""One channel as it is watched: units that are open, what is learnt first, then evidence. In memory; `work` keeps it.

Two things are learnt apart: answers anew with each release, questions once whatever answers them. Learning takes
`monitor.baseline` of served time and at least `monitor.least` units; meanwhile only the release's own answers and
bounds of the project file are compared with.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec

from slipway.core.alert import Alert
from slipway.loop.monitor.questions import Familiar, Known, learn, split
from slipway.loop.monitor.references import Reference, learn_all
from slipway.loop.monitor.rules import Watch
from slipway.loop.monitor.seen import Question, Seen, Unit, Units
from slipway.loop.monitor.watcher import Evidence, Watcher, moment
from slipway.project.monitoring import MonitorConfig

RECENT = 500  # questions that a new one may repeat
NEWEST = 20  # of the newest questions that were least like those before, kept by the ids of their traces
About = Literal["answers", "questions"]
ABOUT: tuple[About, About] = ("answers", "questions")


class Learnt(msgspec.Struct):
    """What is compared with, of answers or of questions. Kept apart from `Kept`: it changes once a release."""

    references: dict[str, Reference] = {}
    known: Known | None = None
    at: str = ""


class Kept(msgspec.Struct):
    """What must not be lost between two looks. `traces`, `feedback`: numbers up to which they were read."""

    traces: int = 0
    feedback: int = 0
    clock: float = 0.0
    release: str = ""
    began: dict[str, float] = {}  # when learning began
    learnt: list[str] = []  # of ABOUT, what is not learnt any more
    share: dict[str, float] = {}  # of units that are kept to learn from, when there are many
    open: dict[str, Unit] = {}
    evidence: dict[str, Evidence] = {}
    recent: list[int] = []
    unlike: list[tuple[float, str]] = []  # (novelty, trace)
    skipped: int = 0
    read: int = 0
    released: dict[str, Reference] = {}  # what the release was judged by


class Channel:
    """`read`: the questions of traces, by id, to learn from them. `units`: those kept so far, of one of ABOUT."""

    def __init__(
        self,
        config: MonitorConfig,
        watches: Sequence[Watch],
        names: tuple[str, str],
        kept: Kept,
        learnt: Mapping[About, Learnt],
        read: Callable[[Sequence[str]], Mapping[str, Question]],
        units: Callable[[About], Sequence[Unit]],
        by: str = "words",
    ) -> None:
        self.config, self.watches, self.kept, self._read, self._units, self._by = config, watches, kept, read, units, by
        self.learnt: dict[About, Learnt] = {about: learnt.get(about, Learnt()) for about in ABOUT}
        self.fresh: dict[About, list[tuple[float, Unit]]] = {
            "answers": [],
            "questions": [],
        }  # to learn from, with a draw
        self.finished: list[About] = []  # was learnt since the last look
        self.restarted: list[About] = []  # is learnt anew
        self.alerts: list[Alert] = []
        self._draw = random.Random(kept.traces)
        self._open = Units(config.session, kept.open)
        self._watcher = Watcher(watches, config.clear, lambda: names, kept.evidence, {})
        self._take()

    def begin(self, release: str, released: Mapping[str, Reference], at: float) -> None:
        """A release serves from now on: what its answers are is learnt anew."""
        kept = self.kept
        kept.release, kept.released = release, dict(released)
        self._anew("answers", at, [watch.rule for watch in self.watches if watch.metric.about == "answers"])
        kept.began.setdefault("questions", at)

    def relearn(self, about: About, at: float) -> None:
        """What is served from now on is what later traffic is compared with."""
        rules = [watch.rule for watch in self.watches if watch.metric.about == about and watch.against == "before"]
        self._anew(about, at, rules)

    def _anew(self, about: About, at: float, rules: Sequence[str]) -> None:
        self.alerts += self._watcher.forget(rules, at, self.kept.release)
        self.kept.began[about] = at
        self.kept.learnt = [one for one in self.kept.learnt if one != about]
        self.learnt[about], self.fresh[about] = Learnt(), []
        self.kept.share.pop(about, None)
        self.restarted.append(about)
        self._take()

    def see(self, seen: Seen) -> tuple[dict[str, float], dict[str, str]]:
        """One request, or one word of feedback, in the order in which they came: all its values and categories."""
        values, category = dict(seen.values), dict[str, str]()
        if seen.asked is not None:
            recent = self.kept.recent
            values["repeats"] = float(seen.asked.digest in recent)
            self.kept.recent = [*recent, seen.asked.digest][-RECENT:]
            if self._open.is_new(seen):
                category["languages"] = seen.asked.language
                if self._familiar is not None:
                    more, topics = self._familiar.values(seen.asked)
                    values |= more
                    category |= topics
                    self._unlike(more.get("novelty"), seen.trace)
        self.kept.clock = max(self.kept.clock, seen.at)
        for unit in self._open.add(seen, values, category):
            self._closed(unit)
        return values, category

    def _unlike(self, novelty: float | None, trace: str) -> None:
        """Keep the newest that lie farther off than most; older ones make room."""
        learnt = self.learnt["questions"].references.get("novelty.before")
        if novelty is None or learnt is None:
            return
        ordered = learnt.ordered
        if novelty > ordered[int(0.98 * (len(ordered) - 1))]:
            self.kept.unlike = [*self.kept.unlike, (novelty, trace)][-NEWEST:]

    def set_back(self, now: float) -> None:
        """The clock was ahead: nothing is later than now. Else no time would go by until it comes to where it was."""
        kept = self.kept
        kept.clock = min(kept.clock, now)
        kept.began = {about: min(at, now) for about, at in kept.began.items()}
        for unit in kept.open.values():
            unit.at = min(unit.at, now)
        for one in kept.evidence.values():
            one.last, one.firing, one.low = min(one.last, now), min(one.firing, now), min(one.low, now)

    def pass_time(self, now: float) -> None:
        """Close what is over, and end learning when its time is over."""
        self.kept.clock = max(self.kept.clock, now)
        for unit in self._open.over(now):
            self._closed(unit)
        for about in ABOUT:
            self._end_learning(about)

    def _closed(self, unit: Unit) -> None:
        self.alerts += self._watcher.weigh(unit, self.kept.release)
        for about in ABOUT:
            if about in self.kept.learnt or (about == "answers" and unit.release != self.kept.release):
                continue
            place = self._draw.random()
            if place < self.kept.share.get(about, 1.0):
                self.fresh[about].append((place, unit))

    def _end_learning(self, about: About) -> None:
        began = self.kept.began.get(about)
        if about in self.kept.learnt or began is None or self.kept.clock - began < self.config.baseline:
            return
        units = self._units(about)
        if len(units) < self.config.least:
            return
        watches = [w for w in self.watches if w.metric.about == about and w.against == "before"]
        known = self._learn_questions(units) if about == "questions" else None
        self.learnt[about] = Learnt(learn_all(watches, units), known, moment(self.kept.clock))
        self.kept.learnt.append(about)
        self.finished.append(about)
        self._take()

    def _learn_questions(self, units: Sequence[Unit]) -> Known | None:
        """Adds novelty, topics and unknown words to the units of the other half."""
        asked = [unit for unit in units if unit.trace and "languages" in unit.category]
        found = self._read([unit.trace for unit in asked])
        first, second = split(found, [unit.trace for unit in asked])
        known = learn({id: found[id] for id in first}, self._by)
        if known is not None:
            familiar, by_trace = Familiar(known), {unit.trace: unit for unit in asked}
            for id in second:
                values, category = familiar.values(found[id])
                by_trace[id].sums |= {name: [value, 1.0] for name, value in values.items()}
                by_trace[id].category |= category
        return known

    def _take(self) -> None:
        known = self.learnt["questions"].known
        self._familiar = Familiar(known) if known is not None else None
        self._watcher.references = {
            **self.kept.released, **self.learnt["answers"].references, **self.learnt["questions"].references,
        }  # fmt: skip
