"""How small an effect the data could show, and how many groups would be enough to decide."""

from __future__ import annotations

import math

from slipway.stats.distributions import normal_quantile, t_quantile

_POWER = 0.8


def detectable(error: float, groups: int, alpha: float, same: float = 0.0, step: float = 0.0) -> float | None:
    """Minimum detectable effect: a two-sided test at `alpha` finds it with a power of 80%.

    `error`: standard error of the difference in the data at hand. An effect adds to it: `same` is the share of groups
    whose difference is zero, and a gain that comes from those comes as wins of 1 (0 for values without bounds).
    `step`: the distance between two results of an exact test of right and wrong (wins minus losses go in steps of two
    examples). None when there are too few groups for any effect to become significant. Never above 1 when `same` or
    `step` is given.
    """
    if groups < 2 or 2.0 ** (1 - groups) > alpha:
        return None
    factor = t_quantile(1 - alpha / 2, groups - 1) + t_quantile(_POWER, groups - 1)
    added = factor**2 * same / groups
    found = (added + math.sqrt(added**2 + 4 * (factor * error) ** 2)) / 2 + step
    return min(1.0, found) if same or step else found


def groups_needed(error: float, groups: int, distance: float, tail: float, pull: float = 0.0) -> int | None:
    """Groups at which an estimate this far from its bound, this scattered, is decided with a power of 80%.

    `pull` is how far the additional group of `mean_bounds` lies from the estimate; it draws the bound by its weight,
    and scatters it. None when the distance is zero. At least one more than there are.
    """
    if distance <= 0 or not math.isfinite(error):
        return None
    factor = normal_quantile(1 - tail) + normal_quantile(_POWER)
    scatter = (factor * error) ** 2 * groups

    def reach(count: float) -> float:
        return math.sqrt(scatter / count + (factor * pull / count) ** 2) + pull / count

    low, high = float(groups), float(groups + 1)
    while reach(high) > distance:
        low, high = high, 2 * high
    while high - low > 1e-3 * high and high - low > 0.5:
        middle = (low + high) / 2
        low, high = (middle, high) if reach(middle) > distance else (low, middle)
    return max(groups + 1, math.ceil(high))
