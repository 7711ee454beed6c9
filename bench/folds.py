"""How often the interval over out-of-fold answers (`evaluate.folds`) misses, how wide it is, and what folds choose.

    python bench/folds.py [--trials 200] [--folds 5] [--pools 40 100 250] [--worlds ...] [--seed 0]

Each trial draws a pool of examples with labels and vectors, 60% of it train and the rest dev, fits a learner as
`evaluate.folds` does (on the train rows outside a fold, answering every row in it), and asks for the interval of the
accuracy. There are two truths: what the candidate fitted to all of train does on 4,000 fresh examples (`final`), and
the mean of that over many training sets of the size that a fold leaves (`expected`), which is what cross-validation
estimates. Shown in percent is how often the 95% interval misses the one and the other: as reports print it (`folds`:
Gaffke's bound with the correction of Nadeau and Bengio 2003), without the correction (`plain`), with Student's t over
the examples (`t`), and over the rows of dev alone, answered by the final candidate (`dev`); and the widths of the first
two as a share of that of `dev`. Then the same for the difference of two learners of one kind on the two halves of the
vectors, whose expected accuracies are equal; and how often folds and dev choose the better of a learner that has all
the numbers and one that has half of them.

About 3 CPU-minutes with the defaults; `--worlds ridge --pools 40 100` takes seconds.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from slipway.stats.folds import counted
from slipway.stats.means import mean_bounds

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]
Rng = np.random.Generator
TAIL = 0.025
FRESH = 4_000  # examples that tell the truth
SETS = 60  # training sets over which an expectation is taken


class World(NamedTuple):
    """`classes` normal clouds of `spread` 1 whose centres are `apart`; `noise` of labels are wrong; `learner` fits."""

    learner: str
    classes: int
    dimension: int
    apart: float
    noise: float = 0.0
    shared: float = 0.0  # of the variance that examples of a group of three have in common


WORLDS = {
    "majority": World("majority", 2, 4, 0.5),
    "centroid, easy": World("centroid", 4, 10, 3.0),
    "centroid, hard": World("centroid", 2, 40, 1.5),
    "ridge": World("ridge", 3, 20, 2.0),
    "ridge, d near n": World("ridge", 2, 60, 2.5),
    "nearest": World("nearest", 4, 20, 3.0),
    "nearest, noise": World("nearest", 2, 2, 2.0, 0.2),
    "tree stump": World("stump", 2, 30, 2.0),
    "memory of groups": World("nearest", 3, 20, 2.0, 0.0, 0.9),
    "ridge, groups": World("ridge", 3, 20, 2.0, 0.0, 0.5),
}


class Data(NamedTuple):
    """Vectors [n, d], labels [n], groups [n]."""

    x: Floats
    y: Codes
    groups: Codes

    def rows(self, which: Codes) -> Data:
        return Data(self.x[which], self.y[which], self.groups[which])


def centres(world: World) -> Floats:
    """Of the clouds, the same in every trial, each as far from the origin as the world says."""
    made = np.random.default_rng(7).normal(size=(world.classes, world.dimension))
    return made / np.linalg.norm(made, axis=1, keepdims=True) * world.apart


def draw(world: World, n: int, rng: Rng) -> Data:
    each = 3 if world.shared else 1
    groups = np.arange(n) // each
    y = rng.integers(world.classes, size=groups[-1] + 1)[groups]
    common = rng.normal(size=(groups[-1] + 1, world.dimension))[groups]
    own = rng.normal(size=(n, world.dimension))
    x = centres(world)[y] + np.sqrt(world.shared) * common + np.sqrt(1 - world.shared) * own
    wrong = rng.random(n) < world.noise
    y = np.where(wrong, rng.integers(world.classes, size=n), y)
    return Data(x, y.astype(np.intp), groups.astype(np.intp))


def fit(world: World, data: Data) -> Callable[[Floats], Codes]:
    """What predicts labels of vectors."""
    seen = np.unique(data.y)
    if world.learner == "majority" or len(seen) == 1:
        label = int(np.bincount(data.y).argmax())
        return lambda x: np.full(len(x), label)
    if world.learner == "nearest":
        squares = (data.x**2).sum(axis=1)
        return lambda x: data.y[(squares - 2 * x @ data.x.T).argmin(axis=1)]
    if world.learner == "centroid":
        means = np.stack([data.x[data.y == label].mean(axis=0) for label in seen])
        return lambda x: seen[((means**2).sum(axis=1) - 2 * x @ means.T).argmin(axis=1)]
    hot = (data.y[:, None] == seen).astype(np.float64)
    if world.learner == "ridge":
        rows = np.hstack([data.x, np.ones((len(data.x), 1))])
        weights = np.linalg.solve(rows.T @ rows + 0.1 * np.eye(rows.shape[1]), rows.T @ hot)
        return lambda x: seen[(np.hstack([x, np.ones((len(x), 1))]) @ weights).argmax(axis=1)]
    best = (-1.0, 0, 0.0, 0, 0)  # a stump: one threshold on one number, the least stable of all
    for column in range(data.x.shape[1]):
        values = data.x[:, column]
        for cut in np.quantile(values, (0.25, 0.5, 0.75)):
            above = values > cut
            left, right = (int(np.bincount(data.y[side]).argmax()) if side.any() else 0 for side in (~above, above))
            share = float((np.where(above, right, left) == data.y).mean())
            best = max(best, (share, column, float(cut), left, right))
    _, column, cut, left, right = best
    return lambda x: np.where(x[:, column] > cut, right, left)


def dealt(data: Data, train: NDArray[np.bool_], folds: int, rng: Rng) -> Codes:
    """The fold of each row: whole groups, those of train and of dev dealt out in turn."""
    fold = np.zeros(len(data.y), dtype=np.intp)
    at = 0
    for side in (train, ~train):
        keys = np.unique(data.groups[side])
        for key in rng.permutation(keys):
            fold[data.groups == key] = at % folds
            at += 1
    return fold


def out_of_fold(world: World, data: Data, train: NDArray[np.bool_], fold: Codes, folds: int) -> Floats:
    """Right (1) or wrong, of each row by the candidate that was fitted without its fold, [n]."""
    right = np.zeros(len(data.y))
    for k in range(folds):
        held = fold == k
        predict = fit(world, data.rows(np.flatnonzero(train & ~held)))
        right[held] = predict(data.x[held]) == data.y[held]
    return right


def gaffke(values: Floats, groups: Codes, share: float = 1.0, low: float = 0.0) -> tuple[float, float]:
    """The project's interval. `share`: as what part of one each group counts; `low`: the lowest value, of 1."""
    _, codes = np.unique(groups, return_inverse=True)
    return mean_bounds(values, codes.astype(np.intp), (low, 1.0), TAIL, counted=share)


def t_interval(values: Floats) -> tuple[float, float]:
    half = student.ppf(1 - TAIL, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


def misses(ends: tuple[float, float], truth: float) -> bool:
    return not ends[0] - 1e-9 <= truth <= ends[1] + 1e-9


def accuracy(world: World, n_train: int, n_fresh: int, rng: Rng, sets: int) -> float:
    """Mean accuracy over training sets of this size."""
    fresh = draw(world, n_fresh, rng)
    return float(np.mean([(fit(world, draw(world, n_train, rng))(fresh.x) == fresh.y).mean() for _ in range(sets)]))


class Found(dict[str, float]):
    """Means over trials, by name."""

    def __init__(self, trials: int) -> None:
        super().__init__()
        self.trials = trials

    def add(self, name: str, value: float) -> None:
        self[name] = self.get(name, 0.0) + value / self.trials

    def interval(self, way: str, ends: tuple[float, float], final: float, expected: float) -> None:
        self.add(f"{way} final", misses(ends, final))
        self.add(f"{way} expected", misses(ends, expected))
        self.add(f"{way} width", ends[1] - ends[0])


class Split(NamedTuple):
    """Which rows of a pool are train, and the fold of each, [n]."""

    train: NDArray[np.bool_]
    fold: Codes


def split(data: Data, folds: int, rng: Rng) -> Split:
    train = data.groups < np.quantile(data.groups, 0.6)
    return Split(train, dealt(data, train, folds, rng))


def one(name: str, n: int, folds: int, trials: int, seed: int) -> Found:
    """One learner: its accuracy."""
    world, rng = WORLDS[name], np.random.default_rng([seed, n, *name.encode()])
    fresh, found = draw(world, FRESH, rng), Found(trials)
    expected = accuracy(world, int(n * 0.6 * (folds - 1) / folds), FRESH, rng, SETS)
    for _ in range(trials):
        data = draw(world, n, rng)
        train, fold = split(data, folds, rng)
        right = out_of_fold(world, data, train, fold, folds)
        final = fit(world, data.rows(np.flatnonzero(train)))
        truth = float((final(fresh.x) == fresh.y).mean())
        on_dev = (final(data.x[~train]) == data.y[~train]).astype(np.float64)
        found.interval("folds", gaffke(right, data.groups, counted(folds)), truth, expected)
        found.interval("plain", gaffke(right, data.groups), truth, expected)
        found.interval("t", t_interval(right), truth, expected)
        found.interval("dev", gaffke(on_dev, data.groups[~train]), truth, expected)
        found.add("bias", float(right.mean()) - truth)
    return found


def halves(world: World, n: int, rng: Rng) -> Data:
    """Two times the first half of the numbers, each with noise of its own: what one half tells, the other does, too."""
    half = world.dimension // 2
    made = draw(world._replace(noise=0.0), n, rng)
    noise, mirror = made.x - centres(world)[made.y], centres(world)[:, :half]
    x = np.hstack([mirror[made.y] + noise[:, :half], mirror[made.y] + noise[:, half : 2 * half]])
    wrong = rng.random(n) < world.noise
    return Data(x, np.where(wrong, rng.integers(world.classes, size=n), made.y).astype(np.intp), made.groups)


def pair(name: str, n: int, folds: int, trials: int, seed: int) -> Found:
    """Learners on each half, and on both: the difference of the first two, the choice of the first or the third."""
    world, rng = WORLDS[name], np.random.default_rng([seed + 1, n, *name.encode()])
    half = world.dimension // 2
    columns = (slice(0, half), slice(half, 2 * half), slice(0, 2 * half))
    fresh, found = halves(world, FRESH, rng), Found(trials)
    for _ in range(trials):
        data = halves(world, n, rng)
        train, fold = split(data, folds, rng)
        right: list[Floats] = []
        dev: list[Floats] = []
        truth: list[float] = []
        for at in columns:
            side = data._replace(x=data.x[:, at])
            final = fit(world, side.rows(np.flatnonzero(train)))
            right.append(out_of_fold(world, side, train, fold, folds))
            dev.append((final(side.x[~train]) == side.y[~train]).astype(np.float64))
            truth.append(float((final(fresh.x[:, at]) == fresh.y).mean()))
        gap = truth[1] - truth[0]
        found.interval("folds", gaffke(right[1] - right[0], data.groups, counted(folds), -1.0), gap, 0.0)
        found.interval("plain", gaffke(right[1] - right[0], data.groups, 1.0, -1.0), gap, 0.0)
        found.interval("t", t_interval(right[1] - right[0]), gap, 0.0)
        found.interval("dev", gaffke(dev[1] - dev[0], data.groups[~train], 1.0, -1.0), gap, 0.0)
        for way, answers in (("folds", right), ("dev", dev)):
            better = float(answers[2].mean() - answers[0].mean())
            found.add(f"{way} chosen", 0.5 if not better else float((better > 0) == (truth[2] > truth[0])))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--pools", type=int, nargs="+", default=[40, 100, 250])
    parser.add_argument("--worlds", nargs="+", default=list(WORLDS), choices=list(WORLDS))
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    began, ways = time.process_time(), ("folds", "plain", "t", "dev")
    for title, what in (("one candidate", one), ("two of one kind", pair)):
        print(f"\n{title}: misses of final/expected in %, widths as a share of dev's")
        heads = "".join(f"{way:>12}" for way in ways) + f"{'folds':>7}{'plain':>7}"
        print(
            f"{'world':18} {'pool':>4}  {heads}" + ("  better one chosen by folds, dev" if what is pair else "  bias")
        )
        for name in asked.worlds:
            for n in asked.pools:
                found = what(name, n, asked.folds, asked.trials, asked.seed)
                cells = "".join(f"{100 * found[f'{w} final']:6.1f}/{100 * found[f'{w} expected']:<5.1f}" for w in ways)
                widths = "".join(f"{found[f'{w} width'] / found['dev width']:7.2f}" for w in ways[:2])
                chosen = f"  {found['folds chosen']:.2f} {found['dev chosen']:.2f}" if what is pair else ""
                bias = f"  {found['bias']:+.3f}" if what is one else ""
                print(f"{name:18} {n:4}  {cells}{widths}{chosen}{bias}", flush=True)
    print(f"\n{time.process_time() - began:.0f} CPU-seconds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
