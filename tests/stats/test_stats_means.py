"""Bounds of a mean against exact arithmetic, the beta distribution, and simulation."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy import stats as reference
from scipy.special import betaincinv

from everyday import some
from slipway.stats.gaffke import tail_below_zero
from slipway.stats.grouping import standard_error
from slipway.stats.means import lower_bound, mean_bounds, tail_at, totals


def alone(n):
    return np.arange(n)


def exactly(coefficients):
    """P(sum a_j E_j <= 0) by partial fractions, in rational numbers; the coefficients must differ."""
    values, found = [Fraction(float(one)) for one in coefficients], Fraction(0)
    for i, a in enumerate(values):
        if a < 0:
            part = Fraction(1)
            for j, b in enumerate(values):
                part *= a / (a - b) if i != j else 1
            found += part
    return float(found)


@pytest.mark.parametrize("seed", range(60))
def test_the_integral_is_the_sum_of_exponentials(seed):
    rng = np.random.default_rng(seed)
    a = rng.normal(rng.normal(), 1, int(rng.integers(2, 25))) * 10 ** rng.uniform(-4, 4)
    if seed % 3 == 0:  # one very different from the rest
        a = np.abs(a)
        a[0] *= -(10 ** rng.uniform(-3, 3))
    assert tail_below_zero(a, np.ones(len(a))) == pytest.approx(exactly(a), rel=1e-9)


def test_the_integral_where_there_is_nothing_to_integrate():
    assert tail_below_zero(np.array([1.0, 0.0]), np.ones(2)) == 0.0
    assert tail_below_zero(np.array([-1.0, 0.0]), np.ones(2)) == 1.0
    assert tail_below_zero(np.zeros(3), np.ones(3)) == 1.0


@pytest.mark.parametrize("tail", [0.05, 0.025, 0.05 / 42, 1e-5, 1e-8])
@pytest.mark.parametrize("n", [1, 5, 25, 200, 5000])
def test_right_or_wrong_gets_the_exact_binomial_bound_at_any_error(n, tail):
    for right in sorted({0, 1, n // 3, n - 1, n}):
        values = np.array([1.0] * right + [0.0] * (n - right))
        low, high = mean_bounds(values, alone(n), (0.0, 1.0), tail)
        assert low == pytest.approx(betaincinv(right, n - right + 1, tail) if right else 0.0, abs=1e-8)
        assert high == pytest.approx(betaincinv(right + 1, n - right, 1 - tail) if right < n else 1.0, abs=1e-8)


def test_the_bound_is_the_quantile_of_the_bayesian_bootstrap():
    values = np.random.default_rng(3).beta(0.3, 0.5, 30)
    low, _ = mean_bounds(values, alone(30), (0.0, 1.0), 0.01)
    drawn = np.random.default_rng(4).dirichlet(np.ones(31), 200_000) @ np.append(values, 0.0)
    assert np.mean(drawn <= low) == pytest.approx(0.01, abs=0.001)


def test_the_p_value_is_the_smallest_error_that_excludes():
    values = np.random.default_rng(5).normal(0.1, 0.3, 60).clip(-1, 1)
    found = totals(values, alone(60))
    p_value = tail_at(found, -1.0, 0.0)
    assert lower_bound(found, -1.0, p_value * 1.001) > 0 > lower_bound(found, -1.0, p_value * 0.999)


def test_nothing_is_random():
    values = np.random.default_rng(0).random(300)
    assert len({mean_bounds(values, alone(300), (0.0, 1.0)) for _ in range(3)}) == 1


def test_copies_of_an_example_in_its_group_are_no_evidence():
    values = np.random.default_rng(0).random(20)
    tenfold = mean_bounds(np.repeat(values, 10), np.repeat(alone(20), 10), (0.0, 1.0))
    assert tenfold == pytest.approx(mean_bounds(values, alone(20), (0.0, 1.0)), abs=1e-9)
    assert standard_error(np.repeat(values, 10), np.repeat(alone(20), 10)) == pytest.approx(
        standard_error(values, alone(20))
    )


def test_a_group_that_was_not_seen_may_be_as_large_as_that_of_an_example():
    """A ruin of large groups that few samples show; with the average group's size for the unseen one, 1 in 4 pass."""
    rng, passes = np.random.default_rng(0), 0
    for _ in range(200):
        sizes = np.where(rng.random(90) < 0.05, 30, 1)
        ruined = (sizes > 1) & (rng.random(90) < 0.2)
        gain = 0.05 * 0.2 * 30 * 0.4 / (0.95 + 1.5 - 0.3)
        differences = np.repeat(np.where(ruined, -0.4, gain), sizes)
        passes += tail_at(totals(differences, np.repeat(alone(90), sizes)), -1.0, 0.0) <= 0.05
    assert passes <= reference.binom.ppf(0.999, 200, 0.05)


def _zero_inflated(rng, n):
    return np.where(rng.random(n) < 0.45, 0.0, rng.beta(2, 1.2, n))


def _nearly_perfect(rng, n):
    return np.where(rng.random(n) < 0.05, 0.0, rng.beta(20, 1, n))


@pytest.mark.parametrize("n", [10, pytest.param(25, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "case",
    some(
        [
            (_zero_inflated, 0.55 * 2 / 3.2),
            (_nearly_perfect, 0.95 * 20 / 21),
            (lambda rng, n: (rng.random(n) < 0.9) * 1.0, 0.9),
        ]
    ),
)
def test_bounds_of_small_samples_cover(case, n):
    """One-sided 95% bounds miss at most 5% of the time (1 in 1,000 that this fails by chance at exactly 5%)."""
    draw, mean = case
    rng, trials = np.random.default_rng(7), 600
    found = [mean_bounds(draw(rng, n), alone(n), (0.0, 1.0), tail=0.05) for _ in range(trials)]
    allowed = reference.binom.ppf(0.999, trials, 0.05)
    assert sum(low > mean for low, _ in found) <= allowed
    assert sum(high < mean for _, high in found) <= allowed


def test_students_t_would_not_cover_here():
    """Why this bound is used: nearly perfect answers, 25 of them."""
    rng, trials, mean = np.random.default_rng(7), 300, 0.95 * 20 / 21
    drawn = [_nearly_perfect(rng, 25) for _ in range(trials)]
    lows = [one.mean() - reference.t.ppf(0.95, 24) * one.std(ddof=1) / 5 for one in drawn]
    assert sum(low > mean for low in lows) / trials > 0.15


def test_a_cost_without_a_known_end_is_bounded_by_twice_the_largest_seen():
    rng, trials, mean = np.random.default_rng(2), 400, np.exp(0.5)
    draws = [rng.lognormal(0, 1, 25) for _ in range(trials)]
    misses = sum(mean_bounds(one, alone(25), (0.0, None), 0.05)[1] < mean for one in draws)
    assert misses <= reference.binom.ppf(0.999, trials, 0.05)
    assert mean_bounds(draws[0], alone(25), (0.0, 1000.0), 0.05)[1] > 50  # a limit that is known costs what it costs


def test_many_groups_are_rounded_to_the_careful_side():
    values = np.random.default_rng(0).random(20_000)
    low, high = mean_bounds(values, alone(20_000), (0.0, 1.0))
    assert high - low == pytest.approx(2 * 1.96 * values.std() / np.sqrt(20_000), rel=0.1)
    assert low < values.mean() - 1.96 * values.std() / np.sqrt(20_000)
