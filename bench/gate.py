"""How often the gate is wrong, and how often it sees what is there, beside what people write instead.

    python bench/gate.py [--trials 2000] [--sizes 20 50 143 500] [--worlds binary skewed ...] [--seed 0]

Every trial draws a champion's and a challenger's answers to one gate split (`gate_worlds`). Three claims, each at its
hardest point, where a pass is an error:

- superiority: the true difference is zero;
- non-inferiority: the challenger is worse by exactly the margin;
- bound: the true value lies exactly on it.

Then the power of the same claims, where the truth is better than that by an effect that a t-test finds in about 90%.
Beside each: the tests of `gate_rivals` on the same draws. A share of errors above 5% that is rarer than 1 in 1,000 by
chance is marked BROKEN for the gate, and `invalid` (in brackets) for a rival. Exits 1 when something is broken.
The trials ask for the p-values and bounds that `judge` decides by; in one of 50 `judge` is asked, too, and must agree.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the work is spread over processes
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np  # noqa: E402
from gate_rivals import rival_passes  # noqa: E402
from gate_worlds import WORLDS, Draw, World  # noqa: E402
from scipy.stats import binom  # noqa: E402

from slipway.core.answer import Answer  # noqa: E402
from slipway.core.metrics import MetricInfo, metric_info  # noqa: E402
from slipway.core.ref import Ref  # noqa: E402
from slipway.core.report import Aggregate, Report, Score  # noqa: E402
from slipway.evaluate.compare import compare  # noqa: E402
from slipway.release.gate import Rule, judge  # noqa: E402
from slipway.stats.grouping import standard_error  # noqa: E402
from slipway.stats.means import ends, tail_at, totals  # noqa: E402
from slipway.stats.pairs import Pair, difference_bounds, one_sided  # noqa: E402
from slipway.stats.samples import Sample, as_mean, bounds, point, sample, worst_filled  # noqa: E402

REF = Ref("candidate", "bench", "0" * 64)
CLAIMS = ("superiority", "non-inferiority", "bound")
CHECKED = 50  # one of so many trials is judged by the whole gate, too


def scores_of(world: World, draw: Draw, side: str) -> list[Score]:
    """A side of a draw as the scores of a gate split."""
    values = draw.challenger if side == "challenger" else draw.champion
    failed = draw.failed if side == "challenger" else np.zeros(len(values), dtype=bool)
    gold, given = (
        (None, None) if draw.labels is None else (draw.labels[0], draw.labels[2 if side == "challenger" else 1])
    )
    quality = metric_info(world.metric).kind == "quality"
    name = "accuracy" if gold is not None else world.metric
    found: list[Score] = []
    for index, value in enumerate(values):
        text = "" if given is None else f"label {given[index]}"
        answer = Answer(
            text=text, raw=text, abstained=bool(failed[index]), currency="CNY",
            seconds=float(value) if world.metric.startswith("latency") else 1.0,
            cost=float(value) if world.metric.startswith("cost") else 0.0,
        )  # fmt: skip
        found.append(
            Score(
                example=f"{index}", group=f"{draw.groups[index]}", language="en", answer=answer,
                metrics={name: float(value)} if quality else {},
                expected=() if gold is None else (f"label {gold[index]}",),
            )
        )  # fmt: skip
    return found


def report_of(world: World, scores: list[Score]) -> Report:
    """A report with the one metric the rule is about."""
    info = metric_info(world.metric)
    value = point(info, sample(scores, info))  # the gate makes its own bounds from the scores
    shown = Aggregate(value=value, low=value, high=value, n=len(scores))
    return Report(candidate=REF, dataset=REF, split="gate", scores="", metrics={world.metric: shown})


def rule_of(world: World, claim: str) -> Rule:
    """The rule of the project file that makes the claim."""
    if claim == "superiority":
        return Rule(against="production", better=True)
    if claim == "non-inferiority":
        return Rule(against="production", margin=world.margin)
    return Rule(min=world.mean) if metric_info(world.metric).higher_is_better else Rule(max=world.mean)


def hardest(world: World, claim: str) -> float:
    """The effect at which a pass is an error, and most likely."""
    sign = 1.0 if metric_info(world.metric).higher_is_better else -1.0
    if claim == "superiority" or world.at_margin is None and claim == "bound":
        return 0.0
    return -sign * world.margin if world.at_margin is None else world.at_margin


def judged(world: World, claim: str, draw: Draw) -> bool:
    """Whether the gate passes it."""
    ours, theirs = scores_of(world, draw, "challenger"), scores_of(world, draw, "champion")
    champions = {"production": (REF, report_of(world, theirs), theirs)}
    return judge({world.metric: rule_of(world, claim)}, report_of(world, ours), ours, champions).outcome == "pass"


def sample_of(world: World, draw: Draw, side: str) -> Sample:
    """`sample(scores_of(...))`, without the detour."""
    values = draw.challenger if side == "challenger" else draw.champion
    failed = draw.failed if side == "challenger" else np.zeros(len(values), dtype=bool)
    gold: list[str] = []
    given: list[str] = []
    if draw.labels is not None:
        gold, given = ([f"label {one}" for one in draw.labels[i]] for i in (0, 2 if side == "challenger" else 1))
    names = tuple(map(str, range(len(values))))
    groups = tuple(f"g:{one}" for one in draw.groups)
    return Sample(names, groups, values, failed, tuple(gold), tuple(given))


def passed(world: World, claim: str, draw: Draw) -> bool:
    """Whether the claim is shown: by the p-values and bounds that the gate decides by."""
    info = metric_info(world.metric)
    up = info.higher_is_better
    ours, theirs = sample_of(world, draw, "challenger"), sample_of(world, draw, "champion")
    if claim == "bound" and info.form == "quantile":
        high = bounds(info, worst_filled(ours, info, float(ours.values.max())), 0.05)[1]
        return high is not None and high <= world.mean
    if claim == "bound":
        values, least, most = as_mean(info, worst_filled(ours, info, float(ours.values.max())))
        low, high = ends(values, (least, most))
        found = totals(values, ours.codes)
        return (tail_at(found, low, world.mean) if up else tail_at(found.mirrored(), -high, -world.mean)) <= 0.05
    largest = float(max(ours.values.max(), theirs.values.max()))
    both = Pair(worst_filled(theirs, info, largest), worst_filled(ours, info, largest))
    margin = 0.0 if claim == "superiority" else world.margin
    if info.form == "quantile":
        high = difference_bounds(info, both, 0.05)[1]
        return high is not None and (high <= margin if margin else high < 0)
    return (one_sided(info, both, -margin)[0] if up else one_sided(info, both, margin)[1]) <= 0.05


def rate(world: World, claim: str, draws: Sequence[Draw]) -> float:
    """The share of draws that pass."""
    passes = 0
    for index, draw in enumerate(draws):
        shown = passed(world, claim, draw)
        if index % CHECKED == 0 and judged(world, claim, draw) != shown:
            raise AssertionError(f"judge and its bounds disagree: {world.metric}, {claim}")
        passes += shown
    return passes / len(draws)


def drawn(world: World, n: int, effect: float, trials: int, seed: int) -> list[Draw]:
    """Draws that are the same for the same seed."""
    rng = np.random.default_rng([seed, n])
    return [world.draw(rng, n, effect) for _ in range(trials)]


def declared_effect(world: World, n: int, trials: int, seed: int) -> float | None:
    """The median minimum detectable effect that comparisons of equals report."""
    found = [
        compare(scores_of(world, draw, "champion"), scores_of(world, draw, "challenger"), world.metric).mde
        for draw in drawn(world, n, 0.0, trials, seed + 7)
    ]
    known = [mde for mde in found if mde is not None]
    return float(np.median(known)) if len(known) > len(found) / 2 else None


def rivals(world: World, info: MetricInfo, claim: str, draws: Sequence[Draw]) -> dict[str, float]:
    """What the rivals make of the draws."""
    sign = 1.0 if info.higher_is_better else -1.0
    shift = {"superiority": 0.0, "non-inferiority": world.margin, "bound": world.mean}[claim]
    return rival_passes(draws, claim, shift, info.form, sign, info.q)


def too_many(share: float, trials: int, allowed: float = 0.05) -> bool:
    """Whether so many passes would be rarer than 1 in 1,000 if the true rate were `allowed`."""
    return binom.sf(round(share * trials) - 1, trials, allowed) < 1e-3


def too_few(share: float, trials: int, wanted: float = 0.8) -> bool:
    """Whether so few passes would be rarer than 1 in 1,000 if the true rate were `wanted`."""
    return binom.cdf(round(share * trials), trials, wanted) < 1e-3


Row = tuple[str, str, float, dict[str, float]]  # what, claim, ours, rivals


def tried(job: tuple[str, int, int, int]) -> list[Row]:
    """All claims of one world at one size: errors first, then power."""
    name, n, trials, seed = job
    world, rows = WORLDS[name], []
    info = metric_info(world.metric)
    sign = 1.0 if info.higher_is_better else -1.0
    for claim in CLAIMS:
        if claim in world.skips:
            continue
        draws = drawn(world, n, hardest(world, claim), trials, seed)
        rows.append(("errors", claim, rate(world, claim, draws), rivals(world, info, claim, draws)))
        if world.gain is None:
            continue
        fewer = max(100, trials // 4)
        gain = world.gain(n)
        start = -sign * world.margin if claim == "non-inferiority" else 0.0
        draws = drawn(world, n, start + gain, fewer, seed + 1)
        rows.append((f"power {gain:+.3f}", claim, rate(world, claim, draws), rivals(world, info, claim, draws)))
    return rows


def shown(rows: Sequence[Row], name: str, n: int, trials: int) -> tuple[list[str], int]:
    """Lines of the table, and how many promises are broken."""
    lines, broken, invalid = [], 0, {}
    for what, claim, ours, others in rows:
        if what == "errors":
            invalid[claim] = {rival for rival, share in others.items() if too_many(share, trials)}
            bad = too_many(ours, trials)
        else:
            valid = [share for rival, share in others.items() if rival not in invalid[claim]]
            bad = False
            if valid and max(valid) - ours > 0.05:
                claim = f"{claim} (-{max(valid) - ours:.0%})"
        cells = " ".join(
            f"{rival} " + (f"[{share:.1%}]" if rival in invalid.get(claim.split(" ")[0], ()) else f"{share:.1%}")
            for rival, share in others.items()
        )
        lines.append(f"{name:12} {n:4}  {what:13} {claim:24} {ours:6.1%}{'  BROKEN' if bad else ''}  | {cells}")
        broken += bad
    return lines, broken


def standard_errors(seed: int) -> list[str]:
    """Ours beside the formulas of lm-eval (`mean_stderr`) and of inspect_ai (`stderr` with clusters)."""
    lines = [f"{'standard error of the mean':28} {'true':>8} {'ours':>8} {'lm-eval':>8} {'inspect_ai':>10}"]
    for name in ("binary", "skewed", "clustered"):
        draws = drawn(WORLDS[name], 143, 0.0, 2_000, seed)
        means = np.array([draw.champion.mean() for draw in draws])
        found = np.array(
            [(standard_error(d.champion, d.groups), plain_error(d.champion), clustered_error(d.champion, d.groups))
             for d in draws]
        )  # fmt: skip
        typical = np.sqrt((found**2).mean(axis=0))
        lines.append(f"{name + ', n = 143':28} {means.std():8.4f} " + " ".join(f"{one:8.4f}" for one in typical))
    return lines


def plain_error(values: np.ndarray) -> float:
    """lm-evaluation-harness, lm_eval/api/metrics.py: the sample's standard deviation over the root of n."""
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def clustered_error(values: np.ndarray, groups: np.ndarray) -> float:
    """inspect_ai, scorer/_metrics/std.py, after Miller 2024 (arXiv:2411.00640): covariances within clusters."""
    away, n, clusters = values - values.mean(), len(values), int(groups.max()) + 1
    same = groups[:, None] == groups[None, :]
    return float(np.sqrt(clusters / (clusters - 1) * (np.outer(away, away) * same).sum() / n**2))


def main() -> int:
    """Run all trials, print the table; 1 when a share of errors is above 5%."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--trials", type=int, default=2000)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--sizes", type=int, nargs="+", default=[20, 50, 143, 500])
    options.add_argument("--worlds", nargs="+", default=list(WORLDS), choices=list(WORLDS))
    options.add_argument("--processes", type=int, default=2)
    chosen = options.parse_args()
    jobs = [(name, n, chosen.trials, chosen.seed) for name in chosen.worlds for n in chosen.sizes]
    started, broken = time.monotonic(), 0
    print(f"{chosen.trials} trials (a quarter for power), {platform.machine()}, Python {platform.python_version()}")
    with ProcessPoolExecutor(chosen.processes) as pool:
        for (name, n, trials, _), rows in zip(jobs, pool.map(tried, jobs), strict=True):
            lines, bad = shown(rows, name, n, trials)
            print(*lines, sep="\n", flush=True)
            broken += bad
    print(*standard_errors(chosen.seed), sep="\n")
    print(f"{broken} promises broken, {time.monotonic() - started:.0f} s on {chosen.processes} processes")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
