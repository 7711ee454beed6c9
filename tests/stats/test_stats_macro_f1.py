"""Macro F1 as a mean over examples, to first order."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as reference

from slipway.stats.macro_f1 import macro_f1, macro_f1_influence
from slipway.stats.means import mean_bounds

GOLD = ["a"] * 12 + ["b"] * 6 + ["c"] * 2
GIVEN = ["a"] * 10 + ["b"] * 2 + ["b"] * 4 + ["a", "c"] + ["c", "a"]


def test_what_an_example_adds_is_the_slope_of_its_weight():
    statistic, n = macro_f1(GOLD, GIVEN), len(GOLD)
    values, _, _ = macro_f1_influence(GOLD, GIVEN)
    value = statistic(np.ones((1, n)))[0]
    assert values.mean() == pytest.approx(value)
    for index in range(n):
        step = np.zeros((1, n))
        step[0, index] = 1e-5
        slope = (statistic(1 + step)[0] - statistic(1 - step)[0]) / 2e-5
        assert values[index] - value == pytest.approx(n * slope, abs=1e-6)


def test_one_more_example_adds_no_less_and_no_more_than_the_ends():
    values, low, high = macro_f1_influence(GOLD, GIVEN)
    statistic, n = macro_f1(GOLD, GIVEN), len(GOLD)
    value = statistic(np.ones((1, n)))[0]
    assert low <= values.min()
    assert high >= values.max()
    for gold in "abc":
        for given in "abc":
            more = macro_f1([*GOLD, gold], [*GIVEN, given])
            weights = np.ones((1, n + 1))
            weights[0, -1] = 1e-5
            slope = (more(weights)[0] - value) / 1e-5
            assert low - 1e-3 <= value + n * slope <= high + 1e-3


def test_a_rare_label_makes_the_bound_careful():
    """All right, but the third label was seen twice: that says little about it."""
    low, high = mean_bounds(*_view(GOLD, GOLD), tail=0.05)
    assert low < 0.75
    assert high == pytest.approx(1.0)


def test_bounds_of_macro_f1_cover():
    rng, missed, trials = np.random.default_rng(1), 0, 300
    wrong = np.array([0.1, 0.2, 0.4])
    for _ in range(trials):
        gold = rng.choice(3, 60, p=[0.6, 0.3, 0.1])
        given = np.where(rng.random(60) < wrong[gold], (gold + rng.integers(1, 3, 60)) % 3, gold)
        low, _ = mean_bounds(*_view(list(map(str, gold)), list(map(str, given))), tail=0.05)
        missed += low > _truth(wrong)
    assert missed <= reference.binom.ppf(0.999, trials, 0.05)


def _view(gold, given):
    values, low, high = macro_f1_influence(gold, given)
    return values, np.arange(len(gold)), (low, high)


def _truth(wrong):
    shares = np.array([0.6, 0.3, 0.1])
    hit, missed = shares * (1 - wrong), shares * wrong
    return float(np.mean(2 * hit / (2 * hit + missed + (missed.sum() - missed) / 2)))


@pytest.mark.parametrize("n", [1, 2])
def test_one_or_two_right_answers_show_no_more_than_a_share_would(n):
    """To first order a single right answer would have put macro F1 above one half."""
    rng, missed, trials = np.random.default_rng(3), 0, 400
    for _ in range(trials):
        gold = rng.integers(0, 2, n)
        given = np.where(rng.random(n) < 0.5, gold, 1 - gold)
        low, high = mean_bounds(*_view(list(map(str, gold)), list(map(str, given))), tail=0.025)
        missed += not low <= 0.5 <= high  # the F1 of either label
    assert missed <= reference.binom.ppf(0.999, trials, 0.05)
