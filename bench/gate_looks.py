"""How often a whole sequence of looks, or a choice among many candidates, lets a bad candidate through the gate.

    python bench/gate_looks.py [--trials 2000] [--sizes 20 50 143 500] [--worlds hill-climb ...]

Every trial asks the real `judge` at the levels of `slipway.release.looks`. The claim is `min`: the true rate of right
answers lies exactly on the bound, so every pass is an error. A trial ends at its first pass.

- `random`: 20 looks, each at a new candidate;
- `climb`: 20 looks; each candidate changes 30% of the answers of the best so far, by the value that the gate showed;
- `vote`: 19 looks, then the majority vote of those that the gate showed to be above the bound (Blum and Hardt 2015);
- `extended`: as `climb`, and the gate grows by a tenth of fresh examples before every look;
- `choice`: 20 candidates, 15 of them on the bound and cheap, 4 just above it, 1 dear and certain, ordered by a dev
  split of the same size; one look. An error is the release of one on the bound; the other figure is how often anything
  is released.

`fixed` is the same with alpha 5% at every look, and for `choice` with only the cheapest on dev sent to the gate: what a
counter that restarts, or one test of the winner, comes to. Prints a table; exits 1 when a promise is broken.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the work is spread over processes

import numpy as np  # noqa: E402
from numpy.typing import NDArray
from scipy.stats import beta, binom

from slipway.core.answer import Answer
from slipway.core.look import Look
from slipway.core.ref import Ref
from slipway.core.report import Aggregate, Report, Score
from slipway.release.gate import Rule, judge
from slipway.release.looks import alpha_at
from slipway.release.selection import Contender, plan

Right = NDArray[np.bool_]
METRIC, BOUND, LOOKS, CHANGED = "exact_match", 0.7, 20, 0.3
RULES = {METRIC: Rule(min=BOUND)}
REF = Ref("candidate", "bench", "0" * 64)


def scores_of(right: Right) -> list[Score]:
    """Right and wrong answers as scores."""
    answer = Answer(text="", raw="")
    return [
        Score(example=f"{n}", group=f"{n}", language="en", answer=answer, metrics={METRIC: float(value)})
        for n, value in enumerate(right)
    ]


def report_of(right: Right) -> Report:
    """A report with the rate and its exact 95% interval (Clopper and Pearson 1934)."""
    k, n = int(right.sum()), len(right)
    low = float(beta.ppf(0.025, k, n - k + 1)) if k else 0.0
    high = float(beta.ppf(0.975, k + 1, n - k)) if k < n else 1.0
    shown = Aggregate(value=k / n, low=low, high=high, n=n)
    return Report(candidate=REF, dataset=REF, split="gate", scores="", metrics={METRIC: shown})


def passes(right: Right, alpha: float) -> bool:
    """Whether the gate lets the candidate through at this level.

    The judge is asked where the exact bound (Clopper and Pearson) at a quarter of the level and at four times the level
    say different things; elsewhere it could only repeat them, and most of the time is saved.
    """
    k, n = int(right.sum()), len(right)
    if k == 0 or beta.ppf(min(0.5, 4 * alpha), k, n - k + 1) <= BOUND:
        return False
    if beta.ppf(alpha / 4, k, n - k + 1) > BOUND:
        return True
    return judge(RULES, report_of(right), scores_of(right), alpha=alpha).outcome == "pass"


def levels(number: int, fixed: bool) -> list[float]:
    """Alpha of each look."""
    looks = [Look(seq=n, at="", kind="verdict", examples="", candidates=("c",)) for n in range(number)]
    return [0.05 if fixed else alpha_at(looks[:n]) for n in range(number)]


def random(rng: np.random.Generator, n: int, fixed: bool) -> bool:
    """A new candidate at every look."""
    return any(passes(rng.random(n) < BOUND, alpha) for alpha in levels(LOOKS, fixed))


def climb(rng: np.random.Generator, n: int, fixed: bool, growth: float = 0.0) -> bool:
    """Each look at a variation of the best so far."""
    best = rng.random(n) < BOUND
    for number, alpha in enumerate(levels(LOOKS, fixed)):
        fresh = rng.random(len(best)) < BOUND
        tried = np.where(rng.random(len(best)) < CHANGED, fresh, best) if number else best
        if passes(tried, alpha):
            return True
        best = tried if tried.mean() > best.mean() else best
        best = np.concatenate([best, rng.random(round(growth * n)) < BOUND])
    return False


def extended(rng: np.random.Generator, n: int, fixed: bool) -> bool:
    """The gate grows between looks."""
    return climb(rng, n, fixed, growth=0.1)


def vote(rng: np.random.Generator, n: int, fixed: bool) -> bool:
    """The last look is at the majority of what looked good; on fresh inputs it is right as often as any of them."""
    alphas, tried = levels(LOOKS, fixed), list[Right]()
    for alpha in alphas[:-1]:
        tried.append(rng.random(n) < BOUND)
        if passes(tried[-1], alpha):
            return True
    good = [one for one in tried if one.mean() > BOUND] or tried
    right = np.sum(good, axis=0)
    cut = int(binom.ppf(1 - BOUND, len(good), BOUND))
    share = (binom.cdf(cut, len(good), BOUND) - (1 - BOUND)) / binom.pmf(cut, len(good), BOUND)
    return passes((right > cut) | ((right == cut) & (rng.random(n) < share)), alphas[-1])


def choice(rng: np.random.Generator, n: int, fixed: bool) -> tuple[bool, bool]:
    """(whether one that is on the bound was released, whether anything was)."""
    rates = np.array([BOUND] * 15 + [BOUND + 0.02] * 4 + [certain(n)])
    costs = np.array([*rng.permutation(np.linspace(1.0, 2.0, 19)), 3.0])
    dev = [rng.random(n) < rate for rate in rates]
    contenders = [Contender(f"c{i:02}", report_of(one), (), float(costs[i])) for i, one in enumerate(dev)]
    alpha = 0.05 if fixed else alpha_at(())
    made, certified = plan(RULES, contenders, alpha=alpha), list[str]()
    for name in made.preferred[:1] if fixed else made.sequence:
        if not passes(rng.random(n) < rates[int(name[1:])], alpha):
            break
        certified.append(name)
    released = made.best(certified) if certified else ""
    return bool(released) and rates[int(released[1:])] <= BOUND, bool(released)


@cache
def certain(n: int) -> float:
    """A rate that n examples show to be above the bound at the first look, but for one time in 1,000."""
    least = next((k for k in range(1, n + 1) if beta.ppf(alpha_at(()), k, n - k + 1) > BOUND), n)
    for rate in np.linspace(BOUND, 1.0, 301):
        if binom.sf(least - 1, n, rate) > 0.999:
            return float(rate)
    return 1.0


WORLDS: dict[str, Callable[[np.random.Generator, int, bool], bool | tuple[bool, bool]]] = {
    "random": random,
    "climb": climb,
    "vote": vote,
    "extended": extended,
    "choice": choice,
}


def rate(world: str, n: int, trials: int, fixed: bool = False, seed: int = 0) -> tuple[float, float]:
    """(share of trials with an error, share in which anything was released)."""
    rng = np.random.default_rng([seed, n, list(WORLDS).index(world)])
    found = [WORLDS[world](rng, n, fixed) for _ in range(trials)]
    both = [one if isinstance(one, tuple) else (one, one) for one in found]
    return float(np.mean([one[0] for one in both])), float(np.mean([one[1] for one in both]))


def too_many(share: float, trials: int, allowed: float = 0.05) -> bool:
    """Whether such a share would be rarer than 1 in 1,000 if the true rate were `allowed`."""
    return bool(binom.sf(round(share * trials) - 1, trials, allowed) < 1e-3)


def _tried(job: tuple[str, int, int, bool, int]) -> tuple[float, float]:
    world, n, trials, fixed, seed = job
    return rate(world, n, trials, fixed, seed)


def main() -> int:
    """Run all trials, print the table; 1 when more than 5% are errors or less than 95% of choices release."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--trials", type=int, default=2000)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--sizes", type=int, nargs="+", default=[20, 50, 143, 500])
    options.add_argument("--worlds", nargs="+", default=list(WORLDS), choices=list(WORLDS))
    options.add_argument("--processes", type=int, default=2)
    chosen = options.parse_args()
    jobs = [(w, n, chosen.trials, f, chosen.seed) for w in chosen.worlds for n in chosen.sizes for f in (False, True)]
    started, broken, kept = time.monotonic(), 0, (0.0, 0.0)
    print(f"{'world':10} {'n':>4} {'errors':>7} {'released':>9}   {'fixed: errors':>13} {'released':>9}")
    with ProcessPoolExecutor(chosen.processes) as pool:
        for (world, n, trials, fixed, _), found in zip(jobs, pool.map(_tried, jobs), strict=True):
            if not fixed:
                kept = found
                continue
            wrong = too_many(kept[0], trials) or (world == "choice" and kept[1] < 0.95)
            broken += wrong
            shown = f"{kept[1]:9.1%}" if world == "choice" else " " * 9
            other = f"{found[1]:9.1%}" if world == "choice" else ""
            mark = "  BROKEN" if wrong else ""
            print(f"{world:10} {n:4} {kept[0]:7.1%} {shown}   {found[0]:13.1%} {other}{mark}", flush=True)
    print(f"{chosen.trials} trials each, {time.monotonic() - started:.0f} s on {chosen.processes} processes")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
