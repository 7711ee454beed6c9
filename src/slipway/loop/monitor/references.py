"""What values were before: learnt from units of served traffic, or from the answers that a release was judged by.

A user's questions hang together, so units are compared. The hours of a week differ: where values were worse in a part
of it (weekday or weekend, by quarters of a day, UTC), so much more is allowed there. And hours have their luck: what
they differed by beyond chance is allowed SWINGS times. The bounds of the mean over all hours are exact for
independent units; what is added to them is an estimate, whose error the margin has to cover.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from slipway.loop.monitor.rules import FARTHEST, Watch
from slipway.loop.monitor.seen import Unit
from slipway.stats.changes import by_chance, mean_at_most, mean_rank_at_most, rank, swing

if TYPE_CHECKING:
    from slipway.stats.grouping import Floats

ENOUGH = 20  # units with which it is told how a part of the week differs
SEASON_DRAWS = 19  # in one of twenty, parts that do not differ are said to
LEAST = 20  # without so many values of a metric there is no comparison
SWINGS = 4.0  # no hour of a week lies as many standard deviations off
ANY = ""
LEAST_BOUND = 1e-4


class Reference(msgspec.Struct):
    """Of one watch. `high`: what the mean of what is bet on is at most while nothing changed, [C][levels]: of each
    category at each level of error, and at the first with the margin. `more`: part of the week (empty: any other) ->
    what is allowed above it, [C]. `ordered`: values before, of ranks. `mean`: of what was bet on, each category.
    """

    high: list[list[float]]
    mean: list[float]
    n: int
    ordered: list[float] = []
    more: dict[str, list[float]] = {}

    def bounds(self, at: float) -> Floats:
        """At a moment, seconds since 1970: [C, levels]."""
        more = self.more.get(part_of_week(at)) or self.more.get(ANY) or [0.0]
        return np.clip(np.array(self.high) + np.array(more)[:, None], LEAST_BOUND, 1.0)


def part_of_week(at: float) -> str:
    """One of eight."""
    when = datetime.fromtimestamp(at, UTC)
    return f"{'weekend' if when.weekday() >= 5 else 'weekday'}-{when.hour // 6}"


def learn(watch: Watch, values: Sequence[tuple[float, float | str]]) -> Reference | None:
    """From (when, value) of independent units; None with too few. A value of a `mix` is the name of its category.

    With a moment of 0 for all of them no part of the week is told from another.
    """
    if len(values) < LEAST:
        return None
    n, ranked = len(values), watch.metric.kind in ("rank", "far")
    ordered = sorted(float(value) for _, value in values) if ranked else []
    bet = np.array([bets(watch, value, ordered) for _, value in values])
    *tails, last = watch.levels.tails
    tails.append(last / bet.shape[1])
    if watch.metric.kind == "rank":
        high = np.array([[mean_rank_at_most(n, tail) for tail in tails]])
    else:
        high = np.array([[mean_at_most(one, tail) for tail in tails] for one in bet.T])
    if watch.metric.common:
        high = high + watch.margin
    high = np.column_stack([high, high[:, 0] + (0.0 if watch.metric.common else watch.margin)])
    return Reference(high.tolist(), bet.mean(axis=0).tolist(), n, ordered, _more(values, bet))


def _more(values: Sequence[tuple[float, float | str]], bet: Floats) -> dict[str, list[float]]:
    """Part of the week -> what was above the mean there, and by how much hours and quarters of a day swing."""
    at = np.array([at for at, _ in values])
    if not at.any():
        return {}
    mean, found = bet.mean(axis=0), {ANY: np.zeros(bet.shape[1])}
    names, parts = np.unique([part_of_week(one) for one in at], return_inverse=True)
    seasons = [not by_chance(one, parts, np.zeros_like(parts), SEASON_DRAWS) for one in (bet - mean).T]
    rest = np.array(bet)
    for place, name in enumerate(names.tolist()):
        here = parts == place
        if here.sum() >= ENOUGH:
            found[name] = np.where(seasons, np.maximum(0.0, bet[here].mean(axis=0) - mean), 0.0)
        rest[here] -= rest[here].mean(axis=0)
    blocks = [np.unique(at // length, return_inverse=True)[1] for length in (3600.0, 21600.0)]
    luck = np.array([max(swing(one, codes, parts) for codes in blocks) for one in rest.T])
    return {name: (one + SWINGS * luck).tolist() for name, one in found.items()}


def bets(watch: Watch, value: float | str, ordered: Sequence[float]) -> list[float]:
    """What is bet on, for each category, in [0, 1]: large when the value is what the watch warns of."""
    if watch.metric.kind == "mix":
        return [float(value == category) for category in watch.metric.categories]
    if watch.metric.kind == "far":
        place = rank(ordered, float(value))
        return [float(place > 1.0 - share) for share in FARTHEST.values()]
    number = rank(ordered, float(value)) if watch.metric.kind == "rank" else float(value)
    return [number if watch.direction == "up" else 1.0 - number]


def bounded(watch: Watch) -> Reference:
    """The reference of a bound that the project file names."""
    bound = watch.bound if watch.direction == "up" else 1.0 - watch.bound
    return Reference([[bound]], [bound], 0)


def value_of(watch: Watch, unit: Unit) -> float | str | None:
    """The unit's value of what is watched; None without one."""
    name = watch.metric.of or watch.metric.name
    return unit.category.get(name) if watch.metric.kind == "mix" else unit.values.get(name)


def learn_all(watches: Sequence[Watch], units: Sequence[Unit]) -> dict[str, Reference]:
    """Rule -> reference, of the watches that the units have enough values for."""
    found: dict[str, Reference] = {}
    for watch in watches:
        values = [(unit.at, value) for unit in units if (value := value_of(watch, unit)) is not None]
        if (made := learn(watch, values)) is not None:
            found[watch.rule] = made
    return found


def learn_released(watches: Sequence[Watch], groups: Sequence[Mapping[str, float]]) -> dict[str, Reference]:
    """The same from the answers of the gate: one mapping of metric -> mean for each group of examples."""
    found: dict[str, Reference] = {}
    for watch in watches:
        values = [(0.0, group[watch.metric.name]) for group in groups if watch.metric.name in group]
        if (made := learn(watch, values)) is not None:
            found[watch.rule] = made
    return found
