"""What can be seen, and how many examples would be enough: against exact binomial power and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as reference

from everyday import some
from slipway.stats.means import ends, tail_at, totals
from slipway.stats.power import detectable, groups_needed, tilted


def answers(right, n):
    return totals(np.array([1.0] * right + [0.0] * (n - right)), np.arange(n))


def power(p, n, bound):
    """Of Clopper and Pearson's bound at 5% to show that p is at least `bound`."""
    right = np.arange(n + 1)
    low = np.where(right > 0, reference.beta.ppf(0.05, np.maximum(right, 1), n - right + 1), 0.0)
    return reference.binom.pmf(right, n, p)[low >= bound].sum()


def enough(p, bound, start=5):
    return next(m for m in range(start, 5_000) if np.mean([power(p, m + i, bound) for i in range(6)]) >= 0.8)


@pytest.mark.parametrize(
    ("right", "n", "bound"),
    some([(18, 20, 0.8), (45, 50, 0.85), (120, 143, 0.8), (36, 60, 0.5), (57, 60, 0.9)], spread=True),
)
def test_the_examples_needed_for_right_or_wrong_are_those_of_the_binomial(right, n, bound):
    found = groups_needed(answers(right, n), (0.0, 1.0), bound, 0.05).likely
    truth = enough(right / n, bound)
    assert truth / 1.1 <= found <= truth * 1.1


@pytest.mark.slow
def test_the_range_holds_what_is_needed():
    """Pilots of 60 with a true 85%, asked for 78%: within 1.5 times, the range holds the true number in two of three."""
    rng, inside, trials = np.random.default_rng(0), 0, 200
    truth = enough(0.85, 0.78, 60)
    for _ in range(trials):
        found = groups_needed(answers(rng.binomial(60, 0.85), 60), (0.0, 1.0), 0.78, 0.05)
        low, high = found.low or 0, found.high or 10**9
        inside += low / 1.5 <= truth <= high * 1.5
    assert inside / trials >= 0.6


def test_all_right_need_the_rule_of_three():
    assert groups_needed(answers(20, 20), (0.0, 1.0), 0.9, 0.05).likely == pytest.approx(29, abs=1)
    same = groups_needed(totals(np.zeros(60), np.arange(60)), (-1.0, 1.0), -0.02, 0.05)
    assert same.likely == pytest.approx(149, abs=3)
    assert same.high is None or same.high > 300  # that nothing differed so far does not show that nothing does


def test_what_cannot_be_decided_has_no_number():
    found = groups_needed(answers(10, 20), (0.0, 1.0), 0.5, 0.05)
    assert found.likely is None
    assert found.high is None
    assert found.low is not None
    assert found.times(2.5).low == int(np.ceil(found.low * 2.5))


def test_more_are_needed_than_there_are():
    assert groups_needed(answers(50, 50), (0.0, 1.0), 0.1, 0.05).likely == 51


@pytest.mark.parametrize("n", [20, 60, 200])
def test_the_detectable_effect_is_seen_in_four_of_five(n):
    rng, seen, trials = np.random.default_rng(n), 0, 300
    pilot = rng.normal(0, 0.2, n).clip(-1, 1)
    effect = detectable(totals(pilot - pilot.mean(), np.arange(n)), (-1.0, 1.0), 0.05)
    assert effect is not None
    for _ in range(trials):
        drawn = rng.normal(effect, pilot.std(), n).clip(-1, 1)
        seen += tail_at(totals(drawn, np.arange(n)), -1.0, 0.0) <= 0.05
    assert seen >= reference.binom.ppf(0.001, trials, 0.8)


def test_three_groups_show_no_effect():
    assert detectable(totals(np.array([0.1, -0.1, 0.0]), np.arange(3)), (-1.0, 1.0), 0.025) is None


def test_tilting_moves_the_mean_and_keeps_the_order():
    a, shares = np.array([-1.0, 0.0, 0.5, 1.0]), np.array([0.1, 0.5, 0.2, 0.2])
    moved = tilted(a, shares, 0.6)
    assert moved @ a == pytest.approx(0.6, abs=1e-6)
    assert moved.sum() == pytest.approx(1.0)
    assert np.all(np.diff(moved / shares) > 0)
    assert tilted(a, shares, 5.0) @ a == pytest.approx(1.0, abs=1e-6)  # no mean beyond the values


def test_an_end_that_is_not_known_is_taken_from_what_was_seen():
    values = np.array([1.0, -3.0])
    assert ends(values, (None, None)) == (-6.0, 6.0)
    assert ends(values, (0.0, None), 1.0) == (0.0, 3.0)
    assert ends(values, (-1.0, 1.0)) == (-1.0, 1.0)
