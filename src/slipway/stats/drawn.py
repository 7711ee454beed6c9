"""What a mean over a whole population is, from units that were drawn with known probabilities. Random nowhere.

Units with the same inclusion probability were drawn together, at random and without replacement, from a part of the
population (Cochran 1977, "Sampling techniques", chapter 5): those that were wanted for a reason have probability 1, so
they stand for themselves only, however bad they are. The estimate is that of Horvitz and Thompson 1952. Not every unit
that was drawn needs a value: what was labelled in an order that is random is a random part of what was drawn, and
weighs the more.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from slipway.stats.means import mean_bounds

TAIL = 0.025


@dataclass(frozen=True)
class Drawn:
    """A mean over a population. `n`: units with a value."""

    value: float
    low: float
    high: float
    n: int


def population_mean(
    values: Sequence[float | None],
    probabilities: Sequence[float],
    population: int,
    support: tuple[float, float] = (0.0, 1.0),
) -> Drawn | None:
    """The mean over the population with its 95% interval; None while a part of it has no value yet.

    `values`: of each unit that was drawn, None where there is none yet; `support`: the range they can have. The bounds
    of the parts are Gaffke's (`means`), right for a bounded value and few units; they are joined as independent ones
    (Zou and Donner 2008, "Construction of confidence limits about effect measures"). A part that is known whole adds
    nothing to the width. Raises ValueError for a probability that is none.
    """
    import numpy as np

    if any(not 0 < one <= 1 for one in probabilities):
        raise ValueError("an inclusion probability is in (0, 1]")
    parts: defaultdict[float, list[float | None]] = defaultdict(list)
    for value, probability in zip(values, probabilities, strict=True):
        parts[probability].append(value)
    if not parts or population < len(values):
        return None
    total, low, high, n = 0.0, 0.0, 0.0, 0
    for probability, drawn in parts.items():
        known = np.array([value for value in drawn if value is not None], dtype=np.float64)
        if not len(known):
            return None
        size, mean = len(drawn) / probability, float(known.mean())
        n, total = n + len(known), total + size * mean
        if len(known) < size - 1e-6:
            below, above = mean_bounds(known, np.arange(len(known)), support, TAIL)
            left = 1 - len(known) / size  # the share that is not known: at worst it lies at an end of the range
            narrower = math.sqrt(left)  # the finite population correction
            low += (size * min(narrower * (mean - below), left * (mean - support[0]))) ** 2
            high += (size * min(narrower * (above - mean), left * (support[1] - mean))) ** 2
    value = total / population
    return Drawn(
        value=min(max(value, support[0]), support[1]), n=n,
        low=max(support[0], value - math.sqrt(low) / population),
        high=min(support[1], value + math.sqrt(high) / population),
    )  # fmt: skip
