"""How often the intervals of perplexity and bits per byte miss: a ratio of totals, long references among short ones.

    python bench/perplexity.py [--trials 400] [--sizes 20 60 200] [--seed 0]

References have lognormal lengths; nats a token are drawn per reference and in part shared by its group, more for short
ones, with a few references that are a surprise. Shown for each world and number of references: the share of 95%
intervals that miss the ratio of a million references, as reports print them and by the delta method with Student's t,
both by whole groups; and the mean width of the first as a share of the second's. About 30 CPU-seconds.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from slipway.stats.grouping import standard_error
from slipway.stats.means import mean_bounds

Floats = NDArray[np.float64]
TAIL = 0.025
WORLDS = {  # spread of lengths (log), shared part of the variance, share of surprises and their nats a token
    "short answers": (0.3, 0.0, 0.0, 0.0),
    "mixed lengths": (1.0, 0.0, 0.0, 0.0),
    "groups of four": (0.7, 0.6, 0.0, 0.0),
    "2% are surprises": (0.7, 0.0, 0.02, 9.0),
    "10% are surprises": (0.7, 0.0, 0.1, 9.0),
}


def drawn(world: str, n: int, rng: np.random.Generator) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """(nats a token, tokens, group) of n references."""
    spread, shared, share, high = WORLDS[world]
    groups = np.arange(n) // (4 if shared else 1)
    tokens = np.maximum(2.0, np.round(np.exp(rng.normal(2.5, spread, n))))
    common, own = rng.normal(size=groups[-1] + 1)[groups], rng.normal(size=n)
    scatter = np.sqrt(shared) * common + np.sqrt(1 - shared) * own
    nats = np.exp(0.5 + 0.5 * scatter) + 4 / tokens
    return np.where(rng.random(n) < share, high, nats), tokens, groups.astype(np.intp)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--sizes", type=int, nargs="+", default=[20, 60, 200])
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    print(f"{'world':18} {'n':>4} {'misses':>7} {'delta':>6} {'width':>6}")
    for world in WORLDS:
        rng = np.random.default_rng([asked.seed, *world.encode()])
        values, tokens, _ = drawn(world, 1_000_000, rng)
        truth = float(np.average(values, weights=tokens))
        for n in asked.sizes:
            missed, delta, widths = 0, 0, list[float]()
            for _ in range(asked.trials):
                values, tokens, groups = drawn(world, n, rng)
                low, high = mean_bounds(values, groups, (0.0, None), TAIL, weights=tokens)
                middle = float(np.average(values, weights=tokens))
                half = student.ppf(1 - TAIL, groups[-1]) * standard_error(values, groups, tokens)
                missed += not low <= truth <= high
                delta += not middle - half <= truth <= middle + half
                widths.append(float((high - low) / (2 * half)))
            shares = (100 * missed / asked.trials, 100 * delta / asked.trials, float(np.mean(widths)))
            print(f"{world:18} {n:4} {shares[0]:7.1f} {shares[1]:6.1f} {shares[2]:6.2f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
