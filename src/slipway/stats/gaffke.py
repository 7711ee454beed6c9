"""The distribution behind Gaffke's bound, computed exactly: no random draws, so it holds for any error level.

Gaffke (2005) bounds the mean of values in a known range by the Bayesian bootstrap with one more value at the end of the
range. Whether its quantile lies below m is a question about a weighted sum of independent gamma variables, and that
is one integral in the complex plane. For right and wrong it is the beta distribution, and the bound is that of Clopper
and Pearson.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slipway.stats.grouping import Floats

_STEP = 0.15  # of the trapezoid rule; its error is about exp(-5 / step)
_BLOCK = 24  # nodes computed at once
_DISTINCT = 4_096  # more different coefficients are rounded down to a grid of so many


def tail_below_zero(coefficients: Floats, counts: Floats) -> float:
    """P(sum of a_j G_j <= 0), with independent G_j ~ Gamma(k_j, 1). `coefficients` a and `counts` k are [J], k > 0.

    The sum's moment generating function is prod (1 - a_j s)^-k_j, and the probability is the integral of it over -s
    along a line left of zero (Lugannani and Rice 1980). Here it runs along a hyperbola that leaves the saddle point
    the way of steepest descent, so that nothing cancels: the relative error is below 1e-8 however small the
    probability. More than 4,096 different coefficients are rounded
    down, which makes the probability a little too large.
    """
    import numpy as np

    scale = float(np.abs(coefficients).max(initial=0.0))
    if scale == 0 or coefficients.max() <= 0:
        return 1.0
    if coefficients.min() >= 0:
        return 0.0
    a, k = _few(coefficients / scale, counts)
    return _left_tail(a, k) if k @ a > 0 else 1 - _left_tail(-a, k)


def _left_tail(a: Floats, k: Floats) -> float:
    import numpy as np

    saddle = _saddle(a, k)
    peak = -float(k @ np.log1p(-a * saddle)) - math.log(-saddle)
    slopes, powers = np.append(a / (1 - a * saddle), -1 / saddle), np.append(k, 1.0)  # 1/-s is one more factor
    width = 1 / math.sqrt(float(powers @ slopes**2))
    bend = float(powers @ slopes**3) * width**3 / 3
    total, start = 0.0, 0
    while True:
        u = _STEP * np.arange(start, start + _BLOCK)
        y = np.sinh(u)
        root = np.sqrt(1 + 2 * y**2)
        real = 1 - np.multiply.outer(bend * (root - 1), width * slopes)
        imaginary = -np.multiply.outer(y, width * slopes)
        height = np.exp(-0.5 * (np.log(real**2 + imaginary**2) @ powers)) * np.cosh(u)
        angle = -(np.arctan2(imaginary, real) @ powers)
        total += float((height * (np.cos(angle) + 2 * bend * y / root * np.sin(angle))).sum())
        if height[-1] < 1e-13 or start > 1_000:
            break
        start += _BLOCK
    return min(1.0, math.exp(peak) * width * _STEP / math.pi * (total - 0.5))  # half of the first node, which is 1


def _few(a: Floats, k: Floats) -> tuple[Floats, Floats]:
    """Coefficients that differ, with their counts added up; zeros add nothing."""
    import numpy as np

    if len(a) > _DISTINCT:
        low, width = float(a.min()), float(np.ptp(a)) / _DISTINCT
        cells = np.floor((a - low) / width).astype(np.intp)
        held = np.bincount(cells, weights=k).astype(np.float64)
        grid = low + width * np.arange(len(held), dtype=np.float64)
        a, k = grid[held > 0], held[held > 0]
    return a[a != 0], k[a != 0]


def _saddle(a: Floats, k: Floats) -> float:
    """The point left of zero where the integrand is smallest on the real line: Newton's method, kept in a bracket."""
    import numpy as np

    mean, spread = float(k @ a), float(k @ a**2)
    low, high = 1 / float(a.min()), 0.0
    point = (-mean - math.sqrt(mean**2 + 4 * spread)) / (2 * spread)
    for _ in range(100):
        if not low < point < high:
            point = (low + high) / 2
        slopes = a / (1 - a * point)
        slope = float(k @ slopes) - 1 / point
        low, high = (low, point) if slope > 0 else (point, high)
        curve = float(k @ slopes**2) + 1 / point**2
        if abs(slope) < 1e-6 * math.sqrt(curve) or not np.isfinite(curve):
            break
        point -= slope / curve
    return point
