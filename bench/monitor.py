"""False alarms in quiet weeks, how soon a change of known size is noticed, and evidently and nannyml on the same data.

    python bench/monitor.py quiet --weeks 200        # each with its own reference: 60 gate examples, a week before
    python bench/monitor.py long --worlds 20         # ten quiet weeks in a row against one reference
    python bench/monitor.py delay --trials 20        # every change, from a quiet day on
    PYTHONPATH=src:RIVALS python bench/monitor.py rivals --weeks 40 --trials 5  # those of evidently and nannyml that
                                     # can be imported: pip install --target RIVALS evidently nannyml statsmodels
    python bench/monitor.py sizes --weeks 20         # quiet weeks with little and much traffic
    python bench/monitor.py broken --weeks 40        # what happens where the assumptions do not hold

The worlds: sessions arrive by a Poisson process whose rate follows the day (nights have a tenth) and the week (weekends
two fifths); a user asks one to many questions (geometric, mean 2.5) about a minute apart, with a quality, a topic and a
speed of his own that all of them share; answers are a little worse at night; topics differ at weekends; latency follows
the load and an hour's own luck (AR(1)). All of it goes through the monitor's own code from `Seen` on; no database, no
model.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import time
import warnings
from collections import Counter, defaultdict
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
        user, own = f"u{self.number}", rng.normal()
        chinese = rng.random() < world.chinese
        weekend = int((at - MONDAY) // DAY) % 7 >= 5
        usual = np.linspace(2, 1, TOPICS) if not weekend else np.linspace(1, 2, TOPICS)
        topic = int(rng.choice(TOPICS, p=usual / usual.sum()))
        topic = shared[0] if shared else TOPICS if rng.random() < world.new_topic else topic
        night = world.night * max(0.0, math.cos((hour - 3) / 24 * 2 * math.pi))
        mean = min(0.98, max(0.02, world.support + night - (shared[1] if shared else 0.0)))
        quality = rng.beta(6 * mean, 6 * (1 - mean))
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
                base = math.exp(0.15 * own + self.luck + 0.4 * rng.normal()) * (1 + 0.5 * load) * world.slower
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
                yield Seen(at + 30, {"thumbs_down": float(rng.random() < world.blamed)}, f"thumb:{trace}", trace, "r")
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

    def feed(self, world: World, start: float, length: float) -> list[Seen]:
        found = list(self.simulation.traffic(world, start, length))
        look = start
        for seen in found:
            while seen.at > look + 60:  # it looks every minute
                look += 60 * max(1, (seen.at - look) // 60)
                self.channel.pass_time(look)
            self.channel.see(seen)
        self.channel.pass_time(start + length)
        return found

    def go_on(self, world: World, length: float) -> list:
        """Alerts that begin to fire."""
        self.channel.alerts.clear()
        found = self.feed(world, self.now, length)
        self.last = found
        self.now += length
        return [one for one in self.channel.alerts if one.state == "firing"]


def quiet(weeks: int, world: World, first: int = 1000) -> tuple[int, Counter]:
    bad, rules = 0, Counter()
    for seed in range(first, first + weeks):
        watched = Watched(seed, world)
        early = [one for one in watched.channel.alerts if one.state == "firing"]
        found = early + watched.go_on(world, WEEK)
        bad += bool(found)
        rules.update(one.rule for one in found)
    return bad, rules


def long(worlds: int, world: World) -> tuple[int, Counter]:
    bad, rules = 0, Counter()
    for seed in range(3000, 3000 + worlds):
        watched = Watched(seed, world)
        for _ in range(10):
            found = watched.go_on(world, WEEK)
            bad += bool(found)
            rules.update(one.rule for one in found)
    return bad, rules


def delays(trials: int, world: World, longest: float = 14 * DAY) -> dict[str, list]:
    """Change -> (hours until the first alert, its rule), from one quiet day after learning on; None: not within two
    weeks."""
    found: dict[str, list] = defaultdict(list)
    for trial in range(trials):
        for place, (name, change) in enumerate(CHANGES.items()):
            watched = Watched(5000 + 100 * trial + place, world)
            watched.go_on(world, DAY)
            begun = watched.now
            for _ in range(int(longest / (6 * 3600))):
                alerts = watched.go_on(replace(world, **change), 6 * 3600)
                if alerts:
                    break
            first = alerts[0] if alerts else None
            from slipway.loop.monitor.watcher import seconds

            found[name].append((round((seconds(first.at) - begun) / 3600, 1), first.rule) if first else None)
    return found


def frame(found: list[Seen]):
    """What others look at: a row for each request, with the values that the monitor compares. Days begin at 0:30."""
    import pandas as pd

    return pd.DataFrame(
        {**one.values, "language": one.asked.language, "at": pd.Timestamp(one.at - 1800, unit="s")}
        for one in found
        if one.asked is not None and one.at >= MONDAY + 1800
    )


def by_evidently(before):
    """DataDriftPreset as it comes: a day's requests -> (half of the columns drifted, any of them did)."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    names = [name for name in before.columns if name not in ("language", "at")]
    kinds = DataDefinition(numerical_columns=names, categorical_columns=["language"])

    def judge(now) -> tuple[bool, bool]:
        made = [Dataset.from_pandas(one.drop(columns="at"), data_definition=kinds) for one in (now, before)]
        (counts,) = (
            one["value"]
            for one in Report([DataDriftPreset()]).run(*made).dict()["metrics"]
            if one["metric_name"].startswith("DriftedColumnsCount")
        )
        return counts["share"] >= 0.5, counts["count"] > 0

    return judge


def by_nannyml(before):
    """Its univariate drift as it comes, with days as chunks: the same."""
    from nannyml import UnivariateDriftCalculator

    names = [name for name in before.columns if name != "at"]
    found = UnivariateDriftCalculator(
        names, treat_as_categorical=["language"], timestamp_column_name="at", chunk_period="D"
    ).fit(before)

    def judge(now) -> tuple[bool, bool]:
        result = found.calculate(now).filter(period="analysis").to_df()
        told = sum(bool(result[one].any()) for one in result.columns if one[-1] == "alert")
        return told >= len(names) / 2, told > 0

    return judge


def rivals(weeks: int, trials: int, world: World) -> None:
    """The same weeks and changes, looked at once a day, a day's requests against the week that was learnt."""
    os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"  # nannyml reports its use to its maker otherwise
    warnings.filterwarnings("ignore")
    for name, made in {"evidently": by_evidently, "nannyml": by_nannyml}.items():
        if importlib.util.find_spec(name) is None:
            print(f"{name} is not installed")
            continue
        beside(name, made, weeks, trials, world)


def beside(rival: str, made, weeks: int, trials: int, world: World) -> None:
    bad = [0, 0]
    for seed in range(1000, 1000 + weeks):
        watched = Watched(seed, world)
        judge, days = made(frame(watched.before)), []
        for _ in range(7):
            watched.go_on(world, DAY)
            days.append(judge(frame(watched.last)))
        bad[0] += any(half for half, _ in days)
        bad[1] += any(one for _, one in days)
    print(f"{rival}, {weeks} quiet weeks: half of the columns {bad[0]}, any column {bad[1]}", flush=True)
    for place, (name, change) in enumerate(CHANGES.items()):
        hours: list[list[float]] = [[], []]
        for trial in range(trials):
            watched = Watched(5000 + 100 * trial + place, world)
            watched.go_on(world, DAY)
            judge, first = made(frame(watched.before)), [math.inf, math.inf]
            for day in range(1, 8):
                watched.go_on(replace(world, **change), DAY)
                found = judge(frame(watched.last))
                first = [min(a, 24.0 * day if b else math.inf) for a, b in zip(first, found, strict=True)]
                if first[0] < math.inf:
                    break
            for into, value in zip(hours, first, strict=True):
                into.append(value)
        print(f"| {name} | {sorted(hours[0])[trials // 2]:.0f} | {sorted(hours[1])[trials // 2]:.0f} |", flush=True)


def said(found: dict[str, list]) -> None:
    for name, trials in found.items():
        hours = sorted(one[0] if one else math.inf for one in trials)
        rules = Counter(one[1] for one in trials if one).most_common(2)
        middle, slow = hours[len(hours) // 2], hours[min(len(hours) - 1, math.ceil(0.9 * len(hours)) - 1)]
        missed = sum(one is None for one in trials)
        print(
            f"| {name} | {middle:.0f} | {slow:.0f} | {missed}/{len(trials)} | {', '.join(rule for rule, _ in rules)} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("quiet", "long", "delay", "rivals", "broken", "sizes"))
    parser.add_argument("--weeks", type=int, default=200)
    parser.add_argument("--worlds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--sessions", type=float, default=700.0)
    given = parser.parse_args()
    world, began = World(sessions=given.sessions), time.process_time()
    if given.what == "quiet":
        bad, rules = quiet(given.weeks, world)
        print(f"{bad} of {given.weeks} quiet weeks had a false alarm; by rule: {json.dumps(rules)}")
    elif given.what == "long":
        bad, rules = long(given.worlds, world)
        print(f"{bad} of {10 * given.worlds} quiet weeks in a row had a false alarm; by rule: {json.dumps(rules)}")
    elif given.what == "delay":
        said(delays(given.trials, world))
    elif given.what == "rivals":
        rivals(given.weeks, given.trials, world)
    elif given.what == "sizes":
        for sessions in (100.0, 250.0, 2000.0):
            bad, rules = quiet(given.weeks, replace(world, sessions=sessions), 30_000)
            print(f"{sessions:.0f} sessions a week: {bad} of {given.weeks}; by rule: {json.dumps(rules)}", flush=True)
    elif given.what == "broken":
        for name, change in {
            "answers at night 0.25 worse than by day": {"night": -0.25},
            "now and then everybody asks the same for an hour": {"users": 0.7},
        }.items():
            bad, rules = quiet(given.weeks, replace(world, **change))
            print(f"{name}: {bad} of {given.weeks} weeks; by rule: {json.dumps(rules)}")
    print(f"{time.process_time() - began:.0f} CPU-s")


if __name__ == "__main__":
    main()
