"""Recompute the bounds of a verdict: `slipway release verdict --export FOLDER`, then this script with FOLDER.

Gaffke's bound: every group, and one more at the worst possible value, gets a random exponential weight. The weighted
mean is below the lower bound in a share `alpha` of draws (a million draws are too few for an alpha below 1e-4).
"""
import csv
import sys

import numpy as np

random, draws = np.random.default_rng(7), 1_000_000
rules, examples = (list(csv.DictReader(open(f"{sys.argv[1]}/{name}.csv", encoding="utf-8", newline="")))
                   for name in ("rules", "scores"))  # fmt: skip
for rule in rules:
    if not rule["side"]:  # a quantile, a measured value alone, or nothing to compare with
        print(rule["metric"], rule["slice"], rule["rule"], "is not the bound of a mean: the verdict says", rule["outcome"])
        continue
    sign, worst = (1, float(rule["least"])) if rule["side"] == "lower" else (-1, -float(rule["most"]))
    groups = {}
    for one in (one for one in examples if one[rule["column"]]):
        groups.setdefault(one["group"], []).append(sign * float(one[rule["column"]]))
    sums, sizes = np.array([(sum(values), len(values)) for values in groups.values()]).T
    unseen = sizes @ sizes / sizes.sum()  # as large as the group that an example is in, on average
    above, below = np.zeros(draws), np.zeros(draws)
    for total, size in [*zip(sums, sizes), (worst * unseen, unseen)]:
        weight = random.exponential(size=draws)
        above, below = above + total * weight, below + size * weight
    bound, target = sign * np.quantile(above / below, float(rule["alpha"])), float(rule["target"])
    print(rule["metric"], rule["slice"], rule["rule"], f"{bound:.4f} against {target:g}:", "pass" if sign * (bound - target) >= 0 else "no pass")
