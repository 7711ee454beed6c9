"""Evidence of change: what it may do without one, how soon it sees one, and the bounds it compares with."""

from __future__ import annotations

import math

import numpy as np
import pytest

from slipway.stats.changes import (
    BETS,
    ROOM,
    WEEK,
    advanced,
    mean_at_most,
    mean_rank_at_most,
    rank,
    stability,
    start,
)


def weeks_until(
    rng: np.random.Generator, true: float, bound: float, limit: float, most: int, a_week: int = 100
) -> float:
    evidence = start()
    for n in range(1, most + 1):
        value = np.array([float(rng.random() < true)])
        evidence = advanced(evidence, WEEK / a_week, value, np.array([bound]), limit)
        if evidence.mean() >= limit:
            return n / a_week
    return math.inf


def test_at_the_bound_itself_few_weeks_raise_an_alarm() -> None:
    # the promise is at most 1 in 20 from no evidence on; 8 of 60 or more would come in one of 130 runs of such a 1 in 20
    rng = np.random.default_rng(3)
    assert sum(weeks_until(rng, 0.2, 0.2, 20.0, 100) < math.inf for _ in range(60)) < 8


def test_the_expectation_grows_by_the_time_that_goes_by_and_no_faster() -> None:
    """One step of the supermartingale, exactly: over both values of a right-or-wrong variable at the bound."""
    for bound in (0.01, 0.3, 0.9):
        before = np.linspace(0.1, 3.0, len(BETS))[None, :]
        after = sum(
            p * advanced(before, WEEK / 10, np.array([y]), np.array([bound]), 1e6)
            for y, p in ((1.0, bound), (0.0, 1 - bound))
        )
        assert after == pytest.approx(before + 0.1)


def test_a_change_is_seen_whenever_it_comes() -> None:
    rng = np.random.default_rng(5)
    evidence = start()
    for _ in range(2000):
        evidence = advanced(evidence, WEEK / 500, np.array([float(rng.random() < 0.1)]), np.array([0.15]), 800.0)
        assert evidence.mean() < 800.0
    n = 0
    while evidence.mean() < 800.0 and n < 400:
        n += 1
        evidence = advanced(evidence, WEEK / 500, np.array([float(rng.random() < 0.5)]), np.array([0.15]), 800.0)
    assert n < 60
    for _ in range(3000):
        evidence = advanced(evidence, WEEK / 500, np.array([1.0]), np.array([0.15]), 800.0)
    assert evidence.max() <= ROOM * 800.0 * evidence.size
    n = 0
    while evidence.mean() >= 1.0 and n < 2000:
        n += 1
        evidence = advanced(evidence, 0.0, np.array([float(rng.random() < 0.1)]), np.array([0.15]), 800.0)
    assert n < 2000  # it goes back


def test_a_time_without_traffic_counts_as_a_week_at_most_and_a_clock_set_back_as_none() -> None:
    later = advanced(start(), 50 * WEEK, np.array([0.2]), np.array([0.2]), 100.0)
    assert later == pytest.approx(1.0)
    assert advanced(later, -5.0, np.array([0.2]), np.array([0.2]), 100.0) == pytest.approx(later)


def test_the_bound_of_a_mean_rank_holds_for_any_distribution() -> None:
    rng = np.random.default_rng(7)
    over = 0
    for _ in range(300):
        before = np.sort(rng.lognormal(sigma=2.0, size=40))
        true = float(np.mean([rank(before, value) for value in rng.lognormal(sigma=2.0, size=200)]))
        over += true > mean_rank_at_most(40, 0.05) + 0.06  # 0.06: three standard errors of the 200
    assert over <= 15
    assert mean_rank_at_most(0, 0.05) == 1.0
    assert rank(np.array([1.0, 2.0, 2.0, 3.0]), 2.0) == 0.5


def test_bounds_of_a_mean() -> None:
    assert mean_at_most([], 0.01) == 1.0
    assert mean_at_most([0.0] * 60, 0.01) == pytest.approx(1 - 0.01 ** (1 / 60))
    assert 0.25 < mean_at_most([0.0, 1.0, 0.0, 0.0] * 25, 0.001) < 0.45


def test_the_stability_index() -> None:
    assert stability([10, 20, 30], [100, 200, 300]) == pytest.approx(0.0, abs=0.01)
    assert stability([50, 50], [90, 10]) > 0.25
    assert math.isfinite(stability([0, 10], [10, 0]))
