"""Worlds in which `monitor.py` lets users ask: their hours, habits and luck, and changes of known size; and a channel
that is watched there.

Sessions arrive by a Poisson process whose rate follows the day (nights have a tenth) and the week (weekends two
fifths); a user asks one to many questions (geometric, mean 2.5) about a minute apart, with a quality, a topic and a
speed of his own that all of them share; answers are a little worse at night; topics differ at weekends; latency follows
the load and an hour's own luck (AR(1)).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from slipway.loop.monitor.channel import Channel, Kept
from slipway.loop.monitor.references import learn_released
from slipway.loop.monitor.rules import metrics_of, watches
from slipway.loop.monitor.seen import Question, Seen
from slipway.project.monitoring import MonitorConfig

DAY, WEEK = 86400.0, 604800.0
MONDAY = 1767571200.0  # 2026-01-05
TOPICS, DIMENSION, WORDS = 12, 16, 400
CONFIG = MonitorConfig()
METRICS = metrics_of({})
Told = tuple[Seen, dict[str, float], dict[str, str]]
"""What is seen, with all its values and categories."""


@dataclass(frozen=True)
class World:
    """`sessions`: a week. The other fields are what a change changes."""

    sessions: float = 700.0
    support: float = 0.75  # share of supported statements
    refused: float = 0.06
    failed: float = 0.01
    slower: float = 1.0
    new_topic: float = 0.0  # share of questions
    chinese: float = 0.1
    spam: float = 0.0  # share of sessions
    longer: float = 1.0
    blamed: float = 0.2
    night: float = -0.04  # on support, at the worst hour
    users: float = 0.0  # share of the sessions that one group's own topic and quality make up, an hour at a time
    regulars: float = 0.0  # share of the sessions that ten people have, each with a quality of his own for ever
    skew: float = 0.4  # of the times of one request: sigma of the logarithm
    weekend: float = 0.0  # on support
    blamed_night: float = 0.0  # on thumbs down, at the worst hour
    spread: float = 6.0  # of support between users: a beta distribution's two parameters together; 0.2: all or nothing


CHANGES = {
    "worse answers: support 0.75 to 0.60": {"support": 0.60},
    "worse answers: support 0.75 to 0.45": {"support": 0.45},
    "refusals 6% to 20%": {"refused": 0.20},
    "errors 1% to 6%": {"failed": 0.06},
    "upstream 1.5 times slower": {"slower": 1.5},
    "upstream 3 times slower": {"slower": 3.0},
    "new topic: 15% of questions": {"new_topic": 0.15},
    "new topic: 40% of questions": {"new_topic": 0.40},
    "language: Chinese 10% to 35%": {"chinese": 0.35},
    "answers 1.6 times longer": {"longer": 1.6},
    "spam: 30% of sessions": {"spam": 0.30},
    "thumbs down 20% to 45%": {"blamed": 0.45},
}


BROKEN = {
    "answers at night 0.25 worse than by day": {"night": -0.25},
    "now and then everybody asks the same for an hour": {"users": 0.7},
}
"""What the monitor's assumptions do not cover."""
OTHERS = {
    "times with a long tail (sigma 1.5)": ({"skew": 1.5}, {}),
    "support of users all or nothing": ({"spread": 0.2}, {}),
    "half of the sessions by ten people": ({"regulars": 0.5}, {}),
    "support 0.15 lower at weekends, thumbs down 0.15 more at night": ({"weekend": -0.15, "blamed_night": 0.15}, {}),
    "a small reference: 130 sessions a week": ({"sessions": 130.0}, {}),
    "traffic grows tenfold once it is learnt, from 200 sessions a week": ({"sessions": 200.0}, {"sessions": 2000.0}),
    "the same with those seasons": (
        {"sessions": 200.0, "weekend": -0.15, "blamed_night": 0.15}, {"sessions": 2000.0},
    ),
}  # fmt: skip
"""Quiet, but unlike the world that the monitor was built against: what is learnt, and what is different later."""


class Simulation:
    """What users of one world ask, and what they get."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        centres = np.random.default_rng(5).normal(size=(TOPICS + 1, DIMENSION))
        self.centres = centres / np.linalg.norm(centres, axis=1, keepdims=True)
        self.luck, self.number = 0.0, 0
        self.questions: dict[str, Question] = {}

    def traffic(self, world: World, start: float, length: float) -> Iterator[Seen]:
        """In the order of time."""
        hours = np.arange(start, start + length, 3600.0)
        found: list[Seen] = []
        weights = [_rate(hour) for hour in hours]
        scale = world.sessions / sum(_rate(hour) for hour in np.arange(MONDAY, MONDAY + WEEK, 3600.0))
        for hour, weight in zip(hours, weights, strict=True):
            self.luck = 0.8 * self.luck + 0.06 * self.rng.normal()
            event = self.rng.random() < 0.05
            for _ in range(self.rng.poisson(weight * scale)):
                shared = (3, 0.2) if event and self.rng.random() < world.users else None
                found += self._session(world, hour + 3600 * self.rng.random(), weight, shared)
        yield from sorted(found, key=lambda one: one.at)

    def gate(self, world: World, n: int) -> list[dict[str, float]]:
        """Examples that a release was judged by: single questions, at no hour."""
        return [next(self._session(replace(world, night=0.0), MONDAY + 12 * 3600, 1.0, None)).values for _ in range(n)]

    def _session(self, world: World, at: float, load: float, shared: tuple[int, float] | None) -> Iterator[Seen]:
        rng, hour = self.rng, at % DAY / 3600
        spam = rng.random() < world.spam
        self.number += 1
        regular = int(rng.integers(10)) if world.regulars and rng.random() < world.regulars else None
        user, own = f"u{self.number}" if regular is None else f"regular{regular}", rng.normal()
        chinese = rng.random() < world.chinese
        weekend = int((at - MONDAY) // DAY) % 7 >= 5
        usual = np.linspace(2, 1, TOPICS) if not weekend else np.linspace(1, 2, TOPICS)
        topic = int(rng.choice(TOPICS, p=usual / usual.sum()))
        topic = shared[0] if shared else TOPICS if rng.random() < world.new_topic else topic
        late = max(0.0, math.cos((hour - 3) / 24 * 2 * math.pi))
        below = world.night * late + (world.weekend if weekend else 0.0) - (shared[1] if shared else 0.0)
        mean = min(0.98, max(0.02, world.support + below))
        quality = rng.beta(world.spread * mean, world.spread * (1 - mean))
        if regular is not None:
            quality = min(1.0, max(0.0, mean + 0.06 * (regular - 4.5)))
        refusing = rng.beta(2 * world.refused, 2 * (1 - world.refused))
        for _ in range(int(rng.geometric(0.4))):
            self.number += 1
            trace, values = f"{self.number:032x}", {"error_rate": float(rng.random() < world.failed)}
            if not values["error_rate"]:
                values["abstained"] = float(rng.random() < refusing)
                values["other_language"] = float(rng.random() < 0.03)
                words = math.exp(4 + 0.3 * own + 0.5 * rng.normal()) * world.longer
                values["answer_length"] = words
                if not values["abstained"]:
                    values["citation_support"] = (
                        float(np.clip(rng.normal(quality, 0.2), 0, 1)) if rng.random() > 0.1 else 0.0
                    )
                base = math.exp(0.15 * own + self.luck + world.skew * rng.normal()) * (1 + 0.5 * load) * world.slower
                values |= {
                    "ttft": 0.3 * base,
                    "latency": 0.3 * base + 0.02 * words * base,
                    "seconds_per_token": 0.02 * base,
                }
                values["cost_per_query"] = 1e-4 * (900 + words)
                values["retrieval_score"] = float(quality + 0.3 * rng.normal())
            self.questions[trace] = question = self._question(topic, chinese, spam)
            yield Seen(at, values, user, trace, "r", question)
            if rng.random() < 0.1:
                down = float(rng.random() < world.blamed + world.blamed_night * late)
                yield Seen(at + 30, {"thumbs_down": down}, f"thumb:{trace}", trace, "r")
            at += 1 + 60 * rng.exponential()

    def _question(self, topic: int, chinese: bool, spam: bool) -> Question:
        rng = self.rng
        if spam:
            return Question((7_000_001, 7_000_002), "en", 7, self.centres[TOPICS])
        vector = self.centres[topic] + 0.6 / math.sqrt(DIMENSION) * rng.normal(size=DIMENSION)
        ranks = np.minimum(rng.zipf(1.3, size=7), WORDS * 20)
        words = tuple(int(rank) * 100 + (topic if rank > 30 else 0) + (50 if chinese else 0) for rank in ranks)
        same = rng.random() < 0.06
        digest = topic + 1000 if same else self.number + 10_000
        return Question(words, "zh" if chinese else "en", digest, vector / np.linalg.norm(vector))


def _rate(at: float) -> float:
    hour, day = at % DAY / 3600, int((at - MONDAY) // DAY) % 7
    return (0.55 - 0.45 * math.cos((hour - 3) / 24 * 2 * math.pi)) * (0.4 if day >= 5 else 1.0)


class Watched:
    """A channel that learnt a week of quiet traffic, after a release by `gate` examples."""

    def __init__(self, seed: int, world: World, gate: int = 60, config: MonitorConfig = CONFIG) -> None:
        self.simulation, self.world = Simulation(seed), world
        found = watches(config, METRICS)
        self.channel = Channel(
            config,
            found,
            ("bench", "production"),
            Kept(),
            {},
            self._read,
            lambda about: [unit for _, unit in self.channel.fresh[about]],
        )
        judged = [one for one in found if one.against == "release"]
        self.channel.begin("r", learn_released(judged, self.simulation.gate(world, gate)), MONDAY)
        self.before = self.feed(world, MONDAY, WEEK + 1800)
        self.now = MONDAY + WEEK + 1800
        assert self.channel.kept.learnt, "nothing was learnt"

    def _read(self, ids):
        return {id: self.simulation.questions[id] for id in ids}

    def feed(self, world: World, start: float, length: float) -> list[Told]:
        told: list[Told] = []
        found = list(self.simulation.traffic(world, start, length))
        look = start
        for seen in found:
            while seen.at > look + 60:  # it looks every minute
                look += 60 * max(1, (seen.at - look) // 60)
                self.channel.pass_time(look)
            told.append((seen, *self.channel.see(seen)))
        self.channel.pass_time(start + length)
        return told

    def go_on(self, world: World, length: float) -> list:
        """Alerts that begin to fire."""
        self.channel.alerts.clear()
        self.last = self.feed(world, self.now, length)
        self.now += length
        return [one for one in self.channel.alerts if one.state == "firing"]
