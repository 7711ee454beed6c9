"""A verdict in sentences and as a picture: every outcome, in both languages, whatever its names hold."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import msgspec
import numpy as np
import pytest

from slipway.core.answer import Answer
from slipway.core.ref import Ref
from slipway.core.release import RuleResult, Verdict
from slipway.core.report import Score
from slipway.evaluate.aggregate import build_report
from slipway.i18n import speaking
from slipway.release.gate import Rule, judge
from slipway.render import markdown, text
from slipway.render.pages import why
from slipway.render.pages.scales import scales, svg_picture, text_picture, verdict_picture

RELEASE = Ref("release", "assistant", "a" * 64)
SVG = "{http://www.w3.org/2000/svg}"


def scores_of(values, seconds=1.0):
    return [
        Score(
            example=f"e{n}", group="", language="zh" if n % 5 == 0 else "en",
            answer=Answer(text="x", raw="x", seconds=seconds, cost=0.01, currency="CNY"),
            metrics={"token_f1": float(value)},
        )
        for n, value in enumerate(values)
    ]  # fmt: skip


def judged(rules, mean=0.45, champion=None, n=60, **options):
    ours, theirs = scores_of(spread(mean, n)), scores_of(spread(mean if champion is None else champion, n)[::-1])
    rivals = {} if champion is None else {"production": (RELEASE, report_of(theirs), theirs)}
    made = judge(rules, report_of(ours), ours, rivals, **options)
    return msgspec.structs.replace(made, looks=10, gate_uses=2), report_of(ours)


def spread(mean, n):
    return np.clip(mean + 0.3 * np.linspace(-1, 1, n), 0, 1)


def report_of(scores):
    return build_report(
        Ref("candidate", "grounded", "0" * 64), Ref("dataset", "d", "1" * 64), "gate", scores, "b", "CNY"
    )


CASES = {
    "pass": ({"token_f1": Rule(min=0.3)}, {}, ["is at least 0.4", "on the right side of 0.300", "may be released"]),
    "too few": ({"token_f1": Rule(min=0.44)}, {}, ["falls short of it by", "more gate examples would decide"]),
    "chance": ({"token_f1": Rule(min=0.46)}, {}, ["which may still be chance", "nothing speaks clearly against it"]),
    "fail": ({"token_f1": Rule(min=0.7)}, {}, ["It misses 0.700 by 0.250", "more examples will hardly change that"]),
    "not measured": ({"rouge_l": Rule(min=0.1)}, {}, ["could not be judged: was not measured", "measure the metric"]),
    "no bound": ({"latency_p95": Rule(max=8.0)}, {"n": 30}, ["give no bound for it", "nothing says how far off"]),
    "at most": ({"cost_per_query": Rule(max=0.05)}, {}, ["it is at most 0.0", "on the right side of 0.05 CNY"]),
    "not inferior": (
        {"token_f1": Rule(against="production", margin=0.3)}, {"champion": 0.4},
        ["0.400 for what serves: a difference of +0.050", "on the right side of -0.300"],
    ),
    "latency against": (
        {"latency_p50": Rule(against="production", margin=0.3)}, {"champion": 0.4}, ["s or less.", "on the right side of +0.3 s"],
    ),
    "not better": ({"token_f1": Rule(against="production", better=True)}, {"champion": 0.5}, ["It misses zero by 0.050"]),
    "nothing serves": (
        {"token_f1": Rule(min=0.2), "retrieval_recall": Rule(min=0.0)}, {}, ["retrieval_recall could not be judged"],
    ),
    "by point": ({"token_f1": Rule(min=0.44, confidence="point")}, {}, ["takes the measured value as it is", "favoured"]),
    "slice": ({"token_f1": Rule(min=0.3, slices=("language",))}, {}, ["On 12 examples, token_f1 (language=zh)"]),
    "no rules": ({}, {}, ["lets nothing through", "token_f1: {min: 0.3}"]),
    "many": (
        {"token_f1": Rule(min=0.1, max=0.9, slices=("language",))}, {}, ["asked 6 things", "and 3 more"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_five_sentences_say_what_was_decided_and_why(name):
    rules, options, words = CASES[name]
    found, report = judged(rules, **options)
    said = why.sentences(found, report)
    assert len(said) == 5
    assert all(sentence.endswith(".") and "{" not in sentence.replace("{min: 0.3}", "") for sentence in said)
    for word in words:
        assert word in " ".join(said)


@pytest.mark.parametrize("name", CASES)
def test_the_same_in_chinese(name):
    rules, options, _ = CASES[name]
    found, report = judged(rules, **options)
    with speaking("zh"):
        said = why.sentences(found, report)
    for sentence in said:
        assert sentence.endswith("。")
        left = re.findall(r"[A-Za-z]{4,}", sentence)
        known = {
            "grounded",
            "token",
            "rouge",
            "retrieval",
            "recall",
            "language",
            "latency",
            "cost",
            "query",
            "production",
        }
        assert set(left) <= known, sentence


def test_the_look_is_told_with_its_level_and_an_older_verdict_says_that_it_has_none():
    found, report = judged({"token_f1": Rule(min=0.3)}, alpha=0.00417)
    assert "look 2 of 10" in why.sentences(found, report)[-1]
    assert "0.42%" in why.sentences(found, report)[-1]
    assert "99.58% confidence" in why.sentences(found, report)[1]
    last = msgspec.structs.replace(found, gate_uses=10)
    assert "last of 10 looks" in why.sentences(last, report)[-1]
    older = msgspec.structs.replace(found, looks=0)
    assert "made no allowance" in why.sentences(older, report)[-1]


def test_an_older_verdict_without_bounds_of_its_own_has_those_of_its_comparison():
    found, report = judged({"token_f1": Rule(against="production", margin=0.3)}, champion=0.4)
    bare = msgspec.structs.replace(found.rules[0], low=None, high=None, needed=None)
    older = msgspec.structs.replace(found, looks=0, rules=(bare,))
    assert found.rules[0].comparison is not None
    assert scales(older, {})[0].low == found.rules[0].comparison.low
    assert len(why.sentences(older, report)) == 5


def test_a_failed_rule_is_told_before_one_that_is_open_and_of_those_the_one_that_needs_most():
    found, report = judged({"token_f1": Rule(min=0.44), "cost_per_query": Rule(max=0.001)})
    assert "cost_per_query" in why.sentences(found, report)[1]
    found, report = judged({"token_f1": Rule(min=0.39), "error_rate": Rule(max=0.001)})
    assert "error_rate" in why.sentences(found, report)[1]


def test_the_text_picture_has_the_interval_and_what_was_asked_in_their_order():
    found, report = judged({"token_f1": Rule(min=0.3)})
    line = text_picture(scales(found, {})).splitlines()[0]
    assert re.search(r"-+\|-+\[=+o=+\]-+  at least 0.300: pass", line)
    found, _ = judged({"latency_p95": Rule(max=8.0)}, n=30)
    assert re.search(r"=+\|=+>", text_picture(scales(found, {})).splitlines()[0])
    assert "| asked" in text.write(why.why(found, report))
    assert "```text\n" in markdown.write(why.why(found, report))


def drawn(svg):
    root = ElementTree.fromstring(svg)
    return root, [one.text or "" for one in root.iter(SVG + "text")]


@pytest.mark.parametrize("name", CASES)
def test_the_svg_is_whole_and_nothing_lies_outside(name):
    rules, options, _ = CASES[name]
    found, report = judged(rules, **options)
    root, _ = drawn(verdict_picture(found, report))
    wide, high = float(root.get("width", 0)), float(root.get("height", 0))
    for one in root.iter(SVG + "rect"):
        x, y = float(one.get("x", 0)), float(one.get("y", 0))
        assert x >= 0
        assert y >= 0
        assert x + float(one.get("width", 0)) <= wide + 0.1
        assert y + float(one.get("height", 0)) <= high + 0.1
    for one in root.iter(SVG + "text"):
        assert 0 <= float(one.get("x", -1)) <= wide
        assert 0 <= float(one.get("y", -1)) <= high


def test_an_interval_on_one_side_of_the_line_is_drawn_there():
    found, _ = judged({"token_f1": Rule(min=0.3)})
    root, texts = drawn(svg_picture(scales(found, {}), "a"))
    bar = next(one for one in root.iter(SVG + "rect") if one.get("x"))
    asked = [one for one in root.iter(SVG + "polyline") if one.get("stroke-dasharray")]
    assert float(asked[0].get("points", "").split(",")[0]) < float(bar.get("x", 0))
    assert {"token_f1", "0.450", "0.300", "at least 0.300"} <= set(texts)


def test_what_a_slice_is_called_is_text_in_every_form():
    hostile = "topic=<script>`\x1b[2J&"
    rule = RuleResult(
        metric="token_f1", rule="min", outcome="fail", bound=0.3, value=0.1, low=0.05, high=0.2, slice=hostile
    )
    found = Verdict(outcome="fail", rules=(rule,), report=Ref("report", "x/gate", "0" * 64))
    report = report_of(scores_of([0.1, 0.2]))
    _, texts = drawn(svg_picture(scales(found, {}), hostile))
    assert any("<script>" in one and "\\x1b" in one for one in texts)  # read back as text, not as an element
    assert "\x1b" not in text.write(why.why(found, report))
    assert "`\\x1b" not in markdown.write(why.why(found, report)).split("```text")[1]
