"""The calibration error as a mean over examples, and metrics of what was answered only."""

from __future__ import annotations

import numpy as np
import pytest

from slipway.core.answer import Answer
from slipway.core.metrics import METRICS
from slipway.core.report import Score
from slipway.errors import ConfigError
from slipway.stats.calibration import contributions, gap
from slipway.stats.pairs import pair
from slipway.stats.samples import aggregate


def score(n: int, confidence: float | None, right: bool, abstained: bool = False) -> Score:
    answer = Answer(text="" if abstained else "a", raw="", confidence=confidence, abstained=abstained)
    metrics = {"accuracy": float(right and not abstained), "coverage": float(not abstained)}
    if not abstained:
        metrics["selective_risk"] = float(not right)
    return Score(example=str(n), group=str(n), language="en", answer=answer, metrics=metrics, expected=("a",))


def test_it_is_the_sum_over_bins() -> None:
    draw = np.random.default_rng(1)
    confidence, right = draw.uniform(size=2000), draw.uniform(size=2000) < 0.4
    gaps = np.array([gap(c, bool(r)) for c, r in zip(confidence, right, strict=True)])
    by_hand = 0.0
    for n in range(10):
        inside = (confidence >= n / 10) & (confidence < (n + 1) / 10)
        by_hand += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    assert contributions(gaps).mean() == pytest.approx(by_hand)


def test_a_calibrated_and_an_overconfident_candidate() -> None:
    draw = np.random.default_rng(2)
    info = METRICS["calibration_error"]
    sure = draw.uniform(0.5, 1, size=1000)
    good = aggregate([score(n, float(c), bool(draw.uniform() < c)) for n, c in enumerate(sure)], info)
    bad = aggregate([score(n, 0.99, n % 2 == 0) for n in range(1000)], info)
    assert good is not None
    assert bad is not None
    assert good.value < 0.05
    assert bad.low is not None
    assert bad.high is not None
    assert bad.low < 0.49 < bad.high
    assert bad.low > 0.4


@pytest.mark.parametrize("n", [50, 500])
def test_the_interval_of_a_calibrated_candidate_holds_nothing(n: int) -> None:
    """Each bin's direction is chosen by the examples: taken for a mean, the lower end was above 0 in 54 to 73%."""
    draw, info, above = np.random.default_rng(n), METRICS["calibration_error"], 0
    for _ in range(60):
        sure = draw.uniform(size=n)
        found = aggregate([score(i, float(c), bool(draw.uniform() < c)) for i, c in enumerate(sure)], info)
        assert found is not None
        assert found.low is not None
        above += found.low > 0
    assert above <= 5  # 2.5% of 60 are exceeded by that in 1 of 1,000


def test_an_abstention_counts_in_accuracy_and_coverage_and_not_among_the_answers() -> None:
    scores = [score(n, 0.9, n < 6, abstained=n >= 8) for n in range(10)]
    found = {name: aggregate(scores, METRICS[name]) for name in ("accuracy", "coverage", "selective_risk", "macro_f1")}
    values = {name: (one.value, one.n) for name, one in found.items() if one is not None}
    assert values["accuracy"] == (0.6, 10)
    assert values["coverage"] == (0.8, 10)
    assert values["selective_risk"] == (0.25, 8)
    assert values["macro_f1"][1] == 10


def test_nothing_answered_has_no_risk_and_two_candidates_are_not_compared_by_it() -> None:
    nothing = [score(n, 0.1, False, abstained=True) for n in range(5)]
    assert aggregate(nothing, METRICS["selective_risk"]) is None
    assert aggregate(nothing, METRICS["calibration_error"]) is None
    for name in ("selective_risk", "calibration_error"):
        with pytest.raises(ConfigError, match="not the same examples"):
            pair(nothing, nothing, METRICS[name])
