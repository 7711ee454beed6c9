"""What the gate lets through, what it refuses, and why."""

from __future__ import annotations

import math
import re

import msgspec
import numpy as np
import pytest

from slipway.core.answer import Answer
from slipway.core.ref import Ref
from slipway.core.release import Verdict
from slipway.core.report import Aggregate, Score
from slipway.errors import ConfigError, NotFound
from slipway.evaluate.aggregate import build_report
from slipway.i18n import Said, speaking
from slipway.release.gate import Rule, judge, judge_all
from slipway.render.pages.verdicts import verdict_lines, verdict_table

RELEASE = Ref("release", "assistant", "a" * 64)


def scores_of(values, seconds=1.0, cost=0.01, groups=None):
    return [
        Score(
            example=f"e{i}",
            group=groups[i] if groups else "",
            language="en",
            answer=Answer(text="x", raw="x", seconds=seconds, cost=cost, currency="CNY"),
            metrics={} if value is None else {"token_f1": float(value)},
        )
        for i, value in enumerate(values)
    ]


def report_of(scores, name="grounded"):
    return build_report(Ref("candidate", name, "0" * 64), Ref("dataset", "d", "1" * 64), "gate", scores, "b", "CNY")


def verdict_of(rules, values, champion=None, **options):
    scores = scores_of(values)
    rival = None
    if champion is not None:
        theirs = scores_of(champion)
        rival = {"production": (RELEASE, report_of(theirs, "plain"), theirs)}
    return judge(rules, report_of(scores), scores, rival, **options)


def why(result):
    return "; ".join(str(said) for said in result.reason)


def spread(mean, n, width=0.3):
    """Values around a mean, in [0, 1], the same for every call."""
    return np.clip(mean + width * np.linspace(-1, 1, n), 0, 1)


# absolute bounds -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("mean", "outcome"), [(0.45, "pass"), (0.40, "pass"), (0.27, "insufficient"), (0.23, "insufficient"), (0.1, "fail")]
)
def test_min_with_25_examples(mean, outcome):
    found = verdict_of({"token_f1": Rule(min=0.25)}, spread(mean, 25, width=0.08 if mean == 0.1 else 0.3))
    assert found.outcome == outcome
    assert (found.rules[0].needed is not None) == (outcome == "insufficient")


def test_the_examples_needed_do_decide():
    rules = {"token_f1": Rule(min=0.25)}
    few = verdict_of(rules, spread(0.3, 20)).rules[0]
    assert few.outcome == "insufficient"
    assert few.needed > 20
    assert f"about {few.needed - 20} more examples" in why(few)
    assert verdict_of(rules, spread(0.3, few.needed)).outcome == "pass"


def test_point_confidence_is_explicit_and_shown():
    found = verdict_of({"token_f1": Rule(min=0.25, confidence="point")}, spread(0.27, 25))
    assert found.outcome == "pass"
    assert "confidence: point" in why(found.rules[0])
    assert verdict_of({"token_f1": Rule(min=0.25, confidence="point")}, spread(0.24, 25)).outcome == "fail"


def test_max_of_a_quantile_needs_59_examples():
    rules = {"latency_p95": Rule(max=8.0)}
    few = verdict_of(rules, spread(0.5, 25)).rules[0]
    assert few.outcome == "insufficient"
    assert few.needed == 59
    assert verdict_of(rules, spread(0.5, 59)).outcome == "pass"
    assert verdict_of({"latency_p95": Rule(max=8.0, confidence="point")}, spread(0.5, 25)).outcome == "pass"
    assert verdict_of({"latency_p95": Rule(max=0.5)}, spread(0.5, 60)).outcome == "fail"


def test_every_rule_must_pass():
    rules = {"token_f1": Rule(min=0.25), "cost_per_query": Rule(max=0.001)}
    found = verdict_of(rules, spread(0.5, 60))
    assert [one.outcome for one in found.rules] == ["pass", "fail"]
    assert found.outcome == "fail"


# fail closed -------------------------------------------------------------------------------------------------------
def test_an_empty_gate_never_passes():
    assert verdict_of({}, spread(0.9, 60)).outcome == "fail"


def test_a_missing_metric_fails():
    found = verdict_of({"rouge_l": Rule(min=0.0, against="production", margin=1.0)}, spread(0.9, 60))
    assert [one.outcome for one in found.rules] == ["fail", "fail"]
    assert found.rules[0].value is None
    assert "not measured" in why(found.rules[0])


def test_nan_fails_even_where_every_bound_would_hold():
    scores = scores_of(spread(0.9, 60))
    made = report_of(scores)
    nan = msgspec.structs.replace(
        made, metrics={**made.metrics, "token_f1": Aggregate(value=math.nan, low=math.nan, high=math.nan, n=60)}
    )
    found = judge({"token_f1": Rule(min=0.0)}, nan, scores)
    assert found.outcome == "fail"
    assert "not a number" in why(found.rules[0])


def test_a_report_that_its_scores_do_not_bear_out_fails():
    scores = scores_of(spread(0.2, 60))
    made = report_of(scores)
    better = msgspec.structs.replace(made, metrics=report_of(scores_of(spread(0.9, 60))).metrics)
    found = judge({"token_f1": Rule(min=0.5)}, better, scores)
    assert found.outcome == "fail"
    assert "differs" in why(found.rules[0])


# against a champion ------------------------------------------------------------------------------------------------
def test_the_first_release_has_nothing_to_beat():
    rule = Rule(min=0.25, against="production", margin=0.02)
    found = verdict_of({"token_f1": rule}, spread(0.5, 60))
    assert found.outcome == "pass"
    assert found.champions == {}
    assert "nothing serves on 'production' yet" in why(found.rules[1])
    alone = verdict_of({"token_f1": Rule(against="production", margin=0.02)}, spread(0.5, 60))
    assert alone.outcome == "fail"
    assert "absolute bound" in why(alone.rules[0])


@pytest.mark.parametrize(("loss", "outcome"), [(-0.1, "pass"), (0.0, "pass"), (0.04, "insufficient"), (0.3, "fail")])
def test_non_inferiority(loss, outcome):
    champion = spread(0.5, 100)
    noise = 0.1 * np.sin(np.arange(100))
    found = verdict_of({"token_f1": Rule(against="production", margin=0.05)}, champion - loss + noise, champion)
    assert found.rules[0].rule == "non-inferiority"
    assert found.outcome == outcome
    assert found.champions == {"production": RELEASE}
    assert (found.rules[0].against, found.rules[0].champion) == ("production", RELEASE)


def test_equal_answers_on_few_examples_do_not_prove_a_small_margin():
    values = spread(0.5, 60)
    rules = {"token_f1": Rule(against="production", margin=0.02)}
    found = verdict_of(rules, values, values)
    assert found.outcome == "insufficient"
    assert verdict_of(rules, spread(0.5, found.rules[0].needed), spread(0.5, found.rules[0].needed)).outcome == "pass"
    assert 100 < found.rules[0].needed < 200  # rule of three: 3 / 0.02


@pytest.mark.parametrize(("gain", "outcome"), [(0.1, "pass"), (0.01, "insufficient"), (0.0, "fail"), (-0.1, "fail")])
def test_superiority(gain, outcome):
    champion = spread(0.4, 100)
    noise = 0.1 * np.sin(np.arange(100))
    found = verdict_of(
        {"token_f1": Rule(against="production", better=True)}, champion + gain + noise - noise.mean(), champion
    )
    assert found.rules[0].rule == "superiority"
    assert found.outcome == outcome
    assert found.rules[0].comparison.effect == pytest.approx(gain, abs=1e-9)


def test_against_alone_means_better():
    assert verdict_of({"token_f1": Rule(against="production")}, spread(0.5, 60), spread(0.5, 60)).rules[0].rule == (
        "superiority"
    )


def test_lower_is_better_for_cost_and_latency():
    cheap, dear = scores_of(spread(0.5, 60), cost=0.01), scores_of(spread(0.5, 60), cost=0.02)
    for i, score in enumerate(dear):
        dear[i] = msgspec.structs.replace(score, answer=msgspec.structs.replace(score.answer, cost=0.02 + i * 1e-5))
    rules = {"cost_per_query": Rule(against="production", better=True)}
    assert judge(rules, report_of(cheap), cheap, {"production": (RELEASE, report_of(dear), dear)}).outcome == "pass"
    assert judge(rules, report_of(dear), dear, {"production": (RELEASE, report_of(cheap), cheap)}).outcome == "fail"
    margin = {"cost_per_query": Rule(against="production", margin=0.02)}
    assert judge(margin, report_of(dear), dear, {"production": (RELEASE, report_of(cheap), cheap)}).outcome == "pass"
    tight = {"cost_per_query": Rule(against="production", margin=0.001)}
    assert judge(tight, report_of(dear), dear, {"production": (RELEASE, report_of(cheap), cheap)}).outcome == "fail"


def test_examples_of_one_document_are_one_witness():
    champion, challenger = scores_of(spread(0.4, 60)), scores_of(spread(0.4, 60) + 0.2)
    rules = {"token_f1": Rule(against="production", better=True)}
    assert (
        judge(
            rules, report_of(challenger), challenger, {"production": (RELEASE, report_of(champion), champion)}
        ).outcome
        == "pass"
    )
    groups = [f"doc{i // 12}" for i in range(60)]
    champion = scores_of(spread(0.4, 60), groups=groups)
    challenger = scores_of(spread(0.4, 60) + 0.2, groups=groups)
    found = judge(rules, report_of(challenger), challenger, {"production": (RELEASE, report_of(champion), champion)})
    assert found.outcome == "insufficient"


def test_each_rule_is_compared_with_the_champion_of_its_own_channel():
    good, poor = scores_of(spread(0.8, 100)), scores_of(spread(0.2, 100))
    other = Ref("release", "assistant", "b" * 64)
    rivals = {"production": (RELEASE, report_of(poor), poor), "staging": (other, report_of(good), good)}
    ours = scores_of(spread(0.5, 100), cost=0.01)
    rules = {
        "token_f1": Rule(against="staging", margin=0.05),
        "cost_per_query": Rule(against="production", margin=0.01),
    }
    found = judge(rules, report_of(ours), ours, rivals)
    assert [(one.against, one.champion, one.outcome) for one in found.rules] == [
        ("staging", other, "fail"),
        ("production", RELEASE, "pass"),
    ]
    assert found.rules[0].comparison.against == other
    assert found.rules[0].comparison.champion == pytest.approx(0.8, abs=0.05)
    assert found.champions == {"production": RELEASE, "staging": other}
    swapped = judge({"token_f1": Rule(against="production", margin=0.05)}, report_of(ours), ours, rivals)
    assert swapped.outcome == "pass"
    assert swapped.champions == {"production": RELEASE}
    assert "at most 0.050 worse than staging" in verdict_lines(found)[0]
    notes = verdict_table(found).notes
    assert f"staging: compared with {other.short}" in notes
    assert f"production: compared with {RELEASE.short}" in notes


def test_a_rule_whose_channel_has_no_release_is_told_apart_from_one_that_has():
    poor, ours = scores_of(spread(0.2, 100)), scores_of(spread(0.5, 100))
    rules = {"token_f1": Rule(min=0.1, against="canary", margin=0.05), "cost_per_query": Rule(against="production")}
    found = judge(rules, report_of(ours), ours, {"production": (RELEASE, report_of(poor), poor)})
    assert found.rules[1].champion is None
    assert "nothing serves on 'canary' yet" in why(found.rules[1])
    assert found.rules[2].champion == RELEASE


def test_champion_on_other_examples_fails_closed():
    champion, challenger = scores_of(spread(0.4, 50)), scores_of(spread(0.9, 60))
    rules = {"token_f1": Rule(min=0.1, against="production", margin=0.5)}
    found = judge(rules, report_of(challenger), challenger, {"production": (RELEASE, report_of(champion), champion)})
    assert [one.outcome for one in found.rules] == ["pass", "fail"]
    assert "cannot be compared" in why(found.rules[1])


def test_holm_makes_a_lucky_one_of_many_harder():
    """p = 0.02 wins alone, not as one of five; a p below 0.01 still does."""
    champion = scores_of([0.5] * 40)
    rival = {"production": (RELEASE, report_of(champion), champion)}
    lucky = scores_of([0.7] * 8 + [0.5] * 31 + [0.3])  # 8 gains, 1 loss: p = 10 / 256
    sure = scores_of([0.7] * 12 + [0.5] * 28)
    none = scores_of([0.7] * 2 + [0.3] * 1 + [0.5] * 37)
    rules = {"token_f1": Rule(against="production", better=True)}
    assert judge(rules, report_of(lucky), lucky, rival).outcome == "pass"
    assert judge(rules, report_of(lucky), lucky, rival, family_size=5).outcome == "insufficient"
    many = judge_all(rules, [(report_of(one), one) for one in (lucky, sure, none, none)], rival)
    assert [one.outcome for one in many] == ["insufficient", "pass", "insufficient", "insufficient"]


# rules, choice, words ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (Rule(), "asks nothing"),
        (Rule(min=0.5, max=0.4), "can never pass"),
        (Rule(min=math.nan), "no number"),
        (Rule(max=math.inf), "no number"),
        (Rule(min=0.1, margin=0.1), "compares with nothing"),
        (Rule(against="production", margin=-0.1), "negative margin"),
    ],
)
def test_impossible_rules_are_refused(rule, words):
    with pytest.raises(ConfigError, match=words) as error:
        verdict_of({"token_f1": rule}, spread(0.5, 30))
    assert "token_f1" in error.value.message


def test_unknown_metric_in_a_rule():
    with pytest.raises(NotFound, match="token_f1"):
        verdict_of({"token_f2": Rule(min=0.1)}, spread(0.5, 30))


def test_the_verdict_is_told_in_words_and_survives_storage():
    rules = {
        "token_f1": Rule(min=0.25, against="production", margin=0.05),
        "latency_p95": Rule(max=8.0),
        "cost_per_query": Rule(max=0.1),
    }
    found = verdict_of(rules, spread(0.5, 40), spread(0.5, 40), gate_uses=7)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Verdict) == found
    lines = verdict_lines(found, "CNY")
    assert len(lines) == 4
    assert "token_f1 0.500, asked: at least 0.250: pass (at least 0." in lines[0]
    assert "at most 0.050 worse than production" in lines[1]
    assert "latency_p95 1 s, asked: at most 8 s: insufficient" in lines[2]
    assert "about 19 more examples would decide" in lines[2]
    assert "0.01 CNY" in lines[3]
    table = verdict_table(found, "CNY")
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert any("number 7" in note for note in table.notes)


EVERY_KIND = {
    "token_f1": Rule(min=0.25, max=0.9, against="production", margin=0.05, better=True),
    "latency_p95": Rule(max=8.0),
    "prompt_tokens": Rule(max=100.0),
    "rouge_l": Rule(min=0.1),
}


@pytest.mark.parametrize("champion", [None, spread(0.5, 40)], ids=["first", "against a champion"])
@pytest.mark.parametrize("mean", [0.1, 0.26, 0.5])
def test_a_verdict_is_the_same_whoever_asked_and_each_reads_it_in_their_language(mean, champion):
    with speaking("zh"):
        theirs = verdict_of(EVERY_KIND, spread(mean, 40), champion)
    with speaking("en"):
        ours = verdict_of(EVERY_KIND, spread(mean, 40), champion)
        english = verdict_lines(ours, "CNY")
    assert theirs.digest == ours.digest
    stored = msgspec.json.decode(msgspec.json.encode(ours), type=Verdict)
    assert stored.digest == ours.digest
    with speaking("zh"):
        chinese = verdict_lines(stored, "CNY")
        reasons = [str(said) for one in stored.rules for said in one.reason]
    assert len(chinese) == len(english)
    assert reasons
    with speaking("en"):
        assert not set(reasons) & {str(said) for one in stored.rules for said in one.reason}
    assert all(re.search("[\u4e00-\u9fff]", told) for told in reasons)
    assert all(isinstance(said, Said) for one in stored.rules for said in one.reason)


def test_numbers_of_tokens_are_told_in_the_readers_language():
    found = verdict_of({"prompt_tokens": Rule(max=100.0)}, spread(0.5, 60)).rules[0]
    with speaking("en"):
        assert "tokens" in why(found)
    with speaking("zh"):
        assert "词元" in why(found)
        assert "tokens" not in why(found)
