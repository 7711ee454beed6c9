"""The exact paired test: its size by enumeration of every sample, its order, its bound, and a sample computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom, multinomial

from everyday import some
from slipway.stats.right_or_wrong import Turned, lower_bound, score, tail_at

ALPHAS = (0.05, 0.025, 0.0083, 0.0042, 1e-4)
AT = [0.0, -0.05, -0.2, 0.1]


def p_values(n, at):
    """Of every sample: better in rows, worse in columns; 2 where there is none."""
    found = np.full((n + 1, n + 1), 2.0)
    for worse in range(n + 1):
        for better in range(n + 1 - worse):
            found[better, worse] = tail_at(Turned(better, worse, n), at)
    return found


def size(rejected, at, shares=2_000):
    """The largest probability of a region where the difference is exactly `at`, over the shares of wrong ones."""
    n, largest = len(rejected) - 1, 0.0
    worse = np.arange(n + 1)
    needed = np.where(rejected.any(axis=0), rejected.argmax(axis=0), n + 1)
    for share in np.linspace(max(0.0, -at), (1 - at) / 2, shares):
        chance = min(1.0, (share + at) / (1 - share)) if share < 1 else 0.0
        chances = binom.pmf(worse, n, share) * binom.sf(needed - 1, n - worse, chance)
        largest = max(largest, float(chances.sum()))
    return largest


@pytest.mark.parametrize("at", some(AT, 2))
@pytest.mark.parametrize(
    "n",
    [
        1,
        2,
        7,
        pytest.param(20, marks=pytest.mark.slow),
        pytest.param(40, marks=pytest.mark.slow),
        pytest.param(60, marks=pytest.mark.slow),
    ],
)
def test_no_error_level_is_exceeded_whatever_share_of_the_answers_changes(n, at):
    found = p_values(n, at)
    for alpha in ALPHAS:
        assert size(found <= alpha, at, 2_000 if n < 40 else 400) <= alpha


@pytest.mark.slow
@pytest.mark.parametrize("at", AT)
def test_where_the_difference_is_less_an_error_is_rarer(at):
    rejected = p_values(20, at) <= 0.05
    edge = size(rejected, at)
    assert all(size(rejected, at - step) <= edge + 1e-9 for step in (0.01, 0.05, 0.2))


@pytest.mark.parametrize("at", AT)
@pytest.mark.parametrize("n", [5, 20])
def test_a_better_sample_never_has_a_larger_p_value(n, at):
    found = p_values(n, at)
    for worse in range(n + 1):
        for better in range(n + 1 - worse):
            if better + worse < n:
                assert found[better + 1, worse] <= found[better, worse] + 1e-12
            if worse:
                assert found[better, worse - 1] <= found[better, worse] + 1e-12
                assert found[better + 1, worse - 1] <= found[better, worse] + 1e-12


def test_all_better_is_computed_by_hand():
    """Six better and none worse of six: only this sample is so high, and at worst everything changes: 1 in 64."""
    assert tail_at(Turned(6, 0, 6), 0.0) == pytest.approx(1 / 64, rel=2e-4)
    assert tail_at(Turned(6, 0, 6), 0.0) >= 1 / 64


def test_equal_answers_are_bounded_as_by_the_binomial():
    """At most so many may have become worse without any being seen."""
    assert lower_bound(Turned(0, 0, 50), 0.05, -0.05) == pytest.approx(-(1 - 0.05 ** (1 / 50)), abs=1e-4)


@pytest.mark.parametrize("found", [Turned(12, 3, 50), Turned(2, 9, 20), Turned(0, 0, 30), Turned(30, 0, 30)])
def test_a_sample_is_as_far_ordered_as_a_sum_over_all_samples_says(found):
    """The p-value by the plain definition: all samples one by one, over a fine grid of shares."""
    n, at = found.n, -0.04
    samples = [(b, w, n - b - w) for w in range(n + 1) for b in range(n + 1 - w)]
    better, worse, _ = np.array(samples, dtype=float).T
    seen = float(score(np.array(float(found.better)), np.array(float(found.worse)), n, at))
    high = np.array(samples)[score(better, worse, n, at) >= seen - 1e-9]
    shares = np.linspace(-at, (1 - at) / 2, 300)
    plain = max(float(multinomial.pmf(high, n, [s + at, s, max(0.0, 1 - at - 2 * s)]).sum()) for s in shares)
    assert plain <= tail_at(found, at) <= plain * 1.01 + 1e-12


@pytest.mark.parametrize("tail", [0.05, 0.0042])
@pytest.mark.parametrize("claim", some([0.0, -0.05, 0.1]))
def test_the_bound_is_beyond_the_claim_exactly_when_the_p_value_says_so(claim, tail):
    rng = np.random.default_rng(3)
    for _ in range(20):
        n = int(rng.integers(1, 80))
        better = int(rng.integers(0, n + 1))
        found = Turned(better, int(rng.integers(0, n - better + 1)), n)
        bound = lower_bound(found, tail, claim)
        assert (bound > claim) == (bound >= claim) == (tail_at(found, claim) <= tail)
        assert -1 <= bound <= (better - found.worse) / n


@pytest.mark.slow
@pytest.mark.parametrize("truth", some([-0.3, -0.1, -0.03, 0.0, 0.05, 0.2], 6))
def test_the_bound_is_above_the_truth_in_at_most_five_percent(truth):
    n = 14
    rejected = np.zeros((n + 1, n + 1), dtype=bool)
    for worse in range(n + 1):
        for better in range(n + 1 - worse):
            rejected[better, worse] = lower_bound(Turned(better, worse, n), 0.05) > truth + 2e-6
    largest = 0.0
    for share in np.linspace(max(0.0, -truth), (1 - truth) / 2, 400):
        shares = [share + truth, share, max(0.0, 1 - truth - 2 * share)]
        samples = np.argwhere(rejected)
        counts = np.column_stack([samples, n - samples.sum(axis=1)])
        largest = max(largest, float(multinomial.pmf(counts, n, shares).sum()) if len(counts) else 0.0)
    assert largest <= 0.05


def test_it_is_stronger_than_mcnemars_test():
    """7 better and 1 worse of 40: 0.035 by McNemar's, less here; and never more than a hair above it."""

    def mcnemar(better, worse):
        return binom.sf(better - 1, better + worse, 0.5)

    assert tail_at(Turned(7, 1, 40), 0.0) < 0.8 * mcnemar(7, 1)


@pytest.mark.parametrize("n", [2_000, 20_000])
def test_large_samples_are_the_normal_distribution(n):
    found = Turned(round(0.1 * n + 2.2 * math.sqrt(0.2 * n)), round(0.1 * n), n)
    z = (found.better - found.worse) / math.sqrt(found.better + found.worse)
    assert tail_at(found, 0.0) == pytest.approx(math.erfc(z / math.sqrt(2)) / 2, rel=0.1)


def test_ends():
    assert tail_at(Turned(3, 1, 5), 1.0) == 1.0
    assert tail_at(Turned(3, 1, 5), -1.5) == 0.0
    assert tail_at(Turned(0, 5, 5), 0.0) == pytest.approx(1.0)
    assert lower_bound(Turned(0, 5, 5), 0.05) == -1.0
