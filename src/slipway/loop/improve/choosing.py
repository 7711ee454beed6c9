"""Whether the best of the search is shown on dev to be better than what serves, and whether a look at gate is worth it.

Pure: scores in, a decision out. Dev chose the best, so what it shows is too good by that; it only decides whether gate
is asked. That nothing worse is released rests on gate alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from slipway.core.look import Look
from slipway.core.metrics import MetricInfo
from slipway.core.report import Score
from slipway.errors import ConfigError
from slipway.release.looks import alpha_at
from slipway.release.planning import Known, Place, prospects
from slipway.release.rules import Rule
from slipway.stats.pairs import difference_bounds, one_sided, pair
from slipway.stats.samples import aggregate, point

ALPHA = 0.05  # one-sided, of the comparison on dev, shared among all that were measured on the whole of it
FEWEST = 6  # independent examples: below it not even answers that all became right show anything


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """The best recipe against what serves, on dev: values, paired difference with its 95% interval, one-sided p-value.

    `outcome`: `better`, `not-shown`, or `too-small` where no answers whatever could show it.
    """

    name: str
    outcome: Literal["better", "not-shown", "too-small"]
    champion: float = 0.0
    challenger: float = 0.0
    effect: float = 0.0
    low: float | None = None
    high: float | None = None
    p_value: float = 1.0
    alpha: float = ALPHA
    n: int = 0


class LookPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The look that is to come: which it is of how many, at which alpha; `power`: the chance that gate shows the gain
    if that is as large as dev says, None where nothing is known; `needed`: gate examples for 80%; `worth`: asked.
    """

    number: int
    budget: int
    alpha: float
    gate: int
    power: float | None = None
    needed: int | None = None
    worth: bool = True


def value(info: MetricInfo, scores: Sequence[Score]) -> float | None:
    """The metric of these, turned so that higher is better; None where none of them has it."""
    found = aggregate(scores, info)
    return None if found is None else found.value if info.higher_is_better else -found.value


def best_of(
    info: MetricInfo,
    champion: Sequence[Score],
    finalists: Mapping[str, Sequence[Score]],
    gain: float = 0.0,
    *,
    bounds: bool = True,
) -> Compared | None:
    """The best of the finalists against what serves; None without one that has the metric. `bounds`: with the interval,
    which costs more than the decision.
    """
    values = {name: found for name, scores in finalists.items() if (found := value(info, scores)) is not None}
    if not values:
        return None
    name = max(values, key=lambda one: values[one])
    alpha = ALPHA / len(finalists)
    try:
        both = pair(champion, finalists[name], info)
        if both.champion.group_count < FEWEST:
            return Compared(name=name, outcome="too-small", n=len(both.champion))
        low, high = difference_bounds(info, both, 0.025) if bounds else (None, None)
    except ConfigError:
        return Compared(name=name, outcome="too-small")
    above, below = one_sided(info, both, gain if info.higher_is_better else -gain)
    p_value = above if info.higher_is_better else below
    theirs, ours = point(info, both.champion), point(info, both.challenger)
    return Compared(
        name=name, outcome="better" if p_value <= alpha else "not-shown", champion=theirs, challenger=ours,
        effect=ours - theirs, low=low, high=high, p_value=p_value, alpha=alpha, n=len(both.champion),
    )  # fmt: skip


def plan_look(
    rules: Mapping[str, Rule],
    metric: str,
    known: Known,
    places: Sequence[Place],
    total: int,
    earlier: Sequence[Look],
    budget: int,
    least: float,
) -> LookPlan:
    """The next look at gate, planned from the answers to dev. `least`: power below which it is not worth a look."""
    alpha = alpha_at(earlier)
    made = LookPlan(number=len(earlier) + 1, budget=budget, alpha=alpha, gate=len(places))
    rows, needs = prospects(rules, known, places, total, [alpha])
    never = any(row.never for row in rows)
    claim = next((row for row in rows if row.metric == metric and row.rule == "superiority"), None)
    power = claim.power if claim else None
    worth = not never and (power is None or power >= least)
    return msgspec.structs.replace(made, power=power, needed=needs[0], worth=worth)
