"""False alarms in quiet weeks, how soon a change of known size is noticed, and evidently and nannyml on the same data.

    python bench/monitor.py quiet --weeks 200        # each with its own reference: 60 gate examples, a week before;
                                     # --first 60000: other seeds
    python bench/monitor.py long --worlds 20         # ten quiet weeks in a row against one reference
    python bench/monitor.py delay --trials 20        # every change, from a quiet day on
    PYTHONPATH=src:RIVALS python bench/monitor.py rivals --weeks 40 --trials 7  # those of evidently and nannyml that
                                     # can be imported: pip install --target RIVALS evidently nannyml statsmodels
    python bench/monitor.py sizes --weeks 20         # quiet weeks with little and much traffic
    python bench/monitor.py others --weeks 20        # quiet weeks of other distributions, seasons and references
    python bench/monitor.py broken --weeks 40        # what happens where the assumptions do not hold

All of it goes through the monitor's own code from `Seen` on; no database, no model. The worlds: `monitor_worlds.py`;
others on the same data: `monitor_rivals.py`.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from monitor_worlds import BROKEN, CHANGES, DAY, OTHERS, WEEK, Watched, World  # noqa: E402

from slipway.loop.monitor.watcher import seconds  # noqa: E402


def quiet(weeks: int, world: World, first: int, later: World | None = None) -> tuple[int, Counter]:
    """`later`: the world after the week that is learnt, where it is another."""
    bad, rules = 0, Counter()
    for seed in range(first, first + weeks):
        watched = Watched(seed, world)
        early = [one for one in watched.channel.alerts if one.state == "firing"]
        found = early + watched.go_on(later or world, WEEK)
        bad += bool(found)
        rules.update(one.rule for one in found)
    return bad, rules


def long(worlds: int, world: World, first: int) -> tuple[int, Counter]:
    bad, rules = 0, Counter()
    for seed in range(first, first + worlds):
        watched = Watched(seed, world)
        for _ in range(10):
            found = watched.go_on(world, WEEK)
            bad += bool(found)
            rules.update(one.rule for one in found)
    return bad, rules


def delays(trials: int, world: World, first: int, longest: float = 14 * DAY) -> dict[str, list]:
    """Change -> (hours until the first alert, its rule), from one quiet day after learning on; None: not within two
    weeks."""
    found: dict[str, list] = defaultdict(list)
    for trial in range(trials):
        for place, (name, change) in enumerate(CHANGES.items()):
            watched = Watched(first + 100 * trial + place, world)
            watched.go_on(world, DAY)
            begun = watched.now
            for _ in range(int(longest / (6 * 3600))):
                alerts = watched.go_on(replace(world, **change), 6 * 3600)
                if alerts:
                    break
            told = alerts[0] if alerts else None
            found[name].append((round((seconds(told.at) - begun) / 3600, 1), told.rule) if told else None)
    return found


def said(found: dict[str, list]) -> None:
    for name, trials in found.items():
        hours = sorted(one[0] if one else math.inf for one in trials)
        rules = Counter(one[1] for one in trials if one).most_common(2)
        middle, slow = hours[len(hours) // 2], hours[min(len(hours) - 1, math.ceil(0.9 * len(hours)) - 1)]
        missed = sum(one is None for one in trials)
        print(
            f"| {name} | {middle:.0f} | {slow:.0f} | {missed}/{len(trials)} | {', '.join(rule for rule, _ in rules)} |"
        )


def report(what: str, found: tuple[int, Counter], weeks: int) -> None:
    bad, rules = found
    print(f"{what}: {bad} of {weeks} weeks had a false alarm; by rule: {json.dumps(rules)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("quiet", "long", "delay", "rivals", "others", "broken", "sizes"))
    parser.add_argument("--weeks", type=int, default=200)
    parser.add_argument("--worlds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--sessions", type=float, default=700.0)
    parser.add_argument("--first", type=int, default=1000, help="the first seed")
    given = parser.parse_args()
    weeks, first, world, began = given.weeks, given.first, World(sessions=given.sessions), time.process_time()
    match given.what:
        case "quiet":
            report("quiet", quiet(weeks, world, first), weeks)
        case "long":
            report("in a row", long(given.worlds, world, first + 2000), 10 * given.worlds)
        case "delay":
            said(delays(given.trials, world, first + 4000))
        case "rivals":
            from monitor_rivals import rivals

            rivals(weeks, given.trials, world)
        case _:
            several(given.what, weeks, world, first)
    print(f"{time.process_time() - began:.0f} CPU-s")


def several(what: str, weeks: int, world: World, first: int) -> None:
    """Quiet weeks of each of several worlds."""
    sizes = {f"{n} sessions a week": ({"sessions": float(n)}, {}) for n in (100, 250, 2000)}
    worlds = {"sizes": sizes, "broken": {name: (one, {}) for name, one in BROKEN.items()}, "others": OTHERS}
    for name, (change, later) in worlds[what].items():
        before = replace(world, **change)
        report(name, quiet(weeks, before, first, replace(before, **later)), weeks)


if __name__ == "__main__":
    main()
