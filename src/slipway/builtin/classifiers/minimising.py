"""Limited-memory BFGS (Nocedal 1980; Liu and Nocedal 1989) for a smooth convex function of many variables.

scipy's `L-BFGS-B` keeps bounds that nothing here has: a step of it took 30 times as long as the function itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

STEPS = 100
MEMORY = 8  # pairs that are remembered
LITTLE = 1e-6  # of the value: a step that gains less is the last
_HALVINGS = 20
_SUFFICIENT = 1e-4  # share of the gain that the slope promises (Armijo)


def minimise(function: Callable[[Floats], tuple[float, Floats]], start: Floats) -> Floats:
    """Where the function is least, near enough. `function`: x [n] -> (value, gradient [n])."""
    import numpy as np

    x = start
    value, slope = function(x)
    pairs: list[tuple[Floats, Floats, float]] = []
    for _ in range(STEPS):
        way = _direction(slope, pairs)
        promised = _dot(slope, way)
        if promised >= 0:
            pairs, way = [], -slope
            promised = _dot(slope, way)
        if not promised:
            break
        step = 1.0 if pairs else min(1.0, 1.0 / float(np.abs(slope).sum()))
        for _ in range(_HALVINGS):
            there = (x + np.float32(step) * way).astype(np.float32, copy=False)
            found, next_slope = function(there)
            if found <= value + _SUFFICIENT * step * promised:
                break
            step /= 2
        else:
            break
        moved, turned = there - x, next_slope - slope
        curvature = _dot(moved, turned)
        if curvature > 0:
            pairs = [*pairs[-MEMORY + 1 :], (moved, turned, curvature)]
        gained, x, value, slope = value - found, there, found, next_slope
        if gained <= LITTLE * max(1.0, abs(value)) and len(pairs) > 1:
            break
    return x


def _direction(slope: Floats, pairs: list[tuple[Floats, Floats, float]]) -> Floats:
    """The two-loop recursion."""
    import numpy as np

    way = -slope
    shares: list[float] = []
    for moved, turned, curvature in reversed(pairs):
        share = _dot(moved, way) / curvature
        shares.append(share)
        way -= np.float32(share) * turned
    if pairs:
        moved, turned, curvature = pairs[-1]
        way *= np.float32(curvature / _dot(turned, turned))
    for (moved, turned, curvature), share in zip(pairs, reversed(shares), strict=True):
        way += np.float32(share - _dot(turned, way) / curvature) * moved
    return way


def _dot(one: Floats, other: Floats) -> float:
    """Summed in pairs, not by a library with threads: the same on every run, and exact enough."""
    import numpy as np

    return float(np.multiply(one, other, dtype=np.float32).sum(dtype=np.float64))
