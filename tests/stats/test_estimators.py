"""Estimators against their textbook formulas, in groups, and in small worlds; `bench/estimators.py` has all of them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from everyday import some
from slipway.errors import ConfigError
from slipway.stats.estimators.protocol import Measured
from slipway.stats.estimators.regression import Predictions, Regression
from slipway.stats.estimators.repeats import Repeats
from slipway.stats.estimators.strata import Strata
from slipway.stats.grouping import standard_error
from slipway.stats.means import mean_bounds

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture(scope="module")
def bench():
    sys.path.insert(0, str(BENCH))
    try:
        spec = importlib.util.spec_from_file_location("bench_estimators", BENCH / "estimators.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(BENCH))


def drawn(n=100, rest=400, seed=0, noise=0.5):
    """Differences in [-1, 1], and a covariate that follows them."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(-0.5, 0.7, n + rest)
    covariates = (values + rng.normal(0, noise, n + rest))[:, None]
    codes = np.arange(n + rest)
    return Measured(values[:n], codes[:n], (-1.0, 1.0), covariates[:n], covariates[n:], codes[n:])


def test_a_judge_is_weighed_as_in_the_paper():
    """PPI++ section 6: Cov(y, f) / ((1 + n/N) Var(f)), and its standard error."""
    measured = drawn()
    y, f, g = measured.values, measured.covariates[:, 0], measured.rest[:, 0]
    n, rest = len(y), len(g)
    weight = np.cov(y, f, ddof=0)[0, 1] / n / (f.var() / n + g.var() / rest)
    found = Predictions().estimate(measured)
    assert found.coefficients == (pytest.approx(weight),)
    assert found.value == pytest.approx(y.mean() + weight * (g.mean() - f.mean()))
    assert found.error == pytest.approx(np.sqrt((y - weight * f).var() / n + weight**2 * g.var() / rest), rel=0.03)
    assert found.effective == pytest.approx(n * (standard_error(y, np.arange(n)) / found.error) ** 2)
    assert Regression().estimate(measured).value == pytest.approx(found.value)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_a_judge_that_is_wrong_weighs_nothing_and_a_covariate_may_have_any_sign(sign):
    measured = drawn()
    turned = Measured(
        measured.values, measured.groups, measured.support, sign * measured.covariates, sign * measured.rest,
        measured.rest_groups,
    )  # fmt: skip
    judge, covariate = Predictions().estimate(turned), Regression().estimate(turned)
    assert (judge.coefficients[0] > 0) == (sign > 0)
    assert covariate.value == pytest.approx(Regression().estimate(measured).value)
    if sign < 0:
        assert judge.coefficients == (0.0,)
        assert judge.value == pytest.approx(measured.values.mean())


def test_the_unit_of_a_covariate_does_not_matter():
    measured = drawn()
    large = Measured(
        measured.values, measured.groups, measured.support, 7 + 1e4 * measured.covariates, 7 + 1e4 * measured.rest,
        measured.rest_groups,
    )  # fmt: skip
    first, second = (Regression().estimate(one) for one in (measured, large))
    assert (first.value, first.low, first.high) == pytest.approx((second.value, second.low, second.high), abs=1e-6)


def test_a_covariate_that_never_varies_changes_nothing():
    measured = drawn()
    constant = Measured(
        measured.values, measured.groups, measured.support, np.ones((100, 1)), np.ones((400, 1)), measured.rest_groups
    )
    found = Regression().estimate(constant)
    plain = mean_bounds(measured.values, measured.groups, measured.support)
    assert (found.low, found.high) == pytest.approx(plain, abs=1e-9)
    assert found.effective == pytest.approx(100)


@pytest.mark.parametrize("estimator", [Regression(), Predictions(), Strata({"a": 0.4, "b": 0.6}), Repeats()])
def test_examples_copied_within_their_group_are_no_evidence(estimator):
    """Three copies of every example: the same estimate, error and interval."""
    once = drawn(60, 120)
    strata = tuple("ab"[i % 2] for i in range(60))
    within = np.full(60, 0.05)
    made = [
        Measured(
            np.repeat(once.values, k), np.repeat(once.groups, k), once.support, np.repeat(once.covariates, k, axis=0),
            np.repeat(once.rest, k, axis=0), np.repeat(once.rest_groups, k), tuple(np.repeat(strata, k)),
            np.repeat(within, k), 4,
        )
        for k in (1, 3)
    ]  # fmt: skip
    first, second = (estimator.estimate(one) for one in made)
    assert (first.value, first.error, first.low, first.high) == pytest.approx(
        (second.value, second.error, second.low, second.high), abs=1e-8
    )


def test_strata_have_the_shares_given_and_the_textbook_error():
    rng = np.random.default_rng(3)
    strata = np.array(["en"] * 80 + ["zh"] * 40)
    values = np.where(strata == "en", rng.uniform(0, 0.4, 120), rng.uniform(-0.6, 0, 120))
    measured = Measured(values, np.arange(120), (-1.0, 1.0), strata=tuple(strata))
    found = Strata({"en": 0.3, "zh": 0.7}).estimate(measured)
    en, zh = values[:80], values[80:]
    assert found.value == pytest.approx(0.3 * en.mean() + 0.7 * zh.mean())
    error = np.sqrt(0.09 * en.var(ddof=1) / 80 + 0.49 * zh.var(ddof=1) / 40)
    assert found.error == pytest.approx(error, rel=0.03)
    assert found.low < found.value < found.high
    only = Strata({"en": 0.0, "zh": 1.0}).estimate(measured)
    assert only.value == pytest.approx(zh.mean())


def test_repeats_tell_what_drawing_tokens_costs():
    """Chances of right answers uniform in [0, 1]: variance 1/12 between questions, 1/6 within."""
    rng = np.random.default_rng(5)
    right = rng.random((4, 40_000)) < rng.random(40_000)
    measured = Measured(
        right.mean(axis=0), np.arange(40_000), (0.0, 1.0), within=right.var(axis=0, ddof=1), answers=4
    )  # fmt: skip
    found = Repeats().estimate(measured)
    assert found.spread.between == pytest.approx(1 / 12, rel=0.06)
    assert found.spread.within == pytest.approx(1 / 6, rel=0.06)
    assert found.effective == pytest.approx(40_000 * 2, rel=0.06)  # (1/12 + 1/6) / (1/12 + 1/24)
    assert found.spread.smaller(1) == 0
    assert found.spread.smaller(1e9) == pytest.approx(1 - np.sqrt(1 / 3), rel=0.06)
    worth = found.spread.worth
    floor = np.sqrt(found.spread.between)
    assert np.sqrt(found.spread.between + found.spread.within / worth) * 0.95 <= floor
    assert np.sqrt(found.spread.between + found.spread.within / (worth - 1)) * 0.95 > floor
    assert (found.low, found.high) == pytest.approx(mean_bounds(measured.values, measured.groups, (0.0, 1.0)))


REFUSED = {
    "no rest": (Regression(), drawn(rest=0), "every example has a value"),
    "few examples": (Predictions(), drawn(n=9), "at least 10 independent"),
    "one group": (
        Repeats(), Measured(np.ones(5), np.zeros(5, dtype=int), (0.0, 1.0), within=np.ones(5), answers=3), "one group",
    ),
    "answered once": (Repeats(), drawn(), "answered once"),
    "weights": (Strata({"a": 0.5}), drawn(), "sum to 1, not 0.5"),
    "negative": (Strata({"a": 1.5, "b": -0.5}), drawn(), "0 or more"),
    "no weights": (Strata({}), drawn(), "sum to 1"),
    "unknown": (
        Strata({"a": 1.0}), Measured(np.ones(4), np.arange(4), (0.0, 1.0), strata=("a", "b", "a", "b")), "'b'",
    ),
    "empty": (Strata({"a": 0.5, "b": 0.5}), Measured(np.ones(4), np.arange(4), (0.0, 1.0), strata=("a",) * 4), "'b'"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_too_little_is_said(case):
    estimator, measured, why = REFUSED[case]
    with pytest.raises(ConfigError, match=why) as caught:
        estimator.estimate(measured)
    assert caught.value.hint


SMALL = {
    ("binary, good judge", 50): 0.85, ("binary, good judge", 143): 0.75, ("skewed, biased judge", 50): 0.98, ("rare ruin", 20): 1.05,
    ("rare ruin, covariate knows", 20): 1.5, ("clustered, groups shared", 50): 1.0,
    ("n/10 useless covariates", 50): 1.1, ("languages", 50): 1.1, ("4 answers", 50): 0.9,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("case", some(list(SMALL), 12), ids=str)
def test_intervals_miss_in_at_most_one_of_twenty(bench, case):
    (world, n), trials = case, 150
    got = bench.cell(world, n, trials, seed=11)
    for name in bench.CHECKED.get(world, bench.ESTIMATORS):
        if name in got:
            tried, misses, _, width = got[name]
            assert binom.sf(misses - 1, tried, 0.05) > 1e-3, (world, name)
            assert width <= (1.12 if name == "strata" else SMALL[world, n]) * got["plain"][3]
    if world == "rare ruin":
        assert got["regression"][2] > 0.3 * trials  # Student's interval around the same estimate


def test_what_misleads_does(bench):
    """Traffic of other questions, and wrong shares: the documentation warns of them."""
    assert bench.cell("traffic differs", 143, 60, seed=2)["predictions"][1] > 20
    assert bench.cell("shares wrong", 143, 60, seed=2)["strata"][1] > 20
