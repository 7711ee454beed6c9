"""How much power could a test have that keeps its 5% in every world? An upper bound, beside the gate's own power.

    python bench/gate_room.py [--trials 500] [--sizes 20 50 143 500] [--worlds binary skewed ...]

A test that is wrong in at most 5% in every world is so in the worlds made here, where the true difference is zero.
Against one of them the strongest test is known (Neyman and Pearson), so its power bounds that of every such test; the
lowest of these bounds is shown. The worlds are made of the answers as they are: tilted towards zero (exponentially, or
as the likeliest distribution with a mean of zero is), and what then is still above zero is taken away by a ruin, a
share of answers with the worst difference. A lower bound may exist: there may be less room than is shown, not more.
Where questions share documents, documents are the units, of up to 9 questions, and a ruin takes the whole of one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np  # noqa: E402
from gate import drawn, rate  # noqa: E402
from gate_worlds import WORLDS, World  # noqa: E402

CELLS = 100  # of a difference, each side of zero
LARGEST, PER_GROUP = 9, 5  # questions of a document of the clustered world, at most and on average
Floats = np.ndarray


def units(world: World, n: int, size: int = 200_000) -> tuple[Floats, Floats, int]:
    """Differences there are, their shares, and how many independent ones n questions are."""
    rng, gain = np.random.default_rng(1), world.gain
    assert gain is not None
    first = world.draw(rng, 2_000, gain(n))
    grouped = len(set(first.groups)) < len(first.groups)
    found: list[Floats] = []
    while sum(map(len, found)) < size:
        one = world.draw(rng, 2_000, gain(n))
        difference = one.challenger - one.champion
        found.append(np.bincount(one.groups, weights=difference)[:-1] / LARGEST if grouped else difference)
    values, counts = np.unique(np.round(np.concatenate(found) * CELLS) / CELLS, return_counts=True)
    return values, counts / counts.sum(), max(2, round(n / PER_GROUP)) if grouped else n


def with_worst(values: Floats, shares: Floats) -> tuple[Floats, Floats]:
    """The same with -1 among the values, be it never seen."""
    return (values, shares) if values[0] <= -1 else (np.append(-1.0, values), np.append(0.0, shares))


def nulls(values: Floats, shares: Floats, steps: int = 21) -> Iterator[Floats]:
    """Shares of the values, -1 first, with a mean of zero."""
    mean = shares @ values
    low, high = 0.0, 1.0
    while tilted(values, shares, high) @ values > 0 and high < 1e4:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if tilted(values, shares, middle) @ values > 0 else (low, middle)
    for part in np.linspace(0, 1, steps):
        yield ruined(values, tilted(values, shares, part * low))
    for bet in np.linspace(0, 1, steps)[1:]:
        weights = np.where(shares > 0, shares / np.maximum(1 + bet * values, 1e-3), 0.0)
        weights = weights / max(1.0, weights.sum())
        weights[0] += 1 - weights.sum()
        if 0 <= weights @ values <= mean:
            yield ruined(values, weights)


def tilted(values: Floats, shares: Floats, by: float) -> Floats:
    """Shares times exp(-by * value)."""
    there = shares > 0
    made = np.zeros_like(shares)
    made[there] = shares[there] * np.exp(-by * (values[there] - values[there].min()))
    return made / made.sum()


def ruined(values: Floats, shares: Floats) -> Floats:
    """So much of -1, which is first, that the mean is zero."""
    mean = max(float(shares @ values), 0.0)
    share = mean / (1 + mean)
    made = shares * (1 - share)
    made[0] += share
    return made


def strongest(shares: Floats, null: Floats, n: int, trials: int, seed: int = 2) -> float:
    """Power of the likelihood ratio test of n draws, with 5% error at `null`: no test there has more."""
    rng = np.random.default_rng(seed)
    with np.errstate(divide="ignore"):
        ratios = np.where(shares > 0, np.log(np.maximum(shares, 1e-300)) - np.log(np.maximum(null, 1e-300)), -60.0)
    without, there = (
        ratios[rng.choice(len(null), (trials, n), p=one)].sum(axis=1) + rng.normal(0, 1e-9, trials)  # no ties
        for one in (null, shares)
    )
    return float((there > np.quantile(without, 0.95)).mean())


def room(values: Floats, shares: Floats, n: int, trials: int = 20_000) -> float:
    """The lowest bound: chosen with one set of draws, computed with another."""
    values, shares = with_worst(values, shares)
    found = list(nulls(values, shares))
    lowest = min(found, key=lambda null: strongest(shares, null, n, trials // 4, 3))
    return strongest(shares, lowest, n, trials)


def main() -> int:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--trials", type=int, default=500, help="of the gate")
    options.add_argument("--sizes", type=int, nargs="+", default=[20, 50, 143, 500])
    options.add_argument("--worlds", nargs="+", default=["binary", "skewed", "few differ", "clustered"])
    chosen = options.parse_args()
    print(f"{'superiority':12} {'n':>4} {'gain':>6} {'gate':>6} {'at most':>8}")
    for name in chosen.worlds:
        world = WORLDS[name]
        for n in chosen.sizes:
            assert world.gain is not None
            gain = world.gain(n)
            ours = rate(world, "superiority", drawn(world, n, gain, chosen.trials, 1))
            print(f"{name:12} {n:4} {gain:+6.3f} {ours:6.1%} {room(*units(world, n)):8.1%}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
