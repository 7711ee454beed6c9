"""The monitor of a project: read what is new, weigh it, keep what follows from it, tell people.

A look reads at most PAGE requests and embeds at most EMBEDDED questions; what it cannot keep up with it leaves out and
counts. It runs in a process of its own, so serving does not wait for it.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from slipway.core.alert import Alert
from slipway.core.candidate import Candidate, ModelPin
from slipway.core.protocols import Embeds
from slipway.core.ref import decoder_of
from slipway.core.report import Report, Score
from slipway.core.trace import Trace, Wanted
from slipway.errors import SlipwayError
from slipway.files import UNDECODABLE
from slipway.loop.context import Context
from slipway.loop.monitor import questions
from slipway.loop.monitor.channel import ABOUT, About, Channel, Kept, Learnt
from slipway.loop.monitor.deliver import deliver
from slipway.loop.monitor.reading import Reader, free_scorers
from slipway.loop.monitor.references import Reference, learn_released
from slipway.loop.monitor.rules import metrics_of, watches
from slipway.loop.monitor.seen import Question, Seen, Unit
from slipway.loop.monitor.watcher import moment, seconds
from slipway.runtime.vectors import embed_question, embedder_key
from slipway.store.watching import MOST_UNITS, Look, Watching

log = logging.getLogger("slipway.monitor")

PAGE = 1000
BEHIND = 50_000  # requests not yet read, beyond which the oldest are left out
EMBEDDED = 200
LEARNT_FROM = 1000  # questions, where an embedder has to read them
_SHARE = 0.05  # of a core that reading may take
_AHEAD = 3600.0  # seconds that the clocks of several machines may differ by
_STEP = 600.0  # seconds of served time between two looks at what is over


class Monitor:
    """Of the project's channel. Any number may run at once: each look belongs to one of them."""

    def __init__(self, context: Context) -> None:
        self._context, self.config, self.project = context, context.project.monitor, context.project.name
        self.watching = Watching(context.store.catalog.database)
        self._scorers = free_scorers(context)
        better = {name: bool(type(scorer).higher_is_better) for name, scorer in self._scorers.items()}
        self.watches = watches(self.config, metrics_of(better))
        self.name = context.project.serve.channel
        self._learnt: dict[About, tuple[int, Learnt]] = {}
        self._readers: dict[str, tuple[Reader, Candidate]] = {}

    def look(self, now: float | None = None) -> tuple[int, list[Alert]]:
        """Read what is new, once: (requests read, alerts that follow). Nothing serves: nothing is read."""
        now = time.time() if now is None else now
        version, body = self.watching.state(self.name)
        kept = self._known(body)
        if not kept.read:  # it has only waited: time begins with the first request, which may be entered for days ago
            kept = Kept(traces=kept.traces, feedback=kept.feedback, skipped=kept.skipped)
        release = self._context.store.catalog.channels().get(self.name)
        if release is None:
            return 0, []
        newest = self.watching.newest()
        if newest - kept.traces > BEHIND:
            kept.skipped += newest - BEHIND - kept.traces if version else 0
            kept.traces = newest - BEHIND
        rows = self.watching.served(kept.traces, PAGE)
        said = self.watching.said(kept.feedback, PAGE)
        reader, candidate = self._reader(release)
        channel = self._channel(kept, candidate)
        if kept.release != release:
            served = [seconds(trace.at) for _, trace in rows if trace.release == release]
            channel.begin(release, self._released(release, reader), min([*served, now]))
        if kept.clock > now + _AHEAD:
            channel.set_back(now)
        hours: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
        passed = kept.clock
        for told in self._seen(rows, said, reader, candidate, channel):
            seen = told if told.at <= now else replace(told, at=now)  # by a clock that is ahead
            if seen.at - passed > _STEP:
                channel.pass_time(seen.at)
                passed = seen.at
            values, category = channel.see(seen)
            counted = {"requests": 1.0} if "error_rate" in seen.values else {}
            counted |= {f"{name}={what}": 1.0 for name, what in category.items()}
            for name, value in (values | counted).items():
                into = hours[name, moment(seen.at)[:13]]
                into[0], into[1] = into[0] + 1, into[1] + value
        kept.traces = rows[-1][0] if rows else kept.traces
        kept.feedback = said[-1][0] if said else kept.feedback
        kept.read += len(rows)
        channel.pass_time(kept.clock if len(rows) == PAGE else now)
        return self._keep(version, channel, hours, len(rows))

    def _keep(
        self, version: int, channel: Channel, hours: Mapping[tuple[str, str], list[float]], read: int
    ) -> tuple[int, list[Alert]]:
        kept = channel.kept
        for about in ABOUT:
            there = self.watching.units_kept(self._key(about), kept.share.get(about, 1.0))
            if there + len(channel.fresh[about]) > 2 * MOST_UNITS:
                kept.share[about] = kept.share.get(about, 1.0) / 2
        learning: list[About] = [about for about in ABOUT if about not in kept.learnt]
        look = Look(
            state=msgspec.json.encode(kept),
            units=[
                (self._key(about), place, msgspec.json.encode(unit))
                for about in learning
                for place, unit in channel.fresh[about]
            ],
            forget_units=[self._key(about) for about in (*channel.finished, *channel.restarted)],
            more_states={self._key(about): msgspec.json.encode(channel.learnt[about]) for about in channel.finished},
            hours={key: (int(n), total) for key, (n, total) in hours.items()},
            alerts=channel.alerts,
            sinks=list(self.config.sinks),
        )
        return (read, channel.alerts) if self.watching.keep(self.name, version, look) else (0, [])

    def deliver(self, now: float | None = None) -> int:
        """Try to deliver what is due."""
        return deliver(self.watching, self.config, self._context.root, time.time() if now is None else now)

    def run(self, stop: threading.Event) -> None:
        """Look every `monitor.every` until `stop` is set. What the store or a plug-in says is told, and tried again."""
        courier = threading.Thread(target=self._courier, args=(stop,), name="slipway-alerts", daemon=True)
        courier.start()
        while not stop.is_set():
            read, began = 0, time.process_time()
            try:
                read, _ = self.look()
            except SlipwayError as error:
                log.error("the monitor could not read what is new", extra={"why": error.message})
            except Exception:
                log.exception("the monitor could not read what is new")
            pause = max(0.2, (time.process_time() - began) * (1 / _SHARE - 1))
            stop.wait(pause if read == PAGE else max(pause, self.config.every))
        courier.join()

    def _courier(self, stop: threading.Event) -> None:
        while not stop.wait(min(5.0, self.config.every)):
            try:
                self.deliver()
            except SlipwayError as error:
                log.error("the monitor could not deliver an alert", extra={"why": error.message})
            except Exception:
                log.exception("the monitor could not deliver an alert")

    def relearn(self, now: float | None = None) -> None:
        """Later traffic is compared with what is served from now on: what changed is accepted."""
        version, body = self.watching.state(self.name)
        kept = self._known(body)
        _, candidate = self._reader(kept.release)
        channel = self._channel(kept, candidate)
        for about in ABOUT:
            channel.relearn(about, max(kept.clock, time.time() if now is None else now))
        self._keep(version, channel, {}, 0)

    def test(self) -> Alert:
        """An alert that says nothing happened, to every sink."""
        version, body = self.watching.state(self.name)
        at = moment(time.time())
        alert = Alert(
            id=uuid.uuid4().hex, at=at, state="test", project=self.project, channel=self.name, release="", rule="test",
            metric="test", direction="up", against="bound", seen=0.0, expected=0.0, n=0, since=at,
        )  # fmt: skip
        look = Look(state=body or msgspec.json.encode(Kept()), alerts=[alert], sinks=list(self.config.sinks))
        self.watching.keep(self.name, version, look)
        return alert

    def asked(self, ids: Sequence[str]) -> dict[str, str]:
        """Questions by the ids of their traces, of those that are still there."""
        found: dict[str, str] = {}
        for start in range(0, len(ids), 500):
            part = tuple(ids[start : start + 500])
            traces = self._context.store.catalog.traces(len(part), wanted=Wanted(ids=part))
            found |= {trace.id: trace.asked for _, trace in traces if trace.kept}
        return found

    def units_kept(self, about: About) -> int:
        """What there is to learn from."""
        return self.watching.units_kept(self._key(about))

    def kept(self) -> tuple[Kept, dict[About, Learnt]]:
        """What is known now, to show it."""
        _, body = self.watching.state(self.name)
        found = self._known(body)
        return found, self._stored(found)

    def _known(self, body: bytes) -> Kept:
        """What was kept; nothing where this version of Slipway cannot read it: then it is learnt anew."""
        if not body:
            return Kept()
        try:
            kept = decoder_of(Kept).decode(body)
            self._stored(kept)
        except UNDECODABLE as error:
            log.warning("what the monitor knew is of another version; it learns anew", extra={"why": str(error)[:200]})
            return Kept()
        return kept

    # what it is made of ------------------------------------------------------------------------------------------
    def _key(self, about: About) -> str:
        return f"{self.name}:{about}"

    def _reader(self, release: str) -> tuple[Reader, Candidate]:
        if release not in self._readers:
            catalog = self._context.store.catalog
            candidate = catalog.get("candidate", catalog.release(release).candidate.digest, Candidate)
            self._readers = {release: (Reader(self._context, candidate, self._scorers), candidate)}
        return self._readers[release]

    def _released(self, release: str, reader: Reader) -> dict[str, Reference]:
        """What the gate measured of the release; nothing where its report is not kept any more."""
        store, judged = self._context.store, [watch for watch in self.watches if watch.against == "release"]
        try:
            report = store.catalog.get("report", store.catalog.release(release).report.digest, Report)
            return learn_released(judged, reader.released(store.blobs.get_lines(report.scores, Score)))
        except SlipwayError as error:
            log.warning("the release's own report is not compared with", extra={"why": error.message})
            return {}

    def _channel(self, kept: Kept, candidate: Candidate) -> Channel:
        pin = self._embedder(candidate)
        by = f"embedder:{embedder_key(pin)[:16]}" if pin is not None else "words"
        channel = Channel(
            self.config, self.watches, (self.project, self.name), kept, self._stored(kept),
            lambda ids: self._questions(ids, pin), self._units(kept, lambda about: channel.fresh[about]), by,
        )  # fmt: skip
        known = channel.learnt["questions"].known
        if known is not None and known.by != by:
            channel.relearn("questions", kept.clock)
        return channel

    def _units(self, kept: Kept, fresh: Any) -> Any:
        def units(about: About) -> list[Unit]:
            bodies = self.watching.units(self._key(about), kept.share.get(about, 1.0))
            return [*map(decoder_of(Unit).decode, bodies), *(unit for _, unit in fresh(about))]

        return units

    def _stored(self, kept: Kept) -> dict[About, Learnt]:
        found: dict[About, Learnt] = {}
        for about in ABOUT:
            if about in kept.learnt:
                version, body = self.watching.state(self._key(about))
                if self._learnt.get(about, (0, None))[0] != version:
                    self._learnt[about] = version, decoder_of(Learnt).decode(body)
                found[about] = self._learnt[about][1]
        return found

    # questions ---------------------------------------------------------------------------------------------------
    def _embedder(self, candidate: Candidate) -> ModelPin | None:
        return candidate.retrieve.embedder if self.config.embed and candidate.retrieve is not None else None

    def _vectors(self, texts: Sequence[str], pin: ModelPin) -> list[Any]:
        async def vectors() -> list[Any]:
            engine = await self._context.session.embedder(pin)
            assert isinstance(engine, Embeds)
            return [(await embed_question(engine, text[: questions.LONGEST]))[0] for text in texts]

        return self._context.wait(vectors())

    def _questions(self, ids: Sequence[str], pin: ModelPin | None) -> dict[str, Question]:
        """Of traces that are still there."""
        if pin is not None:
            ids = ids[:: max(1, -(-len(ids) // LEARNT_FROM))]
        found = self.asked(ids)
        vectors = self._vectors(list(found.values()), pin) if pin is not None else [None] * len(found)
        return {id: questions.read(text, vector) for (id, text), vector in zip(found.items(), vectors, strict=True)}

    def _seen(
        self, rows: Sequence[tuple[int, Trace]], said: Any, reader: Reader, candidate: Candidate, channel: Channel
    ) -> list[Seen]:
        """In the order of time: requests of the channel, and what was said of them."""
        mine = [trace for _, trace in rows if trace.channel == self.name]
        vectors: dict[str, Any] = {}
        pin = self._embedder(candidate)
        if pin is not None and channel.learnt["questions"].known is not None:
            told = [trace for trace in mine if trace.kept]
            part = told[:: max(1, -(-len(told) // EMBEDDED))]
            vectors = dict(zip([one.id for one in part], self._vectors([one.asked for one in part], pin), strict=True))
        found = [reader.seen(trace, vectors.get(trace.id)) for trace in mine]
        about = {trace.id: trace for trace in self._about(said)}
        found += [reader.said(one, about.get(one.trace)) for _, one in said]
        return sorted((one for one in found if one is not None), key=lambda one: one.at)

    def _about(self, said: Any) -> list[Trace]:
        ids = tuple({one.trace for _, one in said})
        parts = [ids[start : start + 500] for start in range(0, len(ids), 500)]
        catalog = self._context.store.catalog
        return [
            trace
            for part in parts
            for _, trace in catalog.traces(len(part), wanted=Wanted(ids=part))
            if trace.channel == self.name
        ]
