"""evidently and nannyml on the data that `monitor.py` uses: false alarms, and how soon a change is noticed.

As they come both raise alarms in many quiet weeks, so that their delays say nothing. Here each gets a threshold first,
on quiet weeks of its own, that leaves it an alarm in at most 5% of them, in two forms: of the number of columns that it
says have drifted; and of any column, by how many standard deviations its score lies above its usual largest of a week.
Then other quiet weeks, then the changes. All are looked at once a day: a day's requests against the week that was
learnt. They see all that the monitor compares: what was measured, thumbs, how new a question is, topics, languages.
"""

from __future__ import annotations

import importlib.util
import math
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from monitor_worlds import CHANGES, DAY, MONDAY, Told, Watched, World

from slipway.loop.monitor.questions import Familiar
from slipway.loop.monitor.watcher import seconds

SHARE = 0.05  # of quiet weeks
DAYS = 14
NAMED = ("language", "topics")  # columns that are categories
Scores = dict[str, tuple[float, bool]]  # column -> (its score, whether the tool says that it drifted)


def frame(watched: Watched, told: Sequence[Told]):
    """A row for each request. Days begin at 0:30. Questions that are learnt say nothing of how new questions are."""
    import pandas as pd

    known = watched.channel.learnt["questions"].known
    assert known is not None, "questions were learnt"
    familiar, rows = Familiar(known), {}
    for seen, values, _ in told:
        if seen.at < MONDAY + 1800 or (seen.asked is None and seen.trace not in rows):
            continue
        row = rows.setdefault(seen.trace, {"at": pd.Timestamp(seen.at - 1800, unit="s")})
        row |= {name: value for name, value in values.items() if name not in ("novelty", "unknown_words")}
        if seen.asked is not None:
            new, topics = familiar.values(seen.asked)
            row["language"] = seen.asked.language
            row |= {**new, **topics} if new["novelty"] > 0.001 else {}
    return pd.DataFrame(rows.values())


def by_evidently(before) -> Callable[..., Scores]:
    """The tests that DataDriftPreset chooses by itself, without its drawings, which take nine tenths of its time. A
    small p-value is a high score.
    """
    from evidently.legacy.calculations.stattests import get_stattest
    from evidently.legacy.core import ColumnType

    def judge(now) -> Scores:
        found = Scores()
        for name in before.columns:
            was, is_ = before[name].dropna(), now[name].dropna() if name in now else ()
            if name == "at" or not len(is_):
                continue
            kind = ColumnType.Categorical if name in NAMED else ColumnType.Numerical
            test = get_stattest(was, is_, kind, None)
            result = test(was, is_, kind, None)
            value = float(result.drift_score)
            turned = "p_value" in test.display_name
            found[name] = -math.log10(max(value, 1e-300)) if turned else value, bool(result.drifted)
        return found

    return judge


def by_nannyml(before) -> Callable[..., Scores]:
    """Univariate drift as it comes, with days as chunks."""
    from nannyml import UnivariateDriftCalculator

    names = [name for name in before.columns if name != "at"]
    made = UnivariateDriftCalculator(
        names, treat_as_categorical=list(NAMED), timestamp_column_name="at", chunk_period="D"
    ).fit(before)

    def judge(now) -> Scores:
        found = made.calculate(now.reindex(columns=before.columns)).filter(period="analysis").to_df().iloc[0]
        methods = {one[0]: one[1] for one in found.index if one[-1] == "value"}
        return {name: (float(found[name, of, "value"]), bool(found[name, of, "alert"])) for name, of in methods.items()}

    return judge


class Thresholds:
    """Of one tool, from its scores of quiet weeks: [week][day] -> column -> score."""

    def __init__(self, weeks: Sequence[Sequence[Scores]]) -> None:
        self.columns = sorted({name for week in weeks for day in week for name in day})
        most = np.array([self._matrix(week).max(axis=0) for week in weeks])
        self.mean, self.sd = most.mean(axis=0), most.std(axis=0) + 1e-9
        place = int(SHARE * len(weeks))
        self.limits = [sorted((max(map(form, week)) for week in weeks), reverse=True)[place] for form in self.forms]

    @property
    def forms(self) -> tuple[Callable[[Scores], float], Callable[[Scores], float]]:
        """How many columns drifted; how far the one that lies farthest is above what is usual."""
        return (
            lambda day: float(sum(drifted for _, drifted in day.values())),
            lambda day: float(np.max((self._matrix([day])[0] - self.mean) / self.sd)),
        )

    def _matrix(self, days: Sequence[Scores]) -> np.ndarray:
        found = np.array([[day.get(name, (math.nan, False))[0] for name in self.columns] for day in days])
        return np.where(np.isfinite(found), found, -1e9 if len(days) == 1 else np.nanmin(found))

    def alarms(self, day: Scores) -> list[bool]:
        return [form(day) > limit for form, limit in zip(self.forms, self.limits, strict=True)]


def rivals(weeks: int, trials: int, world: World) -> None:
    os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"  # nannyml reports its use to its maker otherwise
    os.environ["DO_NOT_TRACK"] = "1"
    warnings.filterwarnings("ignore")
    for name, made in {"evidently": by_evidently, "nannyml": by_nannyml}.items():
        if importlib.util.find_spec(name) is None:
            print(f"{name} is not installed")
            continue
        beside(name, made, weeks, trials, world)


def beside(rival: str, made: Callable[..., Callable[..., Scores]], weeks: int, trials: int, world: World) -> None:
    usual = [_quiet_week(made, seed, world)[0] for seed in range(90_000, 90_000 + weeks)]
    found = Thresholds(usual)
    print(f"{rival}: an alarm at more than {found.limits[0]:.0f} of {len(found.columns)} columns, or in any column at "
          f"{found.limits[1]:.2f} standard deviations, by {weeks} quiet weeks", flush=True)  # fmt: skip
    others = [_quiet_week(made, seed, world) for seed in range(1000, 1000 + weeks // 2)]
    few, one = (sum(any(found.alarms(day)[form] for day in week) for week, _ in others) for form in (0, 1))
    come = [sum(any(sum(drifted for _, drifted in day.values()) >= least for day in week) for week, _ in others)
            for least in (1, len(found.columns) / 2)]  # fmt: skip
    ours = sum(told for _, told in others)
    print(f"{len(others)} other quiet weeks: columns {few}, any column {one}, as it comes: any column {come[0]}, half "
          f"of the columns {come[1]}; slipway {ours}", flush=True)  # fmt: skip
    for place, (name, change) in enumerate(CHANGES.items()):
        hours = [_delays(made, found, 5000 + 100 * trial + place, world, change) for trial in range(trials)]
        cells = [_cell([one[form] for one in hours]) for form in range(3)]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def _quiet_week(made, seed: int, world: World) -> tuple[list[Scores], bool]:
    """(the scores of each day, whether the monitor raised an alarm)."""
    watched = Watched(seed, world)
    judge, days, told = made(frame(watched, watched.before)), [], False
    for _ in range(7):
        told |= bool(watched.go_on(world, DAY))
        days.append(judge(frame(watched, watched.last)))
    return days, told


def _delays(made, found: Thresholds, seed: int, world: World, change: dict[str, float]) -> list[float]:
    """Hours until the monitor told, until so many columns drifted, until any did so far."""
    watched = Watched(seed, world)
    watched.go_on(world, DAY)
    judge, begun, first = made(frame(watched, watched.before)), watched.now, [math.inf] * 3
    for day in range(1, DAYS + 1):
        alerts = watched.go_on(replace(world, **change), DAY)
        if alerts and first[0] == math.inf:
            first[0] = (seconds(alerts[0].at) - begun) / 3600
        if max(first[1:]) == math.inf:
            for form, alarm in enumerate(found.alarms(judge(frame(watched, watched.last))), 1):
                first[form] = min(first[form], 24.0 * day if alarm else math.inf)
        if max(first) < math.inf:
            break
    return first


def _cell(hours: Sequence[float]) -> str:
    missed, middle = sum(one == math.inf for one in hours), sorted(hours)[len(hours) // 2]
    return f"{'-' if middle == math.inf else f'{middle:.0f}'}, {missed}"
