"""Recompute the bounds of a verdict: `slipway release verdict --export FOLDER`, then this script with FOLDER.

Gaffke's bound: every group, and one more at the worst possible value, gets a random exponential weight. The weighted
mean is below the lower bound in a share `alpha` of draws (a million draws are too few for an alpha below 1e-4).
Differences of right-or-wrong answers have an exact test, which `recompute_pairs.py` computes; quantiles neither.
"""

import csv
import sys
from pathlib import Path

import numpy as np

random, draws = np.random.default_rng(7), 1_000_000
files = [Path(sys.argv[1]) / name for name in ("rules.csv", "scores.csv")]
rules, examples = (list(csv.DictReader(file.open(encoding="utf-8", newline=""))) for file in files)
for rule in rules:
    sign, groups, result = 1 if rule["side"] == "lower" else -1, {}, "nothing to recompute here"
    for one in (one for one in examples if rule["test"] == "gaffke" and one[rule["column"]]):
        groups.setdefault(one["group"], []).append(sign * float(one[rule["column"]]))
    if groups:
        sums, sizes = np.array([(sum(values), len(values)) for values in groups.values()]).T
        unseen = sizes @ sizes / sizes.sum()  # as large as the group that an example is in, on average
        worst = unseen * float(rule["least"] if sign > 0 else rule["most"]) * sign
        above, below = np.zeros(draws), np.zeros(draws)
        for total, size in zip([*sums, worst], [*sizes, unseen], strict=True):
            above, below = above + total * (weight := random.exponential(size=draws)), below + size * weight
        bound, target = np.quantile(above / below, float(rule["alpha"])), sign * float(rule["target"])
        result = f"{sign * bound:.4f} against {sign * target:g}: {'pass' if bound >= target else 'no pass'}"
    print(rule["metric"], rule["slice"], rule["rule"], result)
