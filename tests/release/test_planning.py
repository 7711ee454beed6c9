"""What a plan of the gate says of each rule, with a pilot and without."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from scipy.stats import multinomial

from slipway.core.answer import Answer
from slipway.core.ref import Ref
from slipway.core.report import Score
from slipway.errors import ConfigError, NotFound
from slipway.evaluate.aggregate import build_report
from slipway.i18n import speaking
from slipway.release.gate import judge
from slipway.release.planning import GatePlan, Known, Place, Price, prospects
from slipway.release.rules import Rule
from slipway.render.pages.plans import gate_plan, power_picture
from slipway.stats.right_or_wrong import Turned, tail_at

ALPHA = 0.025


def scores_of(values, seconds=1.0, group_of=lambda n: "", language_of=lambda n: "en"):
    return [
        Score(
            example=f"e{n}", group=group_of(n), language=language_of(n),
            answer=Answer(text="x", raw="x", seconds=seconds, cost=0.01, currency="CNY"),
            metrics={"token_f1": float(value)},
        )
        for n, value in enumerate(values)
    ]  # fmt: skip


def places(n, language_of=lambda n: "en", group_of=lambda n: ""):
    return [Place(group=group_of(k), language=language_of(k)) for k in range(n)]


def plan(rules, known=None, at=None, total=200, alphas=(ALPHA,)):
    return prospects(rules, known or Known(), at or places(50), total, alphas)


def said(one):
    return "; ".join(str(note) for note in one.notes)


def pilot(n=80, gain=0.05, seed=1, **options):
    rng = np.random.default_rng(seed)
    base = rng.beta(2, 2, n)
    ours = np.clip(base + rng.normal(gain, 0.15, n), 0, 1)
    return Known(scores=scores_of(ours, **options), rivals={"production": scores_of(base, **options)}, currency="CNY")


def test_the_pilot_decides_how_many_examples_a_comparison_needs():
    rule = {"token_f1": Rule(against="production", margin=0.05)}
    (close,), _ = plan(rule, pilot(gain=0.05))
    (far,), _ = plan(rule, pilot(gain=0.2))
    (nothing,), _ = plan(rule)
    assert [one.basis for one in (close, far, nothing)] == ["pilot", "pilot", "assumed"]
    assert far.needed < close.needed
    assert far.power > close.power
    assert "assumed: half of the answers are right" in said(nothing)
    assert close.needed_low <= close.needed
    assert close.all_examples == pytest.approx(4 * close.needed, abs=1)  # 50 of 200 are in the gate
    assert close.truth == pytest.approx(0.04, abs=0.03)


@pytest.mark.slow
def test_a_rule_whose_power_is_high_passes_and_one_whose_power_is_low_does_not():
    rule = {"token_f1": Rule(min=0.4, against="production", margin=0.05)}
    rng = np.random.default_rng(2)
    base = rng.beta(2, 2, 2_000)
    ours = np.clip(base + rng.normal(0.05, 0.15, 2_000), 0, 1)
    known = Known(scores=scores_of(ours), rivals={"production": scores_of(base)})
    found, _ = plan(rule, known, places(60))
    passed = {one.rule: 0 for one in found}
    for _ in range(100):
        chosen = rng.choice(2_000, 60, replace=False)
        mine, theirs = scores_of(ours[chosen]), scores_of(base[chosen])
        report = build_report(Ref("candidate", "a", "0" * 64), Ref("dataset", "d", "1" * 64), "gate", mine, "b", "CNY")
        verdict = judge(
            rule, report, mine, {"production": (Ref("release", "r", "2" * 64), report, theirs)}, alpha=ALPHA
        )
        for one in verdict.rules:
            passed[one.rule] += one.outcome == "pass"
    for one in found:
        assert one.power == pytest.approx(passed[one.rule] / 100, abs=0.15), one.rule
    assert passed["min"] > 90  # else the two were alike for want of anything to see


@pytest.mark.parametrize(
    ("rule", "n", "words"),
    [
        ({"latency_p95": Rule(max=8.0)}, 71, "no upper bound below 72 independent examples"),
        ({"latency_p95": Rule(against="production", margin=1.0)}, 71, "no upper bound below 72"),
        ({"error_rate": Rule(max=0.02)}, 182, "even flawless answers would not pass below 183"),
        ({"token_f1": Rule(min=1.0)}, 500, "no value keeps this bound"),
    ],
)
def test_a_rule_that_can_never_pass_is_named_with_what_to_do(rule, n, words):
    (found,), _ = plan(rule, at=places(n))
    assert found.never
    assert words in said(found)


def test_one_more_example_and_it_can():
    (found,), _ = plan({"latency_p95": Rule(max=8.0)}, pilot(), at=places(72))
    assert not found.never
    (found,), _ = plan({"error_rate": Rule(max=0.02)}, at=places(183))
    assert not found.never


def test_groups_count_and_not_examples():
    rule = {"token_f1": Rule(min=0.4)}
    (alone,), _ = plan(rule, pilot(), places(60))
    (shared,), _ = plan(rule, pilot(group_of=lambda n: f"g{n // 5}"), places(60, group_of=lambda n: f"g{n // 5}"))
    assert shared.power < alone.power
    (found,), _ = plan({"latency_p95": Rule(max=8.0)}, at=places(300, group_of=lambda n: f"g{n // 5}"))
    assert found.never  # 60 groups


def test_each_slice_is_planned_by_its_own_examples_and_superiority_is_not():
    def language(n):
        return "zh" if n % 5 == 0 else "en"

    rule = {"token_f1": Rule(min=0.3, against="production", better=True, margin=0.1, slices=("language",))}
    found, needs = plan(rule, pilot(language_of=language), places(60, language))
    assert [(one.slice, one.rule) for one in found if one.slice] == [
        ("language=en", "min"), ("language=en", "non-inferiority"), ("language=zh", "min"),
        ("language=zh", "non-inferiority"),
    ]  # fmt: skip
    small = next(one for one in found if one.slice == "language=zh" and one.rule == "min")
    assert small.examples == 12
    assert needs[0] is None or needs[0] >= 5 * small.needed


def test_later_looks_need_more_and_a_measured_value_alone_needs_nothing():
    _, needs = plan({"token_f1": Rule(min=0.4)}, pilot(), alphas=(0.025, 0.004, 0.001))
    assert needs == sorted(needs)
    assert needs[0] < needs[2]
    (point,), needs = plan({"token_f1": Rule(min=0.4, confidence="point")})
    assert point.basis == "point"
    assert needs == [0]


def test_what_nobody_measured_is_said_to_be_unknown():
    (found,), needs = plan({"latency_p50": Rule(against="production", margin=0.1)})
    assert found.basis == "unknown"
    assert needs == [None]
    assert "slipway run evaluate" in said(found)


def test_dev_on_other_examples_is_no_pilot_for_a_comparison():
    known = pilot()
    others = [one for one in known.rivals["production"] if one.example != "e0"]
    (found,), _ = plan(
        {"token_f1": Rule(against="production", margin=0.05)}, Known(scores=known.scores, rivals={"production": others})
    )
    assert found.basis == "assumed"


def test_a_rule_that_asks_nothing_or_of_nothing_known_is_an_error():
    with pytest.raises(ConfigError):
        plan({"token_f1": Rule()})
    with pytest.raises(NotFound):
        plan({"token_f2": Rule(min=0.1)})


def test_no_gate_example_is_said_and_divides_by_nothing():
    (found,), _ = prospects({"token_f1": Rule(min=0.3)}, Known(), [], 0, [ALPHA])
    assert found.never
    assert "there is no gate example" in said(found)
    made = GatePlan(
        candidate="", rivals={}, gate=0, groups=0, total=0, used=0, budget=10, prospects=(found,),
        looks=(Price(look=1, alpha=ALPHA, needed=None),),
    )  # fmt: skip
    assert "now: 0" in power_picture(made)
    assert gate_plan(made).parts


def test_the_page_says_it_in_chinese_too():
    rules = {"token_f1": Rule(min=0.4, against="production", margin=0.05), "latency_p95": Rule(max=8.0)}
    rows, needs = plan(rules, pilot())
    made = GatePlan(
        candidate="grounded", rivals={"production": "plain"}, gate=50, groups=50, total=200, used=1, budget=10,
        prospects=tuple(rows), looks=(Price(look=2, alpha=ALPHA, needed=needs[0]),), currency="CNY",
    )  # fmt: skip
    with speaking("zh"):
        parts = [part for part in gate_plan(made).parts if isinstance(part, str)]
        notes = [note for part in gate_plan(made).parts if not isinstance(part, str) for note in part.notes]
    assert "grounded 在 dev 上" in parts[0]
    assert any("独立样例少于 72 条时没有上界" in note for note in notes)


def test_right_or_wrong_is_planned_by_its_exact_test():
    """The power of superiority at 50 examples, 24% turning right and 3% wrong: 87% by enumeration of all samples."""
    base = np.array([0.0] * 25 + [1.0] * 75)
    ours = np.concatenate([[1.0] * 24, [0.0] * 4, [1.0] * 72])
    rule = {"exact_match": Rule(against="production", better=True)}
    named = {
        side: [
            msgspec.structs.replace(one, metrics={"exact_match": one.metrics["token_f1"]}) for one in scores_of(values)
        ]
        for side, values in (("ours", ours), ("base", base))
    }
    known = Known(scores=named["ours"], rivals={"production": named["base"]})
    (found,), _ = plan(rule, known, places(50))
    assert found.power == pytest.approx(enumerated(50, 0.24, 0.03, ALPHA), abs=0.03)
    (shared,), _ = plan(rule, known, places(50, group_of=lambda n: f"g{n // 2}"))
    assert shared.power < found.power - 0.1
    assert shared.needed > found.needed


def enumerated(n, better, worse, alpha):
    power = 0.0
    for b in range(n + 1):
        for w in range(n + 1 - b):
            chance = float(multinomial.pmf([b, w, n - b - w], n, [better, worse, 1 - better - worse]))
            if chance > 1e-6 and tail_at(Turned(b, w, n), 0.0) <= alpha:
                power += chance
    return power


def test_flawless_right_or_wrong_answers_are_never_enough_below_a_size():
    (found,), _ = plan({"exact_match": Rule(against="production", better=True)}, at=places(5))
    assert found.never  # 1 of 32 is more than 2.5%
    assert "below 6 independent examples" in said(found)
    (found,), _ = plan({"exact_match": Rule(against="production", better=True)}, at=places(6))
    assert not found.never
