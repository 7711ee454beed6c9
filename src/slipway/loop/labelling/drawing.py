"""Which units become items: some for a reason, some at random, each with the probability that it was taken.

The wanted ones are taken whole: their probability is 1. The others are drawn from the rest, each with the same
probability, so that what they say holds for all that was not wanted (`stats.drawn`). The items of both are shown in one
random order: whoever stops early has labelled a random part of each.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from slipway.core.labelling import Pick
from slipway.text.words import answer_key, words

LEAST_RANDOM = 0.1  # of a queue
_COMMON = 500  # texts that hold a word, from which on it finds nothing by itself


@dataclass(kw_only=True)
class Unit:
    """One thing that could be labelled. `wanted`: how much it is wanted for a reason, the more the higher; a reason
    that does not apply is absent. The rest is as of an `Item`.
    """

    input: dict[str, Any]
    text: str
    answer: str = ""
    other: str = ""
    passages: tuple[tuple[str, str], ...] = ()
    confidence: float | None = None
    lineage: str = ""
    release: str = ""
    wanted: dict[Pick, float] = field(default_factory=dict[Pick, float])


def draw(
    units: Sequence[Unit], size: int, picks: Sequence[Pick], share: float, seed: int
) -> list[tuple[Unit, Pick, float]]:
    """At most `size` units, each with the reason it was taken for and its inclusion probability, in random order.

    `picks`: reasons, which take turns; `share` of the items, and all places that the reasons leave empty, are drawn at
    random from what they did not take.
    """
    chance = random.Random(seed)
    reasons: list[Pick] = [pick for pick in dict.fromkeys(picks) if pick != "random"]
    size = min(size, len(units))
    quota = size - max(1, math.ceil(size * share)) if reasons and size else 0
    taken = _wanted(units, reasons, quota, chance)
    rest = [place for place in range(len(units)) if place not in taken]
    drawn = chance.sample(rest, size - len(taken))
    chosen: list[tuple[Unit, Pick, float]] = [
        (units[place], taken.get(place, "random"), 1.0 if place in taken else len(drawn) / len(rest))
        for place in (*taken, *drawn)
    ]
    chance.shuffle(chosen)
    return chosen


def _wanted(units: Sequence[Unit], reasons: Sequence[Pick], quota: int, chance: random.Random) -> dict[int, Pick]:
    """Place of a unit -> the reason that took it; of units that say the same only one is taken."""
    ranked: dict[Pick, list[int]] = {}
    for pick in reasons:
        places = [(unit.wanted[pick], place) for place, unit in enumerate(units) if pick in unit.wanted]
        chance.shuffle(places)  # equals in no order
        ranked[pick] = [place for _, place in sorted(places, key=lambda one: one[0])]
    taken, said = dict[int, Pick](), set[tuple[str, str]]()
    while len(taken) < quota and any(ranked.values()):
        for pick in reasons:
            if not ranked[pick] or len(taken) >= quota:
                continue
            place = ranked[pick].pop()
            says = (answer_key(units[place].text), answer_key(units[place].answer))
            if place not in taken and says not in said:
                taken[place] = pick
                said.add(says)
    return taken


def novelty(texts: Sequence[str], known: Sequence[str]) -> list[float]:
    """How far each text is from the nearest known one, by the weight of their words: from 0 to 1, nothing in common."""
    bags = [set(words(text.casefold())) for text in known]
    holding: defaultdict[str, list[int]] = defaultdict(list)
    for number, bag in enumerate(bags):
        for word in bag:
            holding[word].append(number)
    weigh = _weights(holding, len(bags))
    totals = [sum(map(weigh, bag)) for bag in bags]
    return [1 - _nearest(set(words(text.casefold())), holding, weigh, totals) for text in texts]


def _weights(holding: Mapping[str, Collection[int]], texts: int) -> Any:
    return lambda word: math.log(1 + texts / len(holding[word])) if word in holding else math.log(1 + texts)


def _nearest(bag: set[str], holding: Mapping[str, list[int]], weigh: Any, totals: Sequence[float]) -> float:
    total, common = sum(map(weigh, bag)), defaultdict[int, float](float)
    for word in bag:
        places = holding.get(word, ())
        for place in places if len(places) < _COMMON else ():
            common[place] += weigh(word)
    return max((weight / (total + totals[place] - weight) for place, weight in common.items()), default=0.0)
