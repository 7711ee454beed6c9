"""What values were before: learnt from units of served traffic, or from the answers that a release was judged by.

A user's questions hang together, so units are compared. The hours of a week differ: where values were worse in a part
of it (weekday or weekend, by quarters of a day, UTC), so much more is allowed there. The bound of the mean over all
hours is exact for independent units; what is added for a part is an estimate, whose error the margin has to cover.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from slipway.loop.monitor.rules import Watch
from slipway.loop.monitor.seen import Unit
from slipway.stats.changes import mean_at_most, mean_rank_at_most, rank

if TYPE_CHECKING:
    from slipway.stats.grouping import Floats

ENOUGH = 40  # units with which it is told how a part of the week differs
LEAST = 20  # without so many values of a metric there is no comparison
ANY = ""
LEAST_BOUND = 1e-4


class Reference(msgspec.Struct):
    """Of one watch. `bounds`: part of the week (empty: any other) -> what the mean of what is bet on is at most while
    nothing changed, for each category. `ordered`: values before, of ranks. `mean`: of what was bet on, each category.
    """

    bounds: dict[str, list[float]]
    mean: list[float]
    n: int
    ordered: list[float] = []

    def bound(self, at: float) -> list[float]:
        """At a moment, seconds since 1970."""
        return self.bounds.get(part_of_week(at)) or self.bounds[ANY]


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
    categories, n = len(watch.metric.categories), len(values)
    ordered = sorted(float(value) for _, value in values) if watch.metric.kind == "rank" else []
    bet = np.array([bets(watch, value, ordered) for _, value in values])
    mean, tail = bet.mean(axis=0), watch.tail / categories
    if watch.metric.kind == "rank":
        high = np.full(1, mean_rank_at_most(n, tail))
    else:
        high = np.array([mean_at_most(bet[:, place], tail) for place in range(categories)])
    bounds = {ANY: _bounds(high + watch.margin)}
    parts = np.array([part_of_week(at) if at else ANY for at, _ in values])
    for part in sorted(set(parts.tolist()) - {ANY}):
        if (parts == part).sum() >= ENOUGH:
            bounds[part] = _bounds(high + watch.margin + np.maximum(0.0, bet[parts == part].mean(axis=0) - mean))
    return Reference(bounds, mean.tolist(), n, ordered)


def _bounds(values: Floats) -> list[float]:
    return np.clip(values, LEAST_BOUND, 1.0).tolist()


def bets(watch: Watch, value: float | str, ordered: Sequence[float]) -> list[float]:
    """What is bet on, for each category, in [0, 1]: large when the value is what the watch warns of."""
    if watch.metric.kind == "mix":
        return [float(value == category) for category in watch.metric.categories]
    number = rank(np.asarray(ordered), float(value)) if watch.metric.kind == "rank" else float(value)
    return [number if watch.direction == "up" else 1.0 - number]


def bounded(watch: Watch) -> Reference:
    """The reference of a bound that the project file names."""
    bound = watch.bound if watch.direction == "up" else 1.0 - watch.bound
    return Reference({ANY: [max(LEAST_BOUND, bound)]}, [bound], 0)


def value_of(watch: Watch, unit: Unit) -> float | str | None:
    """The unit's value of what is watched; None without one."""
    name = watch.metric.name
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
