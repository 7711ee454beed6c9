"""A mean over a population from units drawn with known probabilities: by hand, unbiased, and with an honest interval."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from slipway.stats.drawn import population_mean


def test_the_estimate_is_the_sum_over_inclusion_probabilities() -> None:
    values, probabilities = [0.0, 0.0, 1.0, 1.0, 1.0, 0.0], [1, 1, 1, 0.1, 0.1, 0.1]
    found = population_mean(values, probabilities, 33)
    assert found is not None
    assert found.value == pytest.approx(sum(v / p for v, p in zip(values, probabilities, strict=True)) / 33)
    assert 0 < found.low < found.value < found.high < 1
    assert found.n == 6


def test_over_every_sample_that_could_be_drawn_it_is_right_on_average() -> None:
    """All samples of three out of seven, beside two that are always taken: the mean of the estimates is the mean."""
    wanted, rest = [0.0, 1.0], [1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0]
    estimates = []
    for drawn in itertools.combinations(rest, 3):
        found = population_mean([*wanted, *drawn], [1, 1, 3 / 7, 3 / 7, 3 / 7], 9)
        assert found is not None
        estimates.append(found.value)
    assert np.mean(estimates) == pytest.approx(np.mean(wanted + rest))


def test_what_is_not_labelled_yet_is_weighed_by_what_is() -> None:
    known = population_mean([1.0, 0.0, None, None, 1.0, None], [1, 1, 1, 1, 0.5, 0.5], 8)
    assert known is not None
    assert known.value == pytest.approx((4 * 0.5 + 4 * 1.0) / 8)
    assert population_mean([1.0, None, None], [1, 0.1, 0.1], 21) is None, "nothing is known of the larger part"
    assert population_mean([], [], 0) is None
    assert population_mean([None], [1], 1) is None


def test_who_labels_all_has_no_uncertainty() -> None:
    found = population_mean([1.0, 0.0, 1.0, 1.0], [1, 1, 1, 1], 4)
    assert found is not None
    assert (found.low, found.value, found.high) == (0.75, 0.75, 0.75)


def test_wrong_probabilities_are_refused() -> None:
    for wrong in (0.0, -1.0, 1.5):
        with pytest.raises(ValueError, match="inclusion probability"):
            population_mean([1.0], [wrong], 3)


def test_the_interval_holds_the_truth() -> None:
    rng, missed, trials = np.random.default_rng(3), 0, 100
    truth = np.concatenate([rng.random(20) < 0.2, rng.random(280) < 0.9]).astype(float)
    for _ in range(trials):
        drawn = rng.choice(280, 20, replace=False) + 20
        found = population_mean([*truth[:20], *truth[drawn]], [1.0] * 20 + [20 / 280] * 20, 300)
        assert found is not None
        missed += not found.low <= truth.mean() <= found.high
    assert missed <= 0.05 * trials + 3 * (0.05 * 0.95 * trials) ** 0.5
