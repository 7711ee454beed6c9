"""Successive halving: all recipes on a few examples, the better third on three times as many, and so on to the whole.

Jamieson and Talwalkar (2016), Non-stochastic best arm identification; Karnin, Koren, Somekh (2013), Almost optimal
exploration in multi-armed bandits. Knows names and numbers; what a recipe is, and what it costs, is the caller's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from slipway.project.fields import Budget

KEEP = 3  # of so many recipes one goes on, on so many times the examples
LEAST = 24  # examples of the first rung


def rungs(examples: int, recipes: int) -> list[int]:
    """How many examples each rung asks, the last all of them; a rung of more than half of all is left out."""
    sizes, n = [examples], recipes
    while n > KEEP:
        sizes.append(max(LEAST, sizes[-1] // KEEP))
        n = -(-n // KEEP)
    return [size for size in reversed(sizes[1:]) if size <= examples / 2] + [examples] if examples else []


def halve(
    names: Sequence[str],
    sizes: Sequence[int],
    measure: Callable[[str, int, int], float | None],
    dropped: Callable[[str, int], None] = lambda name, rung: None,
) -> list[tuple[str, float]]:
    """(name, value) of those that were measured on all examples, the best first.

    `measure(name, rung, examples)`: higher is better; None: it failed, or there was no budget left for it. `dropped` is
    told who goes on no further, and after which rung. Ties go by the order of `names`.
    """
    left, found = list(names), list[tuple[str, float]]()
    for rung, size in enumerate(sizes):
        values = [(name, measure(name, rung, size)) for name in left]
        found = sorted(((n, v) for n, v in values if v is not None), key=lambda one: -one[1])
        last = rung == len(sizes) - 1
        keep = len(found) if last else -(-len(found) // KEEP)
        for name, _ in found[keep:]:
            dropped(name, rung)
        left = [name for name in names if name in dict(found[:keep])]
    return found


class Spending:
    """What a turn may spend, and has spent: seconds since it began, or money. `per_hour`: what the machine costs."""

    def __init__(self, budget: Budget, per_hour: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._budget, self._per_hour, self._clock, self._began = budget, per_hour, clock, clock()
        self.money = 0.0

    @property
    def seconds(self) -> float:
        """Since the turn began."""
        return self._clock() - self._began

    def pay(self, answers: float, seconds: float) -> float:
        """Count what answers cost, and what the machine costs in these seconds; returns it."""
        spent = answers + seconds / 3600 * self._per_hour
        self.money += spent
        return spent

    def affords(self, seconds: float, money: float) -> bool:
        """Whether so much more can be spent."""
        if self._budget.money is not None:
            return self.money + money <= self._budget.money.amount and self.money < self._budget.money.amount
        limit = self._budget.seconds or 0.0
        return self.seconds + seconds <= limit and self.seconds < limit
