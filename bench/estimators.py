"""How often the intervals of `slipway.stats.estimators` miss, and how wide they are beside that of the plain mean.

    python bench/estimators.py [--trials 1000] [--sizes 20 50 143 500] [--worlds strong useless ...] [--seed 0]
    python bench/estimators.py --exact
    python bench/estimators.py --rivals PYTHON

Every trial draws what two candidates got on n examples with a reference, and covariates of these and of 4 n without.
Shown for each estimator: the share of 95% intervals that miss the true difference, the mean width as a share of the
plain mean's, and in brackets how often Student's interval around the same estimate with the same standard error misses.
A share of misses above 5% that is rarer than 1 in 1,000 by chance is marked BROKEN and ends in exit code 1, but for
those whose assumption is false in a world, which show what then happens.

`--exact`: what a gate could ask, since it holds at every size: the judge's weight fixed before the gate split is seen,
Gaffke's bound for what is left of the difference, another for the judge's mean without a reference, and a union bound.

`--rivals`: the standard errors of lm-evaluation-harness and inspect_ai on the same scores, computed by their own code
in a Python that has both (`pip install inspect_ai sacrebleu && pip install --no-deps lm_eval`).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np  # noqa: E402
from gate_worlds import binary, clustered, few_differ, rare_ruin, skewed, uneven  # noqa: E402
from scipy.stats import binom, norm  # noqa: E402
from scipy.stats import t as student  # noqa: E402

from slipway.errors import ConfigError  # noqa: E402
from slipway.stats.estimators.protocol import Estimated, Estimator, Measured  # noqa: E402
from slipway.stats.estimators.regression import Predictions, Regression  # noqa: E402
from slipway.stats.estimators.repeats import Repeats  # noqa: E402
from slipway.stats.estimators.strata import Strata  # noqa: E402
from slipway.stats.grouping import standard_error  # noqa: E402
from slipway.stats.means import mean_bounds  # noqa: E402

REST = 4  # examples without a reference for each one with
SHARES = {"en": 0.3, "zh": 0.7}
CHECKED: dict[str, tuple[str, ...]] = {  # where not all methods estimate what is asked
    "languages": ("strata",),
    "shares wrong": (),
    "traffic differs": ("plain",),
    "judge fooled, 40 n": ("plain",),
}

Rng = np.random.Generator


class Trial(NamedTuple):
    """A draw, the true difference, and which estimators are asked of it."""

    measured: Measured
    truth: float
    asked: tuple[str, ...] = ("regression", "predictions", "strata")
    plain: np.ndarray | None = None  # values of the plain mean, where they are not the measured ones


def judged(rng: Rng, values: np.ndarray, noise: float) -> np.ndarray:
    """What a judge says of differences: right on all but a share `noise`, where it says anything."""
    return np.where(rng.random(len(values)) < noise, rng.choice([-1.0, 0.0, 1.0], len(values)), values)


def made(rng: Rng, n: int, differences: np.ndarray, groups: np.ndarray, covariates: np.ndarray, truth: float) -> Trial:
    """The first n with a value; languages are drawn by their true shares."""
    strata = tuple(rng.choice(list(SHARES), n, p=list(SHARES.values())).tolist())
    codes = np.unique(groups, return_inverse=True)[1]
    return Trial(
        Measured(differences[:n], codes[:n], (-1.0, 1.0), covariates[:n], covariates[n:], codes[n:], strata), truth
    )


def of(draw: Callable, effect: float, noise: float, mixed: bool = False) -> Callable[[Rng, int], Trial]:
    """A world of the gate, with a judge. `mixed`: examples with and without a value share groups."""

    def world(rng: Rng, n: int) -> Trial:
        found = draw(rng, (1 + REST) * n, effect)
        differences, groups = found.challenger - found.champion, found.groups
        if mixed:
            order = rng.permutation(len(groups))
            differences, groups = differences[order], groups[order]
        return made(rng, n, differences, groups, judged(rng, differences, noise)[:, None], effect)

    return world


def many_covariates(rng: Rng, n: int) -> Trial:
    """As many useless covariates as are allowed."""
    found = binary(rng, (1 + REST) * n, 0.05)
    covariates = rng.standard_normal((len(found.groups), n // 10)) ** 3  # heavy tails
    trial = made(rng, n, found.challenger - found.champion, found.groups, covariates, 0.05)
    return trial._replace(asked=("regression",))


def biased_judge(rng: Rng, n: int) -> Trial:
    """A judge that sees half of a difference and adds 0.3 to it."""
    found = skewed(rng, (1 + REST) * n, 0.05)
    differences = found.challenger - found.champion
    return made(rng, n, differences, found.groups, (0.3 + 0.5 * judged(rng, differences, 0.2))[:, None], 0.05)


def hidden_ruin(rng: Rng, n: int) -> Trial:
    """Ruin where the covariate says so, which is rarely seen with a value and often without."""
    m = (1 + REST) * n
    ruined = rng.random(m) < 0.0125 / 0.4125
    return made(rng, n, np.where(ruined, -0.4, 0.0125), np.arange(m), ruined[:, None] * 1.0, 0.0)


def fooled_judge(rest: int) -> Callable[[Rng, int], Trial]:
    """A judge that sees all, but takes a rare ruin for a success; most samples of n hold two or none."""

    def world(rng: Rng, n: int) -> Trial:
        m = (1 + rest) * n
        ruined, usual = rng.random(m) < 2.5 / n, rng.uniform(-0.1, 0.1, m)
        differences, says = np.where(ruined, -1.0, usual), np.where(ruined, 1.0, usual)
        trial = made(rng, n, differences, np.arange(m), says[:, None], -2.5 / n)
        return trial._replace(asked=("regression", "predictions"))

    return world


def languages(wrong: bool) -> Callable[[Rng, int], Trial]:
    """The challenger is better in English and worse in Chinese; examples are half English, production is not."""

    def world(rng: Rng, n: int) -> Trial:
        strata = rng.choice(list(SHARES), n)
        better = np.where(strata == "en", 0.3, -0.2)
        differences = np.sign(better) * (rng.random(n) < np.abs(better))
        truth = 0.3 * (0.6 if wrong else SHARES["en"]) - 0.2 * (0.4 if wrong else SHARES["zh"])
        measured = Measured(differences, np.arange(n), (-1.0, 1.0), strata=tuple(strata.tolist()))
        return Trial(measured, truth, ("strata",))

    return world


def traffic_differs(rng: Rng, n: int) -> Trial:
    """Without a reference there are other questions than with one: easier to be better at."""
    found, other = binary(rng, n, 0.0), binary(rng, REST * n, 0.15)
    differences = np.concatenate([f.challenger - f.champion for f in (found, other)])
    trial = made(rng, n, differences, np.arange(len(differences)), judged(rng, differences, 0.1)[:, None], 0.0)
    return trial._replace(asked=("regression", "predictions"))


def repeated(answers: int, shared: bool = False) -> Callable[[Rng, int], Trial]:
    """Each question has its own chance of a right answer under both, and is answered several times.

    `shared`: questions of a document (1 to 9) share half of what makes them hard.
    """

    def world(rng: Rng, n: int) -> Trial:
        groups = np.repeat(np.arange(n), rng.integers(1, 10, n))[:n] if shared else np.arange(n)
        common = rng.standard_normal(n)[groups] if shared else rng.standard_normal(n)
        hard = (common + rng.standard_normal(n)) / np.sqrt(2)
        values, within, once = np.zeros(n), np.zeros(n), np.zeros(n)
        for sign, ease in ((1, 0.6), (-1, 0.5)):
            own = (hard + rng.standard_normal(n)) / np.sqrt(2)
            right = rng.random((answers, n)) < norm.cdf(ease + own)
            values += sign * right.mean(axis=0)
            once += sign * right[0]
            within += right.var(axis=0, ddof=1)
        truth = float(norm.cdf(0.6 / np.sqrt(2)) - norm.cdf(0.5 / np.sqrt(2)))
        return Trial(Measured(values, groups, (-1.0, 1.0), within=within, answers=answers), truth, ("repeats",), once)

    return world


WORLDS: dict[str, Callable[[Rng, int], Trial]] = {
    "binary, good judge": of(binary, 0.05, 0.1),
    "binary, useless judge": of(binary, 0.05, 1.0),
    "skewed, good judge": of(skewed, 0.05, 0.1),
    "skewed, biased judge": biased_judge,
    "few differ": of(few_differ, 0.0, 0.1),
    "rare ruin": of(rare_ruin, 0.0, 1.0),
    "rare ruin, covariate knows": hidden_ruin,
    "clustered, good judge": of(clustered, 0.05, 0.1),
    "clustered, groups shared": of(clustered, 0.05, 0.1, mixed=True),
    "uneven": of(uneven, 0.0, 0.1),
    "n/10 useless covariates": many_covariates,
    "languages": languages(wrong=False),
    "4 answers": repeated(4),
    "4 answers, clustered": repeated(4, shared=True),
    "shares wrong": languages(wrong=True),
    "traffic differs": traffic_differs,
    "rare ruin, judge fooled": fooled_judge(REST),
    "judge fooled, 40 n": fooled_judge(40),
}
ESTIMATORS: dict[str, Estimator] = {
    "regression": Regression(),
    "predictions": Predictions(),
    "strata": Strata(SHARES),
    "repeats": Repeats(),
}


def student_misses(value: float, error: float, groups: int, truth: float) -> bool:
    """Whether Student's interval does not hold the truth."""
    return bool(abs(value - truth) > student.ppf(0.975, groups - 1) * error + 1e-12)


def cell(world: str, n: int, trials: int, seed: int) -> dict[str, tuple[int, int, int, float]]:
    """Method -> trials, misses, misses of Student's interval, and mean width."""
    rng = np.random.default_rng([seed, n, list(WORLDS).index(world)])
    found: dict[str, list[tuple[bool, bool, float]]] = {}
    for _ in range(trials):
        measured, truth, asked, plain = WORLDS[world](rng, n)
        values = measured.values if plain is None else plain
        groups = len(set(measured.groups.tolist()))
        low, high = mean_bounds(values, measured.groups, measured.support)
        error = standard_error(values, measured.groups)
        t_misses = student_misses(float(values.mean()), error, groups, truth)
        found.setdefault("plain", []).append((not low - 1e-9 <= truth <= high + 1e-9, t_misses, high - low))
        for name in asked:
            try:
                one: Estimated = ESTIMATORS[name].estimate(measured)
            except ConfigError:
                continue  # it says that there is too little
            missed = not one.low - 1e-9 <= truth <= one.high + 1e-9
            found.setdefault(name, []).append(
                (missed, student_misses(one.value, one.error, groups, truth), one.high - one.low)
            )
    return {
        name: (len(got), sum(m for m, _, _ in got), sum(t for _, t, _ in got), float(np.mean([w for _, _, w in got])))
        for name, got in found.items()
    }


def exact(trials: int, sizes: list[int], seed: int) -> None:
    """Misses and width, as a share of the plain mean's, of the union bound with a fixed weight, for several weights."""
    for n in sizes:
        for rest in (4, 20):
            rng = np.random.default_rng([seed, n, rest])
            got = {weight: [0, 0.0] for weight in (0.2, 0.4, 0.6, 0.8)}
            plain = 0.0
            for _ in range(trials):
                found = binary(rng, (1 + rest) * n, 0.05)
                values = found.challenger - found.champion
                says = judged(rng, values, 0.1)
                low, high = mean_bounds(values[:n], np.arange(n), (-1.0, 1.0))
                plain += high - low
                far = mean_bounds(says[n:], np.arange(rest * n), (-1.0, 1.0), 0.2 * 0.025)
                for weight, one in got.items():
                    most = 1 + weight
                    left = values[:n] - weight * says[:n]
                    ends = mean_bounds(left, np.arange(n), (-most, most), 0.8 * 0.025)
                    low, high = (e + weight * f for e, f in zip(ends, far, strict=True))
                    one[0] += not low <= 0.05 <= high
                    one[1] += high - low
            shares = (f"weight {w}: misses {100 * m / trials:.1f}%, width {x / plain:.2f}" for w, (m, x) in got.items())
            print(f"n = {n}, {rest} n without a reference: {' | '.join(shares)}", flush=True)


def shown(got: dict[str, tuple[int, int, int, float]], checked: tuple[str, ...]) -> tuple[str, bool]:
    """A line of the table, and whether an interval misses too often."""
    texts: list[str] = []
    broken = False
    for name, (trials, misses, t_misses, width) in got.items():
        bad = name in checked and bool(binom.sf(misses - 1, trials, 0.05) < 1e-3)
        broken |= bad
        share = f", width {width / got['plain'][3]:.2f}" if name != "plain" else f", width {width:.3f}"
        few = f" of {trials}" if trials < got["plain"][0] else ""
        mark = " BROKEN" if bad else ""
        texts.append(f"{name} {100 * misses / trials:.1f}%{mark} ({100 * t_misses / trials:.1f}%){share}{few}")
    return " | ".join(texts), broken


THEIRS = """
import json, sys, math
import lm_eval.api.metrics as harness
from inspect_ai.scorer import SampleScore, Score, stderr, ci
values, groups = json.load(sys.stdin)
of = [SampleScore(score=Score(value=v), sample_metadata={"g": g}) for v, g in zip(values, groups)]
def told(f):
    try: return float(f())
    except Exception as error: return repr(error)
ends = [ci()(of), ci(cluster="g")(of)]
print(json.dumps([told(lambda: harness.mean_stderr(values)), told(lambda: stderr()(of)),
                  told(lambda: stderr(cluster="g")(of)), [[float(e["lower"]), float(e["upper"])] for e in ends]]))
"""


def rivals(python: str, seed: int) -> None:
    """Standard errors and intervals by lm-eval's and inspect_ai's own code, beside ours."""
    rng = np.random.default_rng(seed)
    n = 500
    single = np.arange(n)
    good = np.ones(20)
    shared = clustered(rng, 143, 0.05)
    pair = binary(rng, n, 0.05)
    cases = {
        "500 right or wrong": ((rng.random(n) < 0.7) * 1.0, single, (0.0, 1.0)),
        "500 token F1": (skewed(rng, n, 0.0).champion, single, (0.0, 1.0)),
        "20 of 20 right": (good, np.arange(20), (0.0, 1.0)),
        "143 in documents": (shared.challenger, shared.groups, (0.0, 1.0)),
        "20 in one document": ((rng.random(20) < 0.7) * 1.0, np.zeros(20, dtype=int), (0.0, 1.0)),
        "champion of a pair": (pair.champion, single, (0.0, 1.0)),
        "challenger of a pair": (pair.challenger, single, (0.0, 1.0)),
        "their difference": (pair.challenger - pair.champion, single, (-1.0, 1.0)),
    }
    print("case | mean | ours, 95% interval | lm-eval | inspect_ai, 95% interval | inspect_ai clustered, 95% interval")
    for name, (values, groups, support) in cases.items():
        asked = json.dumps([values.tolist(), groups.tolist()])
        done = subprocess.run([python, "-c", THEIRS], input=asked, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr[-800:])
        harness, inspect, by_group, ends = json.loads(done.stdout.splitlines()[-1])
        low, high = mean_bounds(values, groups, support)
        cells = [f"{standard_error(values, groups):.4f} [{low:.3f}, {high:.3f}]", f"{harness:.4f}"]
        cells += [f"{e:.4f} [{a:.3f}, {b:.3f}]" for e, (a, b) in zip((inspect, by_group), ends, strict=True)]
        print(" | ".join([name, f"{values.mean():.3f}", *cells]))
    first, second = (standard_error(v, single) for v in (pair.champion, pair.challenger))
    print(f"two candidates as if independent: {np.hypot(first, second):.4f}")


def main() -> int:
    """The tables, and 1 when something is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--sizes", type=int, nargs="*", default=[20, 50, 143, 500])
    parser.add_argument("--worlds", nargs="*", default=list(WORLDS), choices=list(WORLDS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--exact", action="store_true")
    parser.add_argument("--rivals", metavar="PYTHON")
    asked = parser.parse_args()
    if asked.rivals:
        rivals(asked.rivals, asked.seed)
        return 0
    if asked.exact:
        exact(asked.trials, asked.sizes, asked.seed)
        return 0
    broken = False
    with ProcessPoolExecutor() as pool:
        jobs = [(w, n, pool.submit(cell, w, n, asked.trials, asked.seed)) for w in asked.worlds for n in asked.sizes]
        for world, n, job in jobs:
            text, bad = shown(job.result(), CHECKED.get(world, ("plain", *ESTIMATORS)))
            broken |= bad
            print(f"{world}, n = {n}: {text}", flush=True)
    print(f"{asked.trials} trials a cell, {os.times().children_user:.0f} CPU seconds")
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
