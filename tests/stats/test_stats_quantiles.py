"""Bounds of quantiles and of their differences against order statistics and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as reference

from slipway.stats.quantile_pairs import QuantilePair
from slipway.stats.quantiles import quantile_high, quantile_low, quantile_needs
from slipway.stats.samples import Sample


def alone(n):
    return np.arange(n)


def sample_of(values, groups=None, failed=None):
    n = len(values)
    return Sample(
        ids=tuple(map(str, range(n))),
        groups=tuple(map(str, alone(n) if groups is None else groups)),
        values=np.asarray(values, dtype=float),
        failed=np.zeros(n, dtype=bool) if failed is None else failed,
    )


def test_a_p95_is_bounded_from_59_examples_on():
    assert quantile_high(np.arange(1.0, 59.0), alone(58), 0.95, 0.05) is None
    assert quantile_high(np.arange(1.0, 60.0), alone(59), 0.95, 0.05) == 59.0
    assert quantile_needs(0.95, 0.05) == 59


@pytest.mark.parametrize("tail", [0.05, 0.025, 0.001, 1e-5])
@pytest.mark.parametrize(("q", "n"), [(0.5, 15), (0.5, 60), (0.95, 80), (0.95, 200), (0.95, 500)])
def test_quantile_bounds_are_order_statistics(q, n, tail):
    values = np.arange(1.0, n + 1)
    low, high = quantile_low(values, alone(n), q, tail), quantile_high(values, alone(n), q, tail)
    ranks = np.arange(1, n + 1)
    lows = ranks[reference.binom.cdf(ranks - 1, n, q) <= tail]  # P(the rank-th value lies above the quantile)
    highs = ranks[reference.binom.sf(ranks - 1, n, q) <= tail]
    assert low == (lows[-1] if len(lows) else None)
    assert high == (highs[0] if len(highs) else None)


def test_shared_groups_widen_a_quantile_interval():
    values = np.repeat(np.random.default_rng(1).lognormal(size=40), 5)
    together = np.repeat(alone(40), 5)
    assert quantile_low(values, together, 0.5, 0.025) < quantile_low(values, alone(200), 0.5, 0.025)
    assert quantile_high(values, together, 0.5, 0.025) > quantile_high(values, alone(200), 0.5, 0.025)
    assert quantile_high(values, together, 0.95, 0.025) is None


@pytest.mark.parametrize("groups", [20, 60])
def test_a_p95_in_clusters_is_covered(groups):
    """Five requests a document, as slow as the document: an interval that ignores it covers far too seldom."""
    rng, missed, trials = np.random.default_rng(3), 0, 300
    truth = float(np.exp(1.645 * np.sqrt(0.5)))
    for _ in range(trials):
        values = np.exp(np.repeat(rng.normal(0, 0.6, groups), 5) + rng.normal(0, np.sqrt(0.14), 5 * groups))
        high = quantile_high(values, np.repeat(alone(groups), 5), 0.95, 0.05)
        missed += high is not None and high < truth
    assert missed <= reference.binom.ppf(0.999, trials, 0.05)


def test_a_bimodal_latency_does_not_pass_as_not_slower():
    """The challenger's p95 is just that of a retry. With 60 examples few samples show it."""
    rng, passed, trials = np.random.default_rng(4), 0, 400
    for _ in range(trials):
        champion = np.where(rng.random(60) < 0.049, 5.0, 0.5) * rng.lognormal(0, 0.1, 60)
        challenger = np.where(rng.random(60) < 0.051, 5.0, 0.5) * rng.lognormal(0, 0.1, 60)
        high = QuantilePair(sample_of(champion), sample_of(challenger), alone(60), 0.95).high(0.05)
        passed += high is not None and high <= 0.3
    assert 0 < passed <= reference.binom.ppf(0.999, trials, 0.05)


def test_what_failed_is_later_than_any_upper_bound():
    values = np.ones(100)
    few, many = np.arange(100) < 1, np.arange(100) < 6
    assert quantile_high(sample_of(values, failed=few).late, alone(100), 0.95, 0.05) == 1.0
    assert quantile_high(sample_of(values, failed=many).late, alone(100), 0.95, 0.05) is None


def test_the_p_value_of_a_quantile_agrees_with_its_bound():
    base = np.random.default_rng(5).lognormal(0, 0.3, 400)
    both = QuantilePair(sample_of(base), sample_of(base * 1.15), alone(400), 0.9)
    p_value = both.p_above(0.0)
    assert both.low(p_value * 1.01) > 0 >= both.low(p_value * 0.99)
    assert both.p_below(0.0) == 1.0
