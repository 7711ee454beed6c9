"""Ways that questions and two candidates may be, with the true difference known: what `bench/gate.py` draws from.

`draw(rng, n, effect)` gives a `Draw`: what the champion and the challenger got on the same n questions, where the
challenger's true metric is `effect` higher. Everything is in the metric's own unit; failed answers are marked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import beta, norm


@dataclass
class Draw:
    """One gate split: values [n] of both, group codes [n], who failed [n], and labels where there are any."""

    champion: np.ndarray
    challenger: np.ndarray
    groups: np.ndarray
    failed: np.ndarray
    labels: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None  # gold, champion's, challenger's


@dataclass(frozen=True)
class World:
    """`mean`: the champion's true metric. `margin`: of the non-inferiority claim. `gain`: where power is looked at.

    `skips`: claims that say nothing here, with the reason.
    """

    metric: str
    draw: Callable[[np.random.Generator, int, float], Draw]
    mean: float
    margin: float = 0.05
    gain: Callable[[int], float] | None = None
    at_margin: float | None = None  # the effect at which non-inferiority is false, where it is not the margin
    skips: tuple[str, ...] = field(default=())


def _made(champion: np.ndarray, challenger: np.ndarray, groups: np.ndarray | None = None) -> Draw:
    n = len(champion)
    return Draw(champion, challenger, np.arange(n) if groups is None else groups, np.zeros(n, dtype=bool))


def uniforms(rng: np.random.Generator, n: int, shared: float) -> tuple[np.ndarray, np.ndarray]:
    """Two uniform variables a question, Gaussian copula with correlation `shared` (the question's difficulty)."""
    difficulty = rng.standard_normal(n)
    each = [np.sqrt(shared) * difficulty + np.sqrt(1 - shared) * rng.standard_normal(n) for _ in range(2)]
    return norm.cdf(each[0]), norm.cdf(each[1])


ZEROS, A, B = 0.4, 2.0, 1.3  # token F1: 40% nothing in common, else Beta(2, 1.3)
F1_MEAN = (1 - ZEROS) * A / (A + B)
_TABLE = beta.ppf(np.linspace(0, 1, 4097), A, B)


def f1_of(uniform: np.ndarray, zeros: float) -> np.ndarray:
    """Token F1 of a uniform variable, with this share of zeros."""
    inside = np.interp(np.maximum(uniform - zeros, 0) / (1 - zeros), np.linspace(0, 1, 4097), _TABLE)
    return np.where(uniform < zeros, 0.0, inside)


def binary(rng: np.random.Generator, n: int, effect: float) -> Draw:
    """Right or wrong, 70% right."""
    first, second = uniforms(rng, n, 0.5)
    return _made((first < 0.7) * 1.0, (second < 0.7 + effect) * 1.0)


def skewed(rng: np.random.Generator, n: int, effect: float) -> Draw:
    """Token F1 with 40% zeros."""
    first, second = uniforms(rng, n, 0.5)
    return _made(f1_of(first, ZEROS), f1_of(second, ZEROS - effect / (A / (A + B))))


def rare_ruin(rng: np.random.Generator, n: int, effect: float) -> Draw:
    """A little better almost everywhere and 0.4 worse on a few: +0.0125 on 97% and -0.4 on 3% for a mean of zero."""
    champion = rng.uniform(0.4, 0.9, n)
    if effect <= 0:
        gain, share = 0.0125, (0.0125 - effect) / 0.4125
    else:
        share = 0.0125 / 0.4125
        gain = (effect + 0.4 * share) / (1 - share)
    ruined = rng.random(n) < share
    return _made(champion, np.where(ruined, champion - 0.4, np.minimum(champion + gain, 1.0)))


def few_differ(rng: np.random.Generator, n: int, effect: float) -> Draw:
    """The same answers but for a few: 3% turn right and 3% wrong, and `effect` on one side more."""
    champion = (rng.random(n) < 0.7) * 1.0
    turn = rng.random(n)
    to_right, to_wrong = (0.03 + max(effect, 0.0)) / 0.3, (0.03 + max(-effect, 0.0)) / 0.7
    return _made(champion, np.where(champion == 0, (turn < to_right) * 1.0, (turn >= to_wrong) * 1.0))


def clustered(rng: np.random.Generator, n: int, effect: float) -> Draw:
    """Skewed, in documents of 1 to 9 questions, which share half of the difficulty and a fifth of the rest."""
    sizes: list[int] = []
    while sum(sizes) < n:
        sizes.append(int(rng.integers(1, 10)))
    groups = np.repeat(np.arange(len(sizes)), sizes)[:n]
    count = int(groups.max()) + 1

    def spread(weight: float) -> np.ndarray:
        return np.sqrt(weight) * rng.standard_normal(count)[groups] + np.sqrt(1 - weight) * rng.standard_normal(n)

    difficulty = spread(0.5)
    first, second = (norm.cdf(np.sqrt(0.5) * difficulty + np.sqrt(0.5) * spread(0.2)) for _ in range(2))
    return _made(f1_of(first, ZEROS), f1_of(second, ZEROS - effect / (A / (A + B))), groups)


def uneven(rng: np.random.Generator, n: int, effect: float) -> Draw:
    """Four documents of five have one question, the fifth has 15; of the large ones 30% lose 0.4, the rest gains."""
    sizes: list[int] = []
    while sum(sizes) < n:
        sizes.append(15 if rng.random() < 0.2 else 1)
    groups = np.repeat(np.arange(len(sizes)), sizes)[:n]
    ruined = ((np.array(sizes) > 1) & (rng.random(len(sizes)) < 0.3))[groups]
    share = 0.2 * 0.3 * 15 / 3.8
    champion = rng.uniform(0.4, 0.6, n)
    return _made(champion, np.where(ruined, champion - 0.4, champion + (effect + 0.4 * share) / (1 - share)), groups)


def abstaining(rng: np.random.Generator, n: int, effect: float) -> Draw:
    """The challenger declines 30% and is right more often on the rest; what it declined is worth nothing."""
    first, second = uniforms(rng, n, 0.3)
    failed = rng.random(n) < 0.3
    found = _made((first < 0.6) * 1.0, np.where(failed, 0.0, (second < (0.6 + effect) / 0.7) * 1.0))
    found.failed = failed
    return found


LATENCY = float(np.exp(0.5 * norm.ppf(0.95)))


def latency(rng: np.random.Generator, n: int, effect: float) -> Draw:
    """Seconds, lognormal; the challenger is `effect` slower."""
    first, second = uniforms(rng, n, 0.5)
    return _made(np.exp(0.5 * norm.ppf(first)), np.exp(0.5 * norm.ppf(second)) + effect)


def bimodal(rng: np.random.Generator, n: int, effect: float) -> Draw:
    """Seconds: about 0.5 or, where a retry is needed, about 5. With `effect` the challenger's p95 is just a retry's.

    The champion needs one for 4.9% of the questions and its p95 is below 1 s; the challenger, with `effect`, for 5.1%.
    """
    first, second = uniforms(rng, n, 0.5)

    def seconds(uniform: np.ndarray, share: float) -> np.ndarray:
        return np.where(uniform < share, 5.0, 0.5) * np.exp(0.1 * rng.standard_normal(n))

    return _made(seconds(first, 0.049), seconds(second, 0.051 if effect else 0.049))


def cost(rng: np.random.Generator, n: int, effect: float) -> Draw:
    """Cost of a question, lognormal with sigma 1 (mean 1); the challenger's own part is as heavy-tailed."""
    shared = rng.standard_normal(n)

    def drawn() -> np.ndarray:
        return np.exp(np.sqrt(0.5) * shared + np.sqrt(0.5) * rng.standard_normal(n) - 0.5)

    return _made(drawn(), drawn() * (1 + effect))


def failing(rng: np.random.Generator, n: int, effect: float) -> Draw:
    """As `cost`, but the challenger fails on the dearest 30% and has spent next to nothing there."""
    found = cost(rng, n, effect)
    found.failed = found.challenger > np.quantile(found.challenger, 0.7)
    found.challenger = np.where(found.failed, 0.01, found.challenger)
    return found


LABELS, WRONG = np.array([0.6, 0.3, 0.1]), np.array([0.15, 0.25, 0.4])


def _macro(wrong: np.ndarray) -> float:
    """Macro F1 of a classifier that gives the other two labels equally often when it is wrong."""
    hit, missed = LABELS * (1 - wrong), LABELS * wrong
    taken = (missed.sum() - missed) / 2
    return float(np.mean(2 * hit / (2 * hit + missed + taken)))


def labels(rng: np.random.Generator, n: int, effect: float) -> Draw:
    """Three labels, 60, 30 and 10%; macro F1. The challenger's errors are made rarer or more frequent in proportion."""
    low, high = 0.0, 2.4
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if _macro(WRONG * middle) > LABEL_MEAN + effect else (low, middle)
    gold = rng.choice(3, n, p=LABELS)
    first, second = uniforms(rng, n, 0.5)
    other = (gold + rng.integers(1, 3, n)) % 3
    given = [np.where(u < WRONG[gold] * scale, other, gold) for u, scale in ((first, 1.0), (second, low))]
    found = _made((given[0] == gold) * 1.0, (given[1] == gold) * 1.0)
    found.labels = (gold, given[0], given[1])
    return found


LABEL_MEAN = _macro(WRONG)


def shrinking(scatter: float, most: float) -> Callable[[int], float]:
    """An effect that a t-test on differences of this scatter finds in about 90% of the trials, at most `most`."""
    return lambda n: min(most, 2.93 * scatter / np.sqrt(n))


WORLDS = {
    "binary": World("exact_match", binary, 0.7, gain=shrinking(0.5, 0.28)),
    "skewed": World("token_f1", skewed, F1_MEAN, gain=shrinking(0.3, 0.24)),
    "rare ruin": World("token_f1", rare_ruin, 0.65, gain=shrinking(0.07, 0.08)),
    "few differ": World("exact_match", few_differ, 0.7, gain=shrinking(0.32, 0.25)),
    "clustered": World("token_f1", clustered, F1_MEAN, gain=shrinking(0.4, 0.24)),
    "uneven": World("token_f1", uneven, 0.5, gain=shrinking(0.3, 0.24)),
    "abstaining": World("exact_match", abstaining, 0.6, gain=shrinking(0.62, 0.09)),
    "labels": World("macro_f1", labels, LABEL_MEAN, gain=shrinking(0.7, 0.25)),
    "heavy cost": World("cost_per_query", cost, 1.0, margin=0.2, gain=lambda n: -min(0.6, 3.8 / np.sqrt(n))),
    "failing cost": World("cost_per_query", failing, 1.0, margin=0.0, at_margin=0.0, skips=("bound",)),
    "latency": World("latency_p95", latency, LATENCY, margin=0.3),
    "bimodal": World("latency_p95", bimodal, 1.5, margin=0.3, at_margin=1.0),
}
