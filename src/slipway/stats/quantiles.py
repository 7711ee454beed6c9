"""Quantiles and their confidence bounds, without any assumption on the values. On plain arrays; random nowhere.

That a share `q` of the values does not exceed v is a claim about a mean of zeros and ones, so its exact bound (`means`)
gives the bound of the quantile: for independent examples by order statistics (David and Nagaraja 2003, 7.1), for
examples that share groups by the groups' shares.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from slipway.stats.means import tail_at, totals

if TYPE_CHECKING:
    from slipway.stats.grouping import Codes, Floats


def quantile(values: Floats, q: float) -> float:
    """The smallest value that at least a fraction `q` of the values do not exceed (no interpolation)."""
    import numpy as np

    return float(np.quantile(values, q, method="inverted_cdf"))


def quantile_low(values: Floats, groups: Codes, q: float, tail: float) -> float | None:
    """Lower bound with one-sided error `tail`, or None where the data give none."""
    import numpy as np

    ordered = np.unique(values)
    if tail <= 0:
        return None

    def shown(rank: int) -> bool:  # that more than a share q lies below is refuted
        return share_tail(-(values < ordered[rank]).astype(np.float64), groups, -q, -1.0) <= tail

    found = _last(shown, len(ordered), rising=False)
    return None if found is None else float(ordered[found])


def quantile_high(values: Floats, groups: Codes, q: float, tail: float) -> float | None:
    """Upper bound with one-sided error `tail`, or None where the data give none: p95 needs 59 examples for 5%."""
    import numpy as np

    ordered = np.unique(values)
    if tail <= 0:
        return None

    def shown(rank: int) -> bool:
        return share_tail((values <= ordered[rank]).astype(np.float64), groups, q, 0.0) <= tail

    found = _last(shown, len(ordered), rising=True)
    return None if found is None or math.isinf(ordered[found]) else float(ordered[found])


def share_tail(inside: Floats, groups: Codes, at: float, end: float) -> float:
    """p-value of "the share is at most `at`", by groups; `end` is the lowest a share can be."""
    return tail_at(totals(inside, groups), end, at)


def quantile_needs(q: float, tail: float) -> int:
    """Independent examples from which on a quantile has an upper bound with one-sided error `tail`."""
    return math.ceil(math.log(tail) / math.log(q))


def _last(shown: Callable[[int], bool], count: int, *, rising: bool) -> int | None:
    """The first rank that is shown when they become so with rank, the last that is when they cease to; None: none."""
    low, high = -1, count
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if shown(middle) == rising else (middle, high)
    found = high if rising else low
    return found if 0 <= found < count else None
