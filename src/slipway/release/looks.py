"""What a look at the gate split costs. Knows numbers; who looked and when is in the ledger.

All looks at an example together let a bad candidate through with at most 5% probability (`ALPHA`). Look k at a set of
examples gets `ALPHA / (k (k + 1)) / 2^b`: the first factor sums to one over all k; b is how many bits the looks before
it, at any of the same examples, have told. Whoever has been told b bits can have come to at most 2^b different
candidates, and the union bound over those is where the second factor comes from: the description length bound of
Dwork, Feldman, Hardt, Pitassi, Reingold, Roth (2015), Generalization in adaptive data analysis and holdout reuse. A
look at m candidates tells how many of them passed, which is log2(m + 1) bits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from slipway.core.look import Look
from slipway.stats.distributions import normal_quantile

ALPHA = 0.05
POWER = 0.8


def bits(look: Look) -> float:
    """What a look told."""
    return math.log2(1 + max(1, len(look.candidates)))


def alpha_at(earlier: Sequence[Look], alpha: float = ALPHA) -> float:
    """The level of the look that comes after `earlier`, all of them at some of the same examples."""
    number = len(earlier) + 1
    return alpha / (number * (number + 1)) * 2.0 ** -sum(map(bits, earlier))


def price(alpha: float, first: float = ALPHA / 2) -> float:
    """How many times the examples a claim needs at level `alpha` that it needs at `first`, for the same 80% power.

    Normal approximation: the number of examples goes with the square of the sum of both quantiles.
    """
    return ((_upper(alpha) + _upper(1 - POWER)) / (_upper(first) + _upper(1 - POWER))) ** 2


def _upper(tail: float) -> float:
    return -normal_quantile(tail)
