"""What answers are worth: by hand, and how often the range holds."""

from __future__ import annotations

import numpy as np
import pytest

from slipway.core.answer import Answer
from slipway.core.metrics import METRICS
from slipway.core.report import Score
from slipway.evaluate.worth import Terms, worth

ACCURACY = METRICS["accuracy"]
TERMS = Terms(1_000, (3.0, 3.0), (5.0, 5.0))


def scores(right: int, wrong: int, declined: int = 0, failed: int = 0, cost: float = 0.0) -> list[Score]:
    answers = [Answer(text="a", raw="a")] * (right + wrong)
    answers += [Answer(text="", raw="", abstained=True)] * declined + [Answer(text="", raw="", error="late")] * failed
    return [
        Score(
            example=f"e{n}", group=f"e{n}", language="en", metrics={"accuracy": float(n < right)},
            answer=answer if not cost else Answer(text="a", raw="a", cost=cost, currency="EUR"),
        )
        for n, answer in enumerate(answers)
    ]  # fmt: skip


def test_by_hand():
    found = worth(scores(80, 20, cost=0.1), ACCURACY, Terms(1_000, (3.0, 3.0), (5.0, 5.0), price=200, build=11_000))
    assert found is not None
    assert found.n == 100
    assert found.benefit.value == pytest.approx(0.8 * 3 - 0.2 * 5)
    assert found.cost.value == pytest.approx(0.1)
    assert found.net.value == pytest.approx(1_000 * (1.4 - 0.1) - 200)
    assert found.even is not None
    assert found.even.value == pytest.approx((5 + 0.3) / 8)  # r * 3 - (1 - r) * 5 = 0.1 + 200 / 1000
    assert found.months is not None
    assert found.months.value == pytest.approx(10)
    assert found.months.low is not None
    assert found.months.low < 10


def test_what_is_declined_or_fails_saves_nothing_and_costs_nothing():
    found = worth(scores(40, 10, declined=25, failed=25), ACCURACY, TERMS)
    assert found is not None
    assert found.benefit.value == pytest.approx((40 * 3 - 10 * 5) / 100)
    assert found.even is not None
    assert found.even.value == pytest.approx(5 / 8)


def test_ranges_of_the_terms_make_the_range_wider_and_never_move_it_off_the_value():
    narrow = worth(scores(80, 20), ACCURACY, TERMS)
    wide = worth(scores(80, 20), ACCURACY, Terms(1_000, (2.0, 4.0), (0.0, 10.0)))
    assert narrow is not None
    assert wide is not None
    assert wide.benefit.value == pytest.approx(narrow.benefit.value)
    assert wide.net.low < narrow.net.low < narrow.net.value < narrow.net.high < wide.net.high  # type: ignore[operator]


def test_a_loss_is_never_paid_back_and_what_may_be_one_has_no_end():
    lost = worth(scores(10, 90), ACCURACY, Terms(1_000, (3.0, 3.0), (5.0, 5.0), build=100))
    assert lost is not None
    assert lost.net.value < 0
    assert lost.months is None
    doubtful = worth(scores(13, 7), ACCURACY, Terms(1_000, (3.0, 3.0), (5.0, 5.0), build=100))
    assert doubtful is not None
    assert doubtful.months is not None
    assert doubtful.months.high is None


def test_nothing_saved_and_nothing_lost_never_pays():
    found = worth(scores(5, 5), ACCURACY, Terms(10, (0.0, 0.0), (0.0, 0.0), build=1))
    assert found is not None
    assert found.net.value == 0
    assert found.even is not None
    assert found.even.value == float("inf")
    assert worth([], ACCURACY, TERMS) is None


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.5, 0.95])
def test_the_range_holds_in_95_of_100(share):
    rng = np.random.default_rng(7)
    truth, missed = share * 3 - (1 - share) * 5, 0
    for _ in range(150):
        right = int(rng.binomial(40, share))
        found = worth(scores(right, 40 - right), ACCURACY, TERMS)
        assert found is not None
        missed += not found.benefit.low <= truth <= found.benefit.high  # type: ignore[operator]
    assert missed <= 13  # 99% of 150 trials at 5%
