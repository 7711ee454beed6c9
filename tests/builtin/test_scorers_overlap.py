"""Text metrics against published definitions and reference implementations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from slipway.core.answer import Answer
from slipway.core.material import Example
from slipway.plugins import BUILTIN, Plugins

TEXT = [name for name in BUILTIN["scorers"] if not name.startswith(("retrieval", "citation"))]


def score(metric, expected, text, language="und", error=""):
    scorer = Plugins().load("scorers", metric)
    example = Example(input={"question": "?"}, expected=tuple(expected), language=language)
    return scorer(scorer.Config()).score(example, Answer(text=text, raw=text, error=error))


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


@pytest.mark.parametrize("metric", TEXT)
@given(st.text(max_size=30), st.text(max_size=30))
def test_scores_lie_between_zero_and_one(metric, expected, text):
    value = score(metric, [expected], text)
    assert value is not None
    assert 0.0 <= value <= 1.0 + 1e-12
    if expected.strip() and any(char.isalnum() for char in expected):
        assert score(metric, [expected], expected) == pytest.approx(1.0)


def test_unknown_options_are_refused():
    with pytest.raises(ValidationError):
        Plugins().load("scorers", "bleu").Config(order=3)
