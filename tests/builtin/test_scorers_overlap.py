"""Text metrics against published definitions and reference implementations."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from everyday import some
from slipway.core.answer import Answer
from slipway.core.material import Example
from slipway.errors import ConfigError, MissingPrerequisite
from slipway.plugins import Plugins
from slipway.text.words import answer_words

TEXT = [
    "token_f1", "exact_match", "answer_recall", "contains", "squad_f1", "squad_em", "cmrc_f1", "cmrc_em", "rouge_l", "bleu",
    "accuracy",
]  # fmt: skip


def score(metric, expected, text, language="und", error="", **options):
    example = Example(input={"question": "?"}, expected=tuple(expected), language=language)
    return Plugins().make("scorers", metric, options, "test").score(example, Answer(text=text, raw=text, error=error))


@pytest.mark.parametrize(
    ("expected", "text", "value"),
    [
        ("the Norman dynasty", "Norman dynasty", 1.0),  # articles do not count
        ("Paris", "It is Paris.", 2 * 1 / (1 + 3)),
        ("in 1066", "1066, maybe 1067", 2 * 1 / (2 + 3)),
        ("Paris", "London", 0.0),
        ("Paris", "", 0.0),
        ("二十个例子", "二十个", 2 * 3 / (5 + 3)),  # each character is a word
        ("使用 GPU 加速", "GPU加速", 2 * 3 / (5 + 3)),  # Latin words stay whole
        ("ＧＰＵ", "gpu", 1.0),  # full-width
        ("東京都", "東京", 2 * 2 / (3 + 2)),
        ("the the cat", "cat cat", 2 * 1 / (1 + 2)),  # a word counts as often as both have it
    ],
)
def test_token_f1(expected, text, value):
    assert score("token_f1", [expected], text) == pytest.approx(value)


def test_token_f1_cuts_chinese_unlike_a_plain_tokenizer():
    """Split at spaces, two Chinese sentences share no word at all."""
    assert score("token_f1", ["门限在评估之后作出裁决"], "评估之后，门限会裁决") > 0.7


def test_exact_match_normalises():
    assert score("exact_match", ["The U.S. Army"], "us army.") == 1.0
    assert score("exact_match", ["「上海」"], "上海。") == 1.0
    assert score("exact_match", ["C++ 17"], "C++ 20") == 0.0
    assert score("exact_match", ["A"], "B") == 0.0  # articles are kept where nothing else is left
    assert score("exact_match", ["A"], "a") == 1.0


def test_accuracy_compares_labels_not_substrings():
    assert score("accuracy", ["Billing"], " billing. ") == 1.0
    assert score("accuracy", ["Billing"], "billing question") == 0.0
    assert score("accuracy", ["是"], "是。") == 1.0
    assert score("accuracy", ["C++"], "C") == 0.0


# Figures of sacreBLEU 2.6.0 (sentence BLEU, smooth_method exp, effective order; tokenize none, or zh) and of
# rouge-score 0.1.2 (rougeL f-measure).
@pytest.mark.parametrize(
    ("expected", "text", "bleu", "rouge"),
    [
        ("the cat sat on a mat", "the cat sat on the red mat", 0.43472087194499137, 0.7692307692307692),
        ("the dog ran over hill", "dog ran", 0.2231301601484299, 0.5714285714285715),
        ("向量检索通常比关键词检索快", "向量检索比关键词检索更快", 0.5974178044844197, None),
    ],
)
def test_bleu_and_rouge_agree_with_the_reference_implementations(expected, text, bleu, rouge):
    assert score("bleu", [expected], text) == pytest.approx(bleu, abs=1e-12)
    if rouge is not None:
        assert score("rouge_l", [expected], text) == pytest.approx(rouge, abs=1e-12)


def test_rouge_needs_order_and_f1_does_not():
    assert score("token_f1", ["one two three four"], "four three two one") == 1.0
    assert score("rouge_l", ["one two three four"], "four three two one") == pytest.approx(0.25)


def test_rouge_of_long_chinese_text_is_counted_in_characters():
    assert score("rouge_l", ["数据" * 3000], "数据" * 1500) == pytest.approx(2 * 3000 / (6000 + 3000))


@pytest.mark.parametrize("metric", TEXT)
def test_the_best_reference_counts_and_edges(metric):
    assert score(metric, ["blue whale", "a very long other answer"], "blue whale") == pytest.approx(1.0)
    assert score(metric, [], "anything") is None
    assert score(metric, ["blue whale"], "blue whale", error="the model timed out") == 0.0
    assert score(metric, ["blue whale"], "") == 0.0


@pytest.mark.parametrize("metric", some(TEXT))
@settings(max_examples=30, deadline=None)
@given(st.text(max_size=30), st.text(max_size=30))
def test_scores_lie_between_zero_and_one(metric, expected, text):
    value = score(metric, [expected], text)
    assert value is not None
    assert 0.0 <= value <= 1.0 + 1e-12
    if answer_words(expected) and any(char.isalnum() for char in expected) and metric != "squad_f1":
        assert score(metric, [expected], expected) == pytest.approx(1.0)


def test_answer_recall_asks_only_whether_the_answer_is_there():
    assert score("answer_recall", ["3.5 GB of memory"], "It takes 3.5 GB of memory, and a lot of time.") == 1.0
    assert score("answer_recall", ["3.5 GB of memory"], "It takes 35 GB of memory.") == pytest.approx(3 / 4)
    assert score("answer_recall", ["三亿五千万"], "共三亿") == pytest.approx(2 / 5)


@pytest.mark.parametrize("metric", ["exact_match", "token_f1", "answer_recall", "accuracy", "contains"])
@pytest.mark.parametrize(("expected", "text"), [("3.5亿", "35亿"), ("1.5", "15"), ("-5", "5"), ("C++", "C#")])
def test_what_a_mark_changes_is_not_the_same_answer(metric, expected, text):
    assert score(metric, [expected], text) < 1.0


def test_squad_sees_no_marks_and_says_so():
    assert score("squad_em", ["3.5"], "35") == 1.0
    assert score("squad_f1", ["the"], "the") == 0.0  # nothing is left to share
    assert score("squad_em", ["the"], "a") == 1.0


def test_sacrebleus_tokenizers_by_name():
    """Figures of sacreBLEU 2.6.0."""
    chinese = ["向量检索通常比关键词检索快"], "向量检索比关键词检索更快"
    assert score("bleu", *chinese, tokenize="zh") == pytest.approx(0.5974178044844197, abs=1e-12)
    assert score("bleu", *chinese, tokenize="13a") == 0.0  # one long word
    assert score("bleu", ["The cat sat on the mat."], "the cat sat on the mat.", tokenize="13a") < 1.0
    assert score("bleu", ["The cat sat on the mat."], "the cat sat on the mat.", tokenize="13a", lowercase=True) == 1.0
    with pytest.raises(ConfigError, match="tokenize"):
        score("bleu", ["a"], "a", tokenize="ja-mecab")


def test_without_sacrebleu_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics.bleu", None)
    assert score("bleu", ["a cat"], "a cat") == pytest.approx(1.0)
    with pytest.raises(MissingPrerequisite, match=r"slipway-ai\[metrics\]"):
        score("bleu", ["a cat"], "a cat", tokenize="13a")


def test_accuracy_takes_the_label_that_a_task_read_out_of_the_text():
    example = Example(input={"question": "?"}, expected=("billing",))
    answer = Answer(text="I think that it is billing", raw="", label="billing")
    assert Plugins().make("scorers", "accuracy", {}, "test").score(example, answer) == 1.0


def test_unknown_options_are_refused():
    with pytest.raises(ValidationError):
        Plugins().load("scorers", "bleu").Config(order=3)
