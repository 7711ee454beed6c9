"""Random draws over groups: the Bayesian bootstrap. Remembers the last few matrices, which cost most of the time."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from slipway.stats.grouping import Codes, Statistic

_CELLS = 8_000_000  # of one matrix of random draws: 32 MB in float32


def draws_for(count: int) -> int:
    """How many random draws are made for `count` groups: 5,000, fewer when the matrix would outgrow memory."""
    return max(1_000, min(5_000, _CELLS // max(1, count)))


@lru_cache(maxsize=6)
def exponential_weights(draws: int, count: int, seed: int) -> NDArray[np.float32]:
    """[draws, count] independent exponential weights: the Bayesian bootstrap (Rubin 1981), before normalising."""
    import numpy as np

    weights = np.random.default_rng([seed, count, 1]).standard_exponential((draws, count), dtype=np.float32)
    weights.setflags(write=False)
    return weights


def bootstrap_difference(statistic: Statistic, groups: Codes, tail: float, seed: int = 0) -> tuple[float, float, float]:
    """(low, high, standard error) of challenger minus champion, by a paired Bayesian bootstrap over groups.

    `statistic` takes weights of the champion's n values followed by the challenger's n. Percentile bounds.
    """
    import numpy as np

    n, count = len(groups), int(groups.max()) + 1
    weights = exponential_weights(min(1_000, draws_for(2 * n)), count, seed)[:, groups].astype(np.float64)
    none = np.zeros_like(weights)
    found = statistic(np.hstack([none, weights])) - statistic(np.hstack([weights, none]))
    low, high = np.quantile(found, [tail, 1 - tail])
    return float(low), float(high), float(found.std(ddof=1))
