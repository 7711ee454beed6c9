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
from slipway.release.gate import Rule, judge
from slipway.render.cells import shown
from slipway.render.pages.verdicts import verdict_table

RELEASE = Ref("release", "assistant", "a" * 64)


def scores_of(values, seconds=1.0, cost=0.01, groups=None, languages=None):
    return [
        Score(
            example=f"e{i}",
            group=groups[i] if groups else "",
            language=languages[i] if languages else "en",
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


def verdict_lines(found, currency=""):
    table = verdict_table(found, currency)
    return [" | ".join(shown(*pair) for pair in zip(row, table.columns, strict=True)) for row in table.rows]


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
    assert few.needed_low < few.needed
    assert "more gate examples would decide" in why(few)
    assert verdict_of(rules, spread(0.3, few.needed)).outcome == "pass"


def test_the_examples_to_add_are_counted_over_all_splits():
    rules = {"token_f1": Rule(min=0.25)}
    few = verdict_of(rules, spread(0.3, 20), gate_share=0.3).rules[0]
    added, least = (few.needed - 20) / 0.3, (few.needed_low - 20) / 0.3
    told = re.search(r"about (\d+) more examples over all splits would decide, at least (\d+)", why(few))
    assert told is not None
    assert added <= int(told[1]) <= 1.1 * added + 1
    assert least <= int(told[2]) <= 1.1 * least + 1


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


@pytest.mark.parametrize(
    "rules",
    [
        {"token_f1": Rule(against="production", margin=0.02)},
        {"token_f1": Rule(against="production", margin=0.02), "cost_per_query": Rule(max=1.0)},
        {"token_f1": Rule(min=0.0, against="production", margin=0.02)},
        {"token_f1": Rule(max=1.0, against="production", better=True)},
    ],
    ids=["no bound", "a bound on cost", "a bound that all keep", "a bound on the wrong side"],
)
def test_a_first_release_with_nothing_right_does_not_pass(rules):
    found = verdict_of(rules, np.zeros(60))
    assert found.outcome == "fail"
    reasons = " ".join(why(one) for one in found.rules)
    assert "nothing serves on 'production' yet" in reasons
    assert "token_f1: {min: 0.3}" in reasons  # what to write


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


# what is easily missed --------------------------------------------------------------------------------------------
def test_a_ruin_that_went_unseen_does_not_pass_as_better():
    """0.0125 better on all that were seen: 3% may be 0.4 worse, and the mean no better. A sign test says p < 0.001."""
    champion = spread(0.5, 20)
    rules = {"token_f1": Rule(against="production", better=True)}
    assert verdict_of(rules, champion + 0.0125, champion).outcome == "insufficient"
    assert verdict_of(rules, champion + 0.2, champion).outcome == "pass"


def test_a_verdict_at_a_small_alpha_asks_for_more():
    rules = {"token_f1": Rule(min=0.7)}
    values = np.array([1.0] * 90 + [0.0] * 10)
    assert verdict_of(rules, values, alpha=0.05).outcome == "pass"
    found = verdict_of(rules, values, alpha=1e-7)
    assert found.outcome == "insufficient"
    assert found.alpha == 1e-7
    assert "with 99.99999% confidence" in why(found.rules[0])


def fails(scores, which, **changes):
    """The scores with some answers that could not be made, or were declined."""
    answer = Answer(text="", raw="", currency="CNY", **{"error": "timeout", "seconds": 0.01} | changes)
    return [msgspec.structs.replace(one, answer=answer) if i in which else one for i, one in enumerate(scores)]


@pytest.mark.parametrize("kind", [{"error": "timeout"}, {"error": "", "abstained": True}])
def test_failing_makes_nothing_cheaper_or_faster(kind):
    champion = [
        msgspec.structs.replace(
            one, answer=msgspec.structs.replace(one.answer, cost=0.01 + i * 1e-4, seconds=1 + i / 99)
        )
        for i, one in enumerate(scores_of([0.5] * 100))
    ]
    challenger = fails(champion, range(70, 100), **kind)  # the dearest and slowest
    rival = {"production": (RELEASE, report_of(champion), champion)}
    made = report_of(challenger)
    for metric in ("cost_per_query", "latency_p95"):
        assert judge({metric: Rule(against="production")}, made, challenger, rival).outcome == "fail"
    assert made.metrics["latency_p95"].high is None
    assert made.metrics["token_f1"].value == pytest.approx(0.35)
    slow = judge({"latency_p95": Rule(max=60.0)}, made, challenger).rules[0]
    assert slow.outcome == "insufficient"
    assert "30 examples have no answer" in why(slow)


def test_a_limit_is_what_a_failed_answer_costs_and_how_far_a_bound_reaches():
    scores = fails(scores_of([0.5] * 60), range(6))
    made = report_of(scores)
    assumed = judge({"cost_per_query": Rule(max=0.05)}, made, scores).rules[0]
    assert assumed.outcome == "pass"
    assert "assumed" in why(assumed)
    known = judge({"cost_per_query": Rule(max=0.05, limit=1.0)}, made, scores).rules[0]
    assert known.value == pytest.approx((54 * 0.01 + 6 * 1.0) / 60)
    assert known.outcome == "fail"
    assert "assumed" not in why(known)
    beyond = judge({"cost_per_query": Rule(max=0.05, limit=0.001)}, made, scores).rules[0]
    assert beyond.outcome == "fail"
    assert "above the limit" in why(beyond)


def test_a_quantile_is_not_slower_by_the_margin_only_with_proof():
    rng = np.random.default_rng(0)
    base = rng.lognormal(0, 0.2, 300)

    def timed(seconds):
        scores = scores_of([0.5] * len(seconds))
        return [
            msgspec.structs.replace(one, answer=msgspec.structs.replace(one.answer, seconds=float(s)))
            for one, s in zip(scores, seconds, strict=True)
        ]

    def outcome(seconds, count, margin):
        ours, theirs = timed(seconds[:count]), timed(base[:count])
        rival = {"production": (RELEASE, report_of(theirs), theirs)}
        return judge({"latency_p95": Rule(against="production", margin=margin)}, report_of(ours), ours, rival).rules[0]

    assert outcome(base, 300, 0.5).outcome == "pass"
    assert outcome(base + 2.0, 300, 0.5).outcome == "fail"
    few = outcome(base, 40, 0.5)
    assert few.outcome == "insufficient"
    assert few.high is None
    assert "do not bound the difference" in why(few)


# slices --------------------------------------------------------------------------------------------------------------
def bilingual(english, chinese):
    values = [*english, *chinese]
    return scores_of(values, languages=["en"] * len(english) + ["zh"] * len(chinese))


def test_a_candidate_that_wins_on_average_and_ruins_chinese_does_not_pass():
    champion = bilingual(np.full(200, 0.5), np.full(60, 0.8))
    challenger = bilingual(np.full(200, 0.9), np.full(60, 0.4))
    rival = {"production": (RELEASE, report_of(champion), champion)}
    rule = Rule(against="production", margin=0.1, better=True)
    assert judge({"token_f1": rule}, report_of(challenger), challenger, rival).outcome == "pass"
    sliced = msgspec.structs.replace(rule, slices=["language"])
    found = judge({"token_f1": sliced}, report_of(challenger), challenger, rival)
    assert [(one.slice, one.rule, one.outcome) for one in found.rules] == [
        ("", "non-inferiority", "pass"),
        ("", "superiority", "pass"),
        ("language=en", "non-inferiority", "pass"),
        ("language=zh", "non-inferiority", "fail"),
    ]
    assert found.outcome == "fail"
    assert any("token_f1 (language=zh)" in line for line in verdict_lines(found))
    assert msgspec.json.decode(msgspec.json.encode(found), type=Verdict) == found


def test_a_slice_with_too_few_examples_is_insufficient_and_named():
    scores = bilingual(np.full(200, 0.9), [0.9])
    rules = {"token_f1": Rule(min=0.5, slices=["language"])}
    found = judge(rules, report_of(scores), scores)
    assert [(one.slice, one.outcome) for one in found.rules] == [
        ("", "pass"), ("language=en", "pass"), ("language=zh", "insufficient"),
    ]  # fmt: skip
    theirs = bilingual(np.full(200, 0.9), [0.9])
    rules = {"token_f1": Rule(min=0.5, against="production", margin=0.1, slices=["language"])}
    found = judge(rules, report_of(scores), scores, {"production": (RELEASE, report_of(theirs), theirs)})
    assert [one.outcome for one in found.rules if one.slice == "language=zh"] == ["insufficient", "insufficient"]
    assert found.outcome == "insufficient"


def test_slices_are_cut_by_a_key_of_the_examples_too():
    scores = [
        msgspec.structs.replace(one, facets={"topic": "billing" if i % 2 else "setup"})
        for i, one in enumerate(scores_of([0.2 if i % 2 else 0.9 for i in range(120)]))
    ]
    found = judge({"token_f1": Rule(min=0.4, slices=["topic"])}, report_of(scores), scores)
    assert [(one.slice, one.outcome) for one in found.rules] == [
        ("", "pass"), ("topic=billing", "fail"), ("topic=setup", "pass"),
    ]  # fmt: skip
    missing = judge({"token_f1": Rule(min=0.4, slices=["tpoic"])}, report_of(scores), scores)
    assert missing.outcome == "fail"
    assert "no example has 'tpoic'" in why(missing.rules[1])


# stored before -------------------------------------------------------------------------------------------------------
def test_a_verdict_that_was_stored_before_still_reads():
    old = (
        b'{"outcome":"insufficient","rules":[{"metric":"token_f1","rule":"superiority","outcome":"insufficient",'
        b'"bound":0.0,"value":0.5,"low":-0.1,"high":0.2,"needed":80,"against":"production","comparison":{"metric":'
        b'"token_f1","n":40,"groups":40,"champion":0.45,"challenger":0.5,"effect":0.05,"low":-0.1,"high":0.2,'
        b'"p_value":0.4,"test":"permutation","mde":0.2}}],"report":{"kind":"report","name":"a/gate","digest":"00"},"gate_uses":2}'
    )
    found = msgspec.json.decode(old, type=Verdict)
    assert found.rules[0].comparison.test == "permutation"
    assert verdict_table(found).rows


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
        (Rule(min=0.1, limit=1.0), "limit that it does not need"),
        (Rule(against="production", slices=["language"]), "asks nothing of its slices"),
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
    assert "token_f1 | at least 0.250 | 0.500 | pass | at least 0." in lines[0]
    assert "at most 0.050 worse than production" in lines[1]
    assert "latency_p95 | at most 8 s | 1 s | insufficient" in lines[2]
    assert "about 19 more gate examples would decide" in lines[2]
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
