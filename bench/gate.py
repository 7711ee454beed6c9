"""How often the gate is wrong, and how often it sees what it says it can see.

    python bench/gate.py [--trials 1000] [--seed 0]

Every trial draws a champion's and a challenger's answers to one gate split and asks the real `judge`. Four claims,
each at its hardest point, where a pass is an error:

- superiority: A/A, both from the same distribution;
- non-inferiority: the challenger is worse by exactly the margin;
- min: the true mean lies exactly on the bound;
- max p95: the true 95th percentile lies exactly on the bound.

A false promotion is a verdict of `pass`. Power: the challenger is better by the minimum detectable effect that the
gate itself reported in the A/A trials (their median), and the superiority rule should pass at least 80% of the time.
Distributions: `binary` right/wrong, correlated over candidates through the question's difficulty; `token_f1` with many
zeros; `clusters` as token_f1, five questions a document with a difficulty of their own; `rare` where the candidates
differ on few questions only; `latency` lognormal. Prints a table; exits 1 when a promise is broken.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the work is spread over processes

import numpy as np  # noqa: E402
from scipy.stats import beta as beta_distribution
from scipy.stats import binom, norm

from slipway.core.answer import Answer
from slipway.core.metrics import metric_info
from slipway.core.ref import Ref
from slipway.core.report import Aggregate, Report, Score
from slipway.evaluate.compare import compare
from slipway.release.gate import Rule, judge
from slipway.stats.samples import point, sample

REF = Ref("candidate", "bench", "0" * 64)
Draw = Callable[[np.random.Generator, int, float], tuple[np.ndarray, np.ndarray]]  # champion, challenger


@dataclass(frozen=True)
class World:
    """A way questions and candidates may be. `draw(rng, n, effect)`: the challenger's true mean is `effect` higher."""

    metric: str
    draw: Draw
    mean: float  # of the champion
    per_group: int = 1


def _uniforms(rng: np.random.Generator, n: int, shared: float) -> tuple[np.ndarray, np.ndarray]:
    """Two uniform variables a question, Gaussian copula with correlation `shared` (the question's difficulty)."""
    difficulty = rng.standard_normal(n)
    each = [np.sqrt(shared) * difficulty + np.sqrt(1 - shared) * rng.standard_normal(n) for _ in range(2)]
    return norm.cdf(each[0]), norm.cdf(each[1])


ZEROS, A, B = 0.4, 2.0, 1.3  # token F1: 40% nothing in common, else Beta(2, 1.3)
F1_MEAN = (1 - ZEROS) * A / (A + B)


def _f1_of(uniform: np.ndarray, zeros: float) -> np.ndarray:
    return np.where(uniform < zeros, 0.0, beta_distribution.ppf(np.maximum(uniform - zeros, 0) / (1 - zeros), A, B))


def binary(rng: np.random.Generator, n: int, effect: float) -> tuple[np.ndarray, np.ndarray]:
    first, second = _uniforms(rng, n, 0.5)
    return (first < 0.7) * 1.0, (second < 0.7 + effect) * 1.0


def token_f1(rng: np.random.Generator, n: int, effect: float) -> tuple[np.ndarray, np.ndarray]:
    first, second = _uniforms(rng, n, 0.5)
    return _f1_of(first, ZEROS), _f1_of(second, ZEROS - effect / (A / (A + B)))


def clusters(rng: np.random.Generator, n: int, effect: float) -> tuple[np.ndarray, np.ndarray]:
    """Half of what the two share, and a fifth of what is each one's own, is common to a document's questions."""
    groups = n // 5

    def spread(weight: float) -> np.ndarray:
        common = np.repeat(rng.standard_normal(groups), 5)
        return np.sqrt(weight) * common + np.sqrt(1 - weight) * rng.standard_normal(n)

    difficulty = spread(0.5)
    first, second = (norm.cdf(np.sqrt(0.5) * difficulty + np.sqrt(0.5) * spread(0.2)) for _ in range(2))
    return _f1_of(first, ZEROS), _f1_of(second, ZEROS - effect / (A / (A + B)))


def rare(rng: np.random.Generator, n: int, effect: float) -> tuple[np.ndarray, np.ndarray]:
    """The same answers but for a few: 3% turn right and 3% wrong, and `effect` on one side more."""
    champion = (rng.random(n) < 0.7) * 1.0
    turn = rng.random(n)
    to_right, to_wrong = (0.03 + max(effect, 0.0)) / 0.3, (0.03 + max(-effect, 0.0)) / 0.7
    challenger = np.where(champion == 0, (turn < to_right) * 1.0, (turn >= to_wrong) * 1.0)
    return champion, challenger


def latency(rng: np.random.Generator, n: int, effect: float) -> tuple[np.ndarray, np.ndarray]:
    """Seconds; the challenger is `effect` seconds slower."""
    first, second = _uniforms(rng, n, 0.5)
    return np.exp(0.5 * norm.ppf(first)), np.exp(0.5 * norm.ppf(second)) + effect


WORLDS = {
    "binary": World("exact_match", binary, 0.7),
    "token_f1": World("token_f1", token_f1, F1_MEAN),
    "clusters": World("token_f1", clusters, F1_MEAN, per_group=5),
    "rare": World("exact_match", rare, 0.7),
    "latency": World("latency_p95", latency, float(np.exp(0.5 * norm.ppf(0.95)))),
}


def scores_of(world: World, values: np.ndarray) -> list[Score]:
    """The values as the scores of a gate split."""
    slow = world.metric.startswith("latency")
    return [
        Score(
            example=f"{index}",
            group=f"{index // world.per_group}" if world.per_group > 1 else "",
            language="en",
            answer=Answer(text="", raw="", seconds=float(value) if slow else 1.0),
            metrics={} if slow else {world.metric: float(value)},
        )
        for index, value in enumerate(values)
    ]


def report_of(world: World, scores: list[Score]) -> Report:
    """A report with the one metric the rule is about."""
    info = metric_info(world.metric)
    value = point(info, sample(scores, info))  # the gate makes its own bounds from the scores
    shown = Aggregate(value=value, low=value, high=value, n=len(scores))
    return Report(candidate=REF, dataset=REF, split="gate", scores="", metrics={world.metric: shown})


def promoted(world: World, rule: Rule, champion: np.ndarray, challenger: np.ndarray) -> bool:
    """Whether the gate lets the challenger through."""
    theirs, ours = scores_of(world, champion), scores_of(world, challenger)
    rival = {rule.against: (REF, report_of(world, theirs), theirs)} if rule.against else None
    return judge({world.metric: rule}, report_of(world, ours), ours, rival).outcome == "pass"


def rate(world: World, rule: Rule, n: int, effect: float, trials: int, seed: int) -> int:
    """How many of `trials` challengers, better by `effect`, pass the rule."""
    rng = np.random.default_rng([seed, n])
    return sum(promoted(world, rule, *world.draw(rng, n, effect)) for _ in range(trials))


def declared_effect(world: World, n: int, trials: int, seed: int) -> float:
    """The median minimum detectable effect that comparisons of equals report."""
    rng = np.random.default_rng([seed, n, 1])
    found = []
    for _ in range(trials):
        champion, challenger = world.draw(rng, n, 0.0)
        found.append(compare(scores_of(world, champion), scores_of(world, challenger), world.metric).mde)
    return float(np.median([mde for mde in found if mde is not None]))


def claims(name: str) -> dict[str, tuple[Rule, float]]:
    """The claims tried in a world: rule, and the effect at which a pass is an error."""
    world = WORLDS[name]
    up = metric_info(world.metric).higher_is_better
    margin = 0.05 if up else 0.3
    asked = {
        "superiority (A/A)": (Rule(against="production", better=True), 0.0),
        f"non-inferiority ({margin:g})": (Rule(against="production", margin=margin), -margin if up else margin),
    }
    bound = Rule(min=world.mean) if up else Rule(max=world.mean)
    return asked | {f"{'min' if up else 'max'} {world.mean:.2f}": (bound, 0.0)}


def too_many(passes: int, trials: int, allowed: float = 0.05) -> bool:
    """Whether so many passes would be rarer than 1 in 1,000 if the true rate were `allowed`."""
    return binom.sf(passes - 1, trials, allowed) < 1e-3


def too_few(passes: int, trials: int, wanted: float = 0.8) -> bool:
    """Whether so few passes would be rarer than 1 in 1,000 if the true rate were `wanted`."""
    return binom.cdf(passes, trials, wanted) < 1e-3


def tried(job: tuple[str, int, int, int]) -> list[tuple[str, float, bool]]:
    """All claims of one world at one size: (what, share of passes, whether the promise is kept)."""
    name, n, trials, seed = job
    world, rows = WORLDS[name], []
    for claim, (rule, effect) in claims(name).items():
        share = rate(world, rule, n, effect, trials, seed) / trials
        rows.append((claim, share, share <= 0.05))
    if not world.metric.startswith("latency"):
        effect = declared_effect(world, n, max(20, trials // 10), seed)
        share = rate(world, Rule(against="production", better=True), n, effect, trials, seed + 1) / trials
        rows.append((f"power at MDE {effect:.3f}", share, share >= 0.8))
    return rows


def main() -> int:
    """Run all trials, print the table; 1 when a rate is above 5% or a power below 80%."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--trials", type=int, default=1000)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--sizes", type=int, nargs="+", default=[60, 200])
    options.add_argument("--processes", type=int, default=2)
    chosen = options.parse_args()
    jobs = [(name, n, chosen.trials, chosen.seed) for name in WORLDS for n in chosen.sizes]
    started, broken = time.monotonic(), 0
    print(f"{'world':10} {'n':>4}  {'claim':24} {'passes':>7} {'promise':>8}")
    with ProcessPoolExecutor(chosen.processes) as pool:
        for (name, n, _, _), rows in zip(jobs, pool.map(tried, jobs), strict=True):
            for claim, share, kept in rows:
                promise = ">= 80%" if claim.startswith("power") else "<= 5%"
                print(f"{name:10} {n:4}  {claim:24} {share:7.1%} {promise:>8}{'' if kept else '  BROKEN'}", flush=True)
                broken += not kept
    print(f"{chosen.trials} trials each, {time.monotonic() - started:.0f} s on {chosen.processes} processes")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
