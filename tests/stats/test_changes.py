"""Evidence of change: what it may do without one, how soon it sees one, and the bounds it compares with."""

from __future__ import annotations

import math

import numpy as np
import pytest

from slipway.stats.changes import (
    BETS,
    ROOM,
    SMALL,
    WEEK,
    Levels,
    advanced,
    at_most,
    known,
    levels,
    mean_at_most,
    mean_rank_at_most,
    rank,
    sizes,
    stability,
    start,
    swing,
)


def values_until(
    rng: np.random.Generator, true: float, bounds: list[float], found: Levels, most: int, a_week: int = 100
) -> float:
    """How many right-or-wrong values it takes until the evidence reaches its limit."""
    evidence, given = start(1, len(bounds)), np.array([bounds])
    for n in range(1, most + 1):
        value = np.array([float(rng.random() < true)])
        evidence = advanced(evidence, WEEK / a_week, value, given, at_most(found, 1))
        if sizes(evidence, found)[0] >= found.limit:
            return n
    return math.inf


def test_at_the_bound_itself_few_weeks_raise_an_alarm() -> None:
    # the promise is at most 1 in 20 from no evidence on; 8 of 60 or more would come in one of 130 runs of such a 1 in 20
    rng = np.random.default_rng(3)
    assert sum(values_until(rng, 0.2, [0.2], known(0.05), 100) < math.inf for _ in range(60)) < 8


def bounds_of(rng: np.random.Generator, true: float, n: int, found: Levels, margin: float) -> list[float]:
    reference = (rng.random(n) < true).astype(float)
    high = [mean_at_most(reference, tail) for tail in found.tails]
    return [*high, high[0] + margin]


def test_a_small_reference_and_what_is_new_have_one_error_together() -> None:
    # without a margin, at twenty errors in a hundred: 18 of 60 or more would come in one of 23 runs of 20%
    rng, found = np.random.default_rng(4), levels(0.2)
    bad = sum(values_until(rng, 0.2, bounds_of(rng, 0.2, 25, found, 0.0), found, 100) < math.inf for _ in range(60))
    assert bad < 18


def test_the_weights_of_levels_keep_the_error() -> None:
    """Of all ways in which the first bound that holds may fall, the worst one: P(J > j) is p_j, and no J above n."""
    for share in (0.5, 0.05, 0.05 / 22, 1e-5):
        found = levels(share)
        weights = found.weights[:-1]
        chances = -np.diff([1.0, *found.tails[:-1], 0.0])
        assert float(chances @ weights) == pytest.approx(1.0)
        assert (np.diff(weights) > 0).all()
        assert 1.0 / found.limit + found.tails[-1] == pytest.approx(share)
        assert found.limit / found.weights[-1] == SMALL


def test_few_new_values_are_compared_with_nearly_the_mean_of_the_reference() -> None:
    rng, found = np.random.default_rng(8), levels(0.002)
    bounds = bounds_of(rng, 0.2, 175, found, 0.05)
    assert bounds[-2] > 0.29  # by itself, so far up a change would have to be shown
    seen = [values_until(np.random.default_rng(k), 0.45, bounds, found, 400, 175) for k in range(9)]
    alone = [
        values_until(np.random.default_rng(k), 0.45, [bounds[-2] + 0.05], known(0.001), 400, 175) for k in range(9)
    ]
    assert sorted(seen)[4] < 160
    assert sorted(seen)[4] < sorted(alone)[4] / 2


def test_a_change_smaller_than_the_margin_is_not_told() -> None:
    rng, found = np.random.default_rng(9), levels(0.05)
    bounds = bounds_of(rng, 0.2, 2000, found, 0.15)
    assert values_until(rng, 0.3, [*bounds[:-1], bounds[0]], found, 600, 500) < math.inf
    assert values_until(rng, 0.3, bounds, found, 600, 500) == math.inf


def test_the_expectation_grows_by_the_time_that_goes_by_and_no_faster() -> None:
    """One step of the supermartingale, exactly: over both values of a right-or-wrong variable at the bound."""
    for bound in (0.01, 0.3, 0.9):
        before = np.linspace(0.1, 3.0, len(BETS))[None, None, :]
        after = sum(
            p * advanced(before, WEEK / 10, np.array([y]), np.array([[bound]]), np.array([1e6]))
            for y, p in ((1.0, bound), (0.0, 1 - bound))
        )
        assert after == pytest.approx(before + 0.1)


def test_a_change_is_seen_whenever_it_comes() -> None:
    rng, found = np.random.default_rng(5), known(1 / 800)
    evidence, bound, most = start(), np.array([[0.15]]), at_most(found, 1)
    for _ in range(2000):
        evidence = advanced(evidence, WEEK / 500, np.array([float(rng.random() < 0.1)]), bound, most)
        assert sizes(evidence, found)[0] < 800.0
    n = 0
    while sizes(evidence, found)[0] < 800.0 and n < 400:
        n += 1
        evidence = advanced(evidence, WEEK / 500, np.array([float(rng.random() < 0.5)]), bound, most)
    assert n < 60
    for _ in range(3000):
        evidence = advanced(evidence, WEEK / 500, np.array([1.0]), bound, most)
    assert evidence.max() <= ROOM * 800.0 * evidence.size
    n = 0
    while sizes(evidence, found)[0] >= 1.0 and n < 2000:
        n += 1
        evidence = advanced(evidence, 0.0, np.array([float(rng.random() < 0.1)]), bound, most)
    assert n < 2000  # it goes back


def test_a_time_without_traffic_counts_as_a_week_at_most_and_a_clock_set_back_as_none() -> None:
    same, most = np.array([[0.2]]), np.array([100.0])
    later = advanced(start(), 50 * WEEK, np.array([0.2]), same, most)
    assert later == pytest.approx(1.0)
    assert advanced(later, -5.0, np.array([0.2]), same, most) == pytest.approx(later)


def test_what_hours_differ_by_is_told_from_chance() -> None:
    rng, hours = np.random.default_rng(6), np.repeat(np.arange(100), 20)
    noise = rng.normal(size=2000)
    assert swing(noise, hours, hours * 0) == 0.0
    assert swing(noise + np.repeat(rng.normal(size=100), 20) * 0.5, hours, hours * 0) == pytest.approx(0.5, abs=0.1)
    assert swing(np.zeros(5), np.arange(5), np.zeros(5, dtype=np.intp)) == 0.0


def test_the_bound_of_a_mean_rank_holds_for_any_distribution() -> None:
    rng = np.random.default_rng(7)
    over = 0
    for _ in range(300):
        before = np.sort(rng.lognormal(sigma=2.0, size=40))
        true = float(np.mean([rank(before.tolist(), value) for value in rng.lognormal(sigma=2.0, size=200)]))
        over += true > mean_rank_at_most(40, 0.05) + 0.06  # 0.06: three standard errors of the 200
    assert over <= 15
    assert mean_rank_at_most(0, 0.05) == 1.0
    assert rank([1.0, 2.0, 2.0, 3.0], 2.0) == 0.5


def test_bounds_of_a_mean() -> None:
    assert mean_at_most([], 0.01) == 1.0
    assert mean_at_most([0.0] * 60, 0.01) == pytest.approx(1 - 0.01 ** (1 / 60))
    assert 0.25 < mean_at_most([0.0, 1.0, 0.0, 0.0] * 25, 0.001) < 0.45


def test_the_stability_index() -> None:
    assert stability([10, 20, 30], [100, 200, 300]) == pytest.approx(0.0, abs=0.01)
    assert stability([50, 50], [90, 10]) > 0.25
    assert math.isfinite(stability([0, 10], [10, 0]))
