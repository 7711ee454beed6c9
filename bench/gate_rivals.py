"""What people write instead of the gate, on the same draws: their share of passes. All one-sided at 5%.

`t` is the paired t-test, `bootstrap` the percentile bootstrap over examples, `mcnemar` the exact test of discordant
pairs; none knows groups. `before` is what the gate did before: the sign-flip test of whole groups, two-sided at 5%.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from gate_worlds import Draw
from scipy.stats import binom
from scipy.stats import t as student

from slipway.stats.means import lower_bound, totals

RESAMPLES = 1_000


def rival_passes(draws: Sequence[Draw], claim: str, shift: float, form: str, sign: float, q: float) -> dict[str, float]:
    """Share of passes. Shown is to be: sign * (challenger - champion) > -shift, or sign * (challenger - shift) > 0."""
    rng = np.random.default_rng(5)
    ours, theirs = (np.array([filled(d, side) for d in draws]) for side in ("challenger", "champion"))
    n = ours.shape[1]
    weights = rng.multinomial(n, np.full(n, 1 / n), RESAMPLES).astype(np.float64)
    if form == "mean":
        values = sign * (ours - shift) if claim == "bound" else sign * (ours - theirs) + shift
        found = {"t": _t(values), "bootstrap": float(np.mean(np.quantile(values @ weights.T, 0.05, axis=1) > 0))}
        if claim == "superiority" and np.isin(ours, (0, 1)).all() and np.isin(theirs, (0, 1)).all():
            wins, losses = (values > 0).sum(axis=1), (values < 0).sum(axis=1)
            found["mcnemar"] = float(np.mean(binom.sf(wins - 1, wins + losses, 0.5) <= 0.05))
        if claim == "superiority":
            found["before"] = _before(values, draws, rng)
        return found
    passes = 0
    for draw in draws:
        mine, other = (_resampled(draw, side, weights[:400], form, q) for side in ("challenger", "champion"))
        values = sign * (mine - shift) if claim == "bound" else sign * (mine - other) + shift
        passes += np.quantile(values, 0.05) > 0
    return {"bootstrap": passes / len(draws)}


def filled(draw: Draw, side: str) -> np.ndarray:
    """Values [n] as people take them: what failed costs what it spent."""
    return draw.challenger if side == "challenger" else draw.champion


def _t(values: np.ndarray) -> float:
    n, error = values.shape[1], values.std(axis=1, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.mean(values.mean(axis=1) / (error / np.sqrt(n)) > student.ppf(0.95, n - 1)))


def _before(values: np.ndarray, draws: Sequence[Draw], rng: np.random.Generator) -> float:
    width = max(int(d.groups.max()) + 1 for d in draws)
    sums = np.array([np.bincount(d.groups, weights=row, minlength=width) for d, row in zip(draws, values, strict=True)])
    signs = rng.choice(np.array([-1.0, 1.0], dtype=np.float32), (1_999, width))
    seen = sums.sum(axis=1, keepdims=True)
    flipped = (sums.astype(np.float32) @ signs.T).astype(np.float64)
    above = (1 + (flipped >= seen - 1e-5).sum(axis=1)) / 2_000
    passes = (2 * above < 0.05) & (seen[:, 0] > 0)
    for index in np.flatnonzero(passes):
        if np.count_nonzero(sums[index]) < 8:
            passes[index] = lower_bound(totals(values[index], draws[index].groups), -1.0, 0.025) > 0
    return float(passes.mean())


def _resampled(draw: Draw, side: str, weights: np.ndarray, form: str, q: float) -> np.ndarray:
    if form == "quantile":
        values = filled(draw, side)
        order = np.argsort(values)
        running = np.cumsum(weights[:, order], axis=1)
        return values[order][np.argmax(running >= q * len(values) - 1e-9, axis=1)]
    assert draw.labels is not None
    gold, given = draw.labels[0], draw.labels[2 if side == "challenger" else 1]
    truth, guess = np.eye(3)[gold], np.eye(3)[given]
    both = weights @ truth + weights @ guess
    present = (weights @ truth) > 0
    return (2 * (weights @ (truth * guess)) / np.maximum(both, 1e-9)).sum(axis=1) / present.sum(axis=1)
