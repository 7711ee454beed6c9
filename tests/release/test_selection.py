"""What is tested on the gate split, in which order, and which of those that passed is had first."""

from __future__ import annotations

import numpy as np
import pytest

from slipway.core.answer import Answer
from slipway.core.look import Look
from slipway.core.ref import Ref
from slipway.core.report import Score
from slipway.evaluate.aggregate import build_report
from slipway.release.looks import ALPHA, alpha_at, price
from slipway.release.rules import Rule
from slipway.release.selection import Contender, plan, standing

RULES = {"token_f1": Rule(min=0.3)}


def contender(
    name: str, mean: float, cost: float, *, seconds: float = 1.0, n: int = 60, serves: bool = False, width: float = 0.3
) -> Contender:
    values = np.clip(mean + width * np.linspace(-1, 1, n), 0, 1)
    scores = [
        Score(example=f"e{i}", group=f"e{i}", language="en", answer=Answer(text="x", raw="x", seconds=seconds),
              metrics={"token_f1": float(value)})
        for i, value in enumerate(values)
    ]  # fmt: skip
    report = build_report(Ref("candidate", name, "0" * 64), Ref("dataset", "d", "1" * 64), "dev", scores, "b", "")
    return Contender(name, report, scores, cost, serves=serves)


def test_a_certain_one_that_is_preferred_is_tested_alone() -> None:
    made = plan(RULES, [contender("dear", 0.8, 9.0), contender("cheap", 0.7, 1.0), contender("bad", 0.1, 0.1)])
    assert made.sequence == ("cheap",)
    assert made.preferred == ("cheap", "dear")  # what does not keep the bound as measured is out


def test_from_the_safest_down_and_only_what_is_cheaper() -> None:
    found = [
        contender("sure", 0.8, 9.0), contender("near", 0.34, 1.0), contender("nearer", 0.32, 0.5),
        contender("useless", 0.33, 5.0),
    ]  # fmt: skip
    made = plan(RULES, found)
    assert made.sequence == ("sure", "near", "nearer")  # `useless` is dearer than `near`, and less safe
    assert made.best(["sure"]) == "sure"
    assert made.best(["sure", "near"]) == "near"
    assert plan(RULES, list(reversed(found))) == made
    assert plan(RULES, found, prefer="quality").sequence == ("sure",)


def test_nothing_that_keeps_the_bounds_is_no_plan() -> None:
    assert plan(RULES, [contender("bad", 0.1, 1.0)]).sequence == ()


@pytest.mark.parametrize(
    ("found", "tolerance", "first"),
    [
        ([contender("a", 0.7, 1.00), contender("b", 0.8, 1.04)], 0.05, "b"),  # as cheap, and better
        ([contender("a", 0.7, 1.00), contender("b", 0.8, 1.04)], 0.0, "a"),
        ([contender("a", 0.7, 1.00), contender("b", 0.8, 1.06)], 0.05, "a"),
        ([contender("a", 0.8, 1.00), contender("b", 0.7, 1.04, serves=True)], 0.05, "b"),  # what serves stays
        ([contender("a", 0.8, 1.00), contender("b", 0.7, 1.06, serves=True)], 0.05, "a"),
        ([contender("b", 0.7, 1.0), contender("a", 0.7, 1.0)], 0.05, "a"),
        ([contender("a", 0.7, 1.0, seconds=9.0), contender("b", 0.7, 1.0, seconds=0.1)], 0.05, "a"),  # not by seconds
    ],
)
def test_what_is_equal_keeps_what_serves_then_quality_then_the_name(
    found: list[Contender], tolerance: float, first: str
) -> None:
    assert plan(RULES, found, tolerance=tolerance).preferred[0] == first


def test_latency_is_preferred_where_asked_and_equal_where_intervals_meet() -> None:
    quick, slow = contender("quick", 0.5, 2.0, seconds=1.0), contender("slow", 0.8, 1.0, seconds=2.0)
    assert plan(RULES, [quick, slow], prefer="latency").preferred == ("quick", "slow")
    same = contender("same", 0.8, 3.0, seconds=1.01)
    assert plan(RULES, [quick, same], prefer="latency", tolerance=0.05).preferred[0] == "same"


def test_the_standing_counts_every_rule_and_the_rival() -> None:
    one, rival = contender("one", 0.6, 1.0), contender("rival", 0.5, 1.0)
    both = Contender(
        "one", one.report, one.scores, 1.0, {"production": (Ref("release", "r", "2" * 64), rival.report, rival.scores)}
    )
    alone = standing(RULES, one)
    assert alone > 4
    asked = {"token_f1": Rule(min=0.3, against="production", margin=0.0)}
    assert standing(asked, one) == alone  # nothing serves: nothing to compare with
    assert standing({"token_f1": Rule(min=0.3, against="production", margin=0.01)}, both) <= alone
    worse = Contender(
        "rival",
        rival.report,
        rival.scores,
        1.0,
        {"production": (Ref("release", "r", "2" * 64), one.report, one.scores)},
    )
    assert standing({"token_f1": Rule(against="production", margin=0.01)}, worse) < 0


def looks(*candidates: int) -> list[Look]:
    return [Look(seq=n, at="", kind="verdict", examples="", candidates=("c",) * m) for n, m in enumerate(candidates)]


def test_alpha_over_all_looks_and_all_that_was_told_is_at_most_five_percent() -> None:
    """Every path of answers a look can give (0 to m passed), weighed by its number: the union bound of the docstring."""
    total, paths, past = 0.0, 1.0, []
    for m in (1, 3, 1, 20, 1, 2, 1, 1, 1, 1):
        total += paths * alpha_at(past)
        paths *= m + 1
        past += looks(m)
    assert total == pytest.approx(ALPHA * 10 / 11)
    assert alpha_at([]) == ALPHA / 2
    assert alpha_at(looks(1)) == pytest.approx(ALPHA / 6 / 2)
    assert alpha_at(looks(3)) == pytest.approx(ALPHA / 6 / 4)


def test_the_price_of_a_look_is_told_in_examples() -> None:
    assert price(ALPHA / 2) == pytest.approx(1.0)
    assert [round(price(alpha_at(looks(*[1] * k))), 1) for k in (1, 2, 4, 9)] == [1.5, 2.0, 2.6, 4.0]
    assert price(0.001, 0.05) == pytest.approx(((3.0902 + 0.8416) / (1.6449 + 0.8416)) ** 2, rel=1e-3)
