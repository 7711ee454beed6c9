"""Power before anything is looked at: beside exact binomial power, and beside the gate itself on drawn samples."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta, binom

from slipway.stats.means import Totals, lower_bound, totals
from slipway.stats.prospects import MeanClaim, QuantileClaim, fewest, first_margin
from slipway.stats.quantile_pairs import QuantilePair
from slipway.stats.samples import Sample


def right_or_wrong(truth: float, at: float) -> MeanClaim:
    pilot = Totals(np.array([0.0, 1.0]), np.ones(2), 100 * np.array([1 - truth, truth]))
    return MeanClaim(pilot, (0.0, 1.0), at, truth)


def exact_power(n: int, truth: float, at: float, tail: float) -> float:
    """Of Clopper and Pearson's lower bound, which is Gaffke's for right and wrong."""
    least = next(k for k in range(1, n + 2) if k > n or beta.ppf(tail, k, n - k + 1) > at)
    return float(binom.sf(least - 1, n, truth))


@pytest.mark.parametrize(("n", "truth", "at"), [(20, 0.7, 0.4), (50, 0.6, 0.4), (143, 0.4, 0.3), (500, 0.35, 0.3)])
def test_power_is_the_binomials_for_right_and_wrong(n: int, truth: float, at: float) -> None:
    around = [exact_power(m, truth, at, 0.025) for m in range(n - 4, n + 5)]  # it is a saw: its height, not a tooth
    found = right_or_wrong(truth, at).power(n, 0.025)
    assert found == pytest.approx(np.mean(around), abs=0.05)


@pytest.mark.slow
def test_examples_needed_are_the_binomials_within_a_tenth() -> None:
    found = right_or_wrong(0.4, 0.3).needed(0.025)
    exact = next(n for n in range(20, 1_000) if min(exact_power(m, 0.4, 0.3, 0.025) for m in (n, n + 1, n + 2)) >= 0.8)
    assert found.likely == pytest.approx(exact, rel=0.1)
    assert found.low is not None
    assert found.low <= found.likely
    assert right_or_wrong(0.3, 0.3).needed(0.025).likely is None


def test_power_of_scores_is_how_often_drawn_samples_pass() -> None:
    rng = np.random.default_rng(3)
    pool = np.clip(rng.normal(0.45, 0.3, 400), 0, 1)
    claim = MeanClaim(totals(pool, np.arange(400)), (0.0, 1.0), 0.38, float(pool.mean()))
    for n in (40, 80, 160):
        passed = [
            lower_bound(totals(rng.choice(pool, n), np.arange(n)), 0.0, 0.025) >= 0.38 for _ in range(300)
        ]  # fmt: skip
        assert claim.power(n, 0.025) == pytest.approx(np.mean(passed), abs=0.09)


def test_what_the_present_size_decides_is_what_needs_that_size() -> None:
    claim = right_or_wrong(0.4, 0.3)
    value = claim.decided_from(185, 0.025)
    assert value == pytest.approx(0.4, abs=0.01)
    assert claim.decided_from(185, 0.0042) > value  # a later look decides less
    assert claim.decided_from(3, 1e-6) is None


def test_power_grows_with_examples_and_shrinks_with_looks() -> None:
    claim = right_or_wrong(0.5, 0.4)
    powers = [claim.power(n, 0.025) for n in (10, 50, 100, 200, 400)]
    assert powers == sorted(powers)
    assert claim.power(200, 0.001) < claim.power(200, 0.025)


def test_a_few_zeros_in_a_row_show_little() -> None:
    claim = MeanClaim(totals(np.zeros(30), np.arange(30)), (-1.0, 0.0), -0.02, 0.0)  # no error at all, at most 2%
    least = fewest(lambda n: claim.possible(int(n), 0.025))
    assert least == 183  # 0.98 ** 183 < 0.025
    assert not claim.possible(182, 0.025)
    assert claim.needed(0.025).likely == pytest.approx(183, abs=2)


def test_the_margin_that_equal_answers_keep() -> None:
    for n in (20, 143):
        zeros = totals(np.zeros(n), np.arange(n))
        assert first_margin(n, 0.025) == pytest.approx(-lower_bound(zeros, -1.0, 0.025), abs=1e-6)


def test_a_p95_has_no_power_where_it_has_no_bound() -> None:
    rng = np.random.default_rng(5)

    def one(scale: float) -> Sample:
        names = tuple(f"e{n}" for n in range(200))
        return Sample(names, names, scale * rng.lognormal(0, 0.3, 200), np.zeros(200, dtype=bool))

    claim = QuantileClaim(QuantilePair(one(1.0), one(1.0), np.arange(200), 0.95), 0.5)
    assert claim.power(58, 0.05) == 0
    assert claim.power(400, 0.05) > claim.power(100, 0.05)
    needed = claim.needed(0.05)
    assert needed.likely is not None
    assert claim.power(needed.likely, 0.05) == pytest.approx(0.8, abs=0.02)
