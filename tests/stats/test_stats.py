"""The statistics against exact formulas, scipy, and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as reference

from slipway.stats.grouping import standard_error
from slipway.stats.intervals import mean_bounds, quantile_bounds, quantile_needs, t_bounds
from slipway.stats.power import detectable, groups_needed
from slipway.stats.significance import holm, mcnemar, sign_flip


def alone(n):
    return np.arange(n)


@pytest.mark.parametrize(("right", "n"), [(0, 25), (7, 25), (24, 25), (25, 25), (130, 200)])
def test_right_or_wrong_gets_the_exact_binomial_bound(right, n):
    values = np.array([1.0] * right + [0.0] * (n - right))
    low, high = mean_bounds(values, alone(n), (0.0, 1.0), tail=0.05)
    assert low == pytest.approx(reference.beta.ppf(0.05, right, n - right + 1) if right else 0.0, abs=0.006)
    assert high == pytest.approx(reference.beta.ppf(0.95, right + 1, n - right) if right < n else 1.0, abs=0.006)


def test_a_perfect_small_sample_is_not_certainty():
    low, high = mean_bounds(np.ones(10), alone(10), (0.0, 1.0), tail=0.025)
    assert low == pytest.approx(0.025 ** (1 / 10), abs=0.02)
    assert high == 1.0


def test_copies_of_an_example_in_its_group_are_no_evidence():
    values = np.random.default_rng(0).random(20)
    once = mean_bounds(values, alone(20), (0.0, 1.0))
    tenfold = mean_bounds(np.repeat(values, 10), np.repeat(alone(20), 10), (0.0, 1.0))
    assert tenfold == pytest.approx(once, abs=1e-5)
    flips, many = (
        sign_flip(values - 0.4, alone(20)),
        sign_flip(np.repeat(values - 0.4, 10), np.repeat(alone(20), 10)),
    )
    assert many.p_value == flips.p_value
    assert standard_error(np.repeat(values, 10), np.repeat(alone(20), 10)) == pytest.approx(
        standard_error(values, alone(20))
    )


def _zero_inflated(rng, n):
    return np.where(rng.random(n) < 0.45, 0.0, rng.beta(2, 1.2, n))


def _nearly_perfect(rng, n):
    return np.where(rng.random(n) < 0.05, 0.0, rng.beta(20, 1, n))


@pytest.mark.parametrize("n", [10, 25])
@pytest.mark.parametrize(
    ("draw", "mean"),
    [
        (_zero_inflated, 0.55 * 2 / 3.2),
        (_nearly_perfect, 0.95 * 20 / 21),
        (lambda rng, n: (rng.random(n) < 0.9) * 1.0, 0.9),
    ],
)
def test_bounds_of_small_samples_cover(draw, mean, n):
    """One-sided 95% bounds miss at most 5% of the time (1 in 1,000 that this fails by chance at exactly 5%)."""
    rng, trials = np.random.default_rng(7), 600
    found = [mean_bounds(draw(rng, n), alone(n), (0.0, 1.0), tail=0.05) for _ in range(trials)]
    allowed = reference.binom.ppf(0.999, trials, 0.05)
    assert sum(low > mean for low, _ in found) <= allowed
    assert sum(high < mean for _, high in found) <= allowed


def test_students_t_would_not_cover_here():
    """Why Gaffke's bound is used: nearly perfect answers, 25 of them."""
    rng, trials, mean = np.random.default_rng(7), 300, 0.95 * 20 / 21
    misses = sum(t_bounds(_nearly_perfect(rng, 25), alone(25), 0.05)[0] > mean for _ in range(trials))
    assert misses / trials > 0.15


@pytest.mark.parametrize("n", [6, 9, 12])
def test_few_groups_get_the_exact_permutation_test(n):
    differences = np.random.default_rng(n).normal(0.5, 1.0, n)
    found = sign_flip(differences, alone(n))
    expected = reference.permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        n_resamples=np.inf,
        alternative="two-sided",
        vectorized=False,
    )
    assert found.exact
    assert found.p_value == pytest.approx(expected.pvalue)


def test_many_groups_agree_with_the_t_test():
    differences = np.random.default_rng(3).normal(0.15, 1.0, 300)
    found = sign_flip(differences, alone(300))
    t_test = reference.ttest_1samp(differences, 0.0)
    assert found.p_value == pytest.approx(t_test.pvalue, abs=0.01)
    interval = t_test.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), abs=0.01)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.25, 1.0]), min_size=6, max_size=30))
def test_the_interval_excludes_zero_exactly_when_the_test_rejects(differences):
    found = sign_flip(np.array(differences), alone(len(differences)))
    assert found.low is not None
    assert found.high is not None
    assert (found.p_value < 0.05) == (found.low > 1e-6 or found.high < -1e-6) or found.p_value == pytest.approx(
        0.05, abs=2e-3
    )


def test_too_few_groups_have_no_interval():
    found = sign_flip(np.array([0.3, 0.4, 0.5, 0.3, 0.2]), alone(5))
    assert found.p_value == pytest.approx(2 / 32)
    assert found.low is None
    assert found.high is None


@pytest.mark.parametrize("n", [12, 40])
def test_the_permutation_interval_covers(n):
    """Skewed differences with many zeros, true mean 0.1: the 95% interval holds it (almost) 95% of the time."""
    rng, trials = np.random.default_rng(5), 500
    draws = [np.where(rng.random(n) < 0.5, 0.0, rng.normal(0.2, 0.4, n)) for _ in range(trials)]
    found = [sign_flip(one, alone(n)) for one in draws]
    missed = sum(one.low > 0.1 or one.high < 0.1 for one in found)
    assert missed <= reference.binom.ppf(0.999, trials, 0.05)


def test_mcnemar_is_the_binomial_test_of_discordant_pairs():
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(6, 0) == pytest.approx(2 / 64)
    assert mcnemar(15, 5) == pytest.approx(reference.binomtest(15, 20).pvalue)


def test_a_p95_is_bounded_from_59_examples_on():
    values = np.arange(1.0, 59.0)
    assert quantile_bounds(values, alone(58), 0.95, tail=0.05)[1] is None
    values = np.arange(1.0, 60.0)
    assert quantile_bounds(values, alone(59), 0.95, tail=0.05)[1] == 59.0
    assert quantile_needs(0.95, 0.05) == 59


@pytest.mark.parametrize(("q", "n"), [(0.5, 15), (0.5, 60), (0.95, 80), (0.95, 200)])
def test_quantile_bounds_have_the_level_of_order_statistics(q, n):
    low, high = quantile_bounds(np.arange(1.0, n + 1), alone(n), q, tail=0.05)
    if low is not None:
        assert reference.binom.cdf(int(low) - 1, n, q) <= 0.05  # P(the low-th value lies above the quantile)
        assert reference.binom.cdf(int(low), n, q) > 0.05  # and the next one would too often
    assert high is not None
    assert reference.binom.sf(int(high) - 1, n, q) <= 0.05
    assert reference.binom.sf(int(high) - 2, n, q) > 0.05


def test_shared_groups_widen_a_quantile_interval():
    rng = np.random.default_rng(1)
    values = np.repeat(rng.lognormal(size=40), 5)
    apart = quantile_bounds(values, alone(200), 0.5)
    together = quantile_bounds(values, np.repeat(alone(40), 5), 0.5)
    assert together[0] < apart[0]
    assert together[1] > apart[1]


def test_holm():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_detectable_effect():
    assert detectable(0.05, 5, 0.05) is None  # five groups can never be significant at 5%
    assert detectable(0.05, 1000, 0.05) == pytest.approx(2.8 * 0.05, rel=0.01)
    nothing_changed = detectable(0.0, 200, 0.05, same=1.0, step=1 / 200)
    assert nothing_changed == pytest.approx(7.85 / 200 + 1 / 200, rel=0.05)


def test_examples_needed_grow_with_the_square():
    near, far = (groups_needed(0.05, 50, distance, 0.05) for distance in (0.02, 0.04))
    assert near == pytest.approx(50 * (2.486 * 0.05 / 0.02) ** 2, rel=0.02)
    assert near == pytest.approx(4 * far, rel=0.02)
    assert groups_needed(0.05, 50, 0.0, 0.05) is None
    assert groups_needed(0.001, 50, 1.0, 0.05) == 51  # never fewer than there are


def test_results_repeat_and_depend_on_the_seed():
    values = np.random.default_rng(0).random(30)
    first = mean_bounds(values, alone(30), (0.0, 1.0), seed=1)
    assert mean_bounds(values, alone(30), (0.0, 1.0), seed=1) == first
    assert mean_bounds(values, alone(30), (0.0, 1.0), seed=2) != first


def test_ten_thousand_groups_use_the_normal_interval():
    values = np.random.default_rng(0).random(10_000)
    low, high = mean_bounds(values, alone(10_000), (0.0, 1.0))
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 100, rel=0.01)
    assert sign_flip(values - values.mean(), alone(10_000)).p_value == pytest.approx(1.0)
