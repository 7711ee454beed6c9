"""Recompute p-values of right-or-wrong comparisons: `slipway release verdict --export FOLDER`, then this with FOLDER.

Samples are ordered by the score statistic of the target. The p-value is the largest share, over all shares of answers
that become wrong, of made-up samples ordered at least as high as the one seen (300,000 of each, for alphas from 1e-3).
"""

import csv
import sys
from pathlib import Path

import numpy as np


def _score(better: np.ndarray, worse: np.ndarray, n: int, at: float) -> np.ndarray:
    linear = (2 * n - better + worse) * at - better - worse  # the likeliest share of wrong ones solves a quadratic
    share = (np.sqrt(np.maximum(linear**2 + 8 * n * worse * at * (1 - at), 0)) - linear) / (4 * n)
    spread = np.sqrt(np.maximum(n * (2 * np.maximum(share, max(0, -at)) + at * (1 - at)), 1e-12))
    return np.where(abs(better - worse - n * at) < 1e-9, 0, (better - worse - n * at) / spread)


random, files = np.random.default_rng(7), [Path(sys.argv[1]) / name for name in ("rules.csv", "scores.csv")]
rules, examples = (list(csv.DictReader(file.open(encoding="utf-8", newline=""))) for file in files)
for rule in (rule for rule in rules if rule["test"] == "exact-paired"):
    sign, p_value = 1 if rule["side"] == "lower" else -1, 0.0
    values = np.array([sign * float(one[rule["column"]]) for one in examples if one[rule["column"]]])
    n, at = len(values), sign * float(rule["target"])
    seen = _score((values > 0).sum(), (values < 0).sum(), n, at) - 1e-9
    for worse in np.linspace(max(0, -at), (1 - at) / 2, 60):
        better, wrong, _ = random.multinomial(n, [worse + at, worse, max(0, 1 - at - 2 * worse)], 300_000).T
        p_value = max(p_value, np.mean(_score(better, wrong, n, at) >= seen))
    result = f"p = {p_value:.4f} against {rule['alpha']}: {'pass' if p_value <= float(rule['alpha']) else 'no pass'}"
    print(rule["metric"], rule["slice"], rule["rule"], result)
