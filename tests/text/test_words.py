"""How text is cut into words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.text.words import (
    answer_words,
    cjk_bigrams,
    fold,
    is_cjk,
    normalize_answer,
    normalize_label,
    sentences,
    words,
)


@pytest.mark.parametrize("char", ["中", "々", "あ", "ア", "ー", "한", "ㄅ", "ｱ", "𠀀", "〇"])
def test_cjk_characters(char):
    assert is_cjk(char)


@pytest.mark.parametrize("char", ["a", "é", "1", "、", "。", "「", "・", " ", "ё", "ह", "€"])
def test_not_cjk(char):
    assert not is_cjk(char)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Run `slipway init DIR`, then top_k=3.", ["run", "slipway", "init", "dir", "then", "top", "k", "3"]),
        ("使用GPU加速、快！", ["使", "用", "gpu", "加", "速", "快"]),
        ("ＡＢＣ１２３", ["abc123"]),
        ("ﾃｽﾄ", ["テ", "ス", "ト"]),
        ("한국어 test", ["한", "국", "어", "test"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("Straße CAFÉ cafe\u0301", ["strasse", "café", "café"]),
        ("", []),
        ("…！？", []),
    ],
)
def test_words(text, expected):
    assert words(text) == expected


def test_bigrams_keep_latin_words_whole():
    assert cjk_bigrams("向量检索 faiss 快") == ["向量", "量检", "检索", "faiss", "快"]
    assert cjk_bigrams("检索。快") == ["检索", "快"]  # no pair across punctuation


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The U.S. Army's well-known base", "us armys wellknown base"),
        ("Don’t  stop", "dont stop"),
        ("GPU、CPU", "gpu cpu"),
        ("在「上海」，2021年。", "在 上 海 2021 年"),
        ("A", "a"),
        ("the", "the"),
        ("$1,200.50", "$ 1200.50"),
    ],
)
def test_normalize_answer(text, expected):
    assert normalize_answer(text) == expected


def test_articles_are_english():
    assert answer_words("il a faim", "fr") == ["il", "a", "faim"]
    assert answer_words("a dog", "en-GB") == ["dog"]


@pytest.mark.parametrize("short", ["approx", "max", "Max", "ca", "pp", "Art", "Sec", "Prof", "Sr", "Sra", "Nr", "Abs"])
def test_an_abbreviation_ends_no_sentence(short):
    text = f"Give it, {short}. 4 g a day. Then stop."
    assert [text[start:end] for start, end in sentences(text)] == [f"Give it, {short}. 4 g a day.", "Then stop."]


def test_a_reference_to_a_footnote_belongs_to_the_sentence_before_it():
    for text in ("Measure it.[^1] Then stop.[^note-2]", "先测量。[^1]再停止。[^2]"):
        cut = [text[start:end] for start, end in sentences(text)]
        assert [piece[-1] for piece in cut] == ["]", "]"], cut


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  Getting   Started: ", "getting started"),
        ("快速开始：", "快速开始"),
        ("C++", "c++"),
        ("「是」。", "是"),
        ("...", "..."),
    ],
)
def test_normalize_label(text, expected):
    assert normalize_label(text) == expected


@given(st.text(max_size=80))
def test_folding_and_normalising_are_idempotent(text):
    assert fold(fold(text)) == fold(text)
    assert normalize_label(normalize_label(text)) == normalize_label(text)
    assert words(" ".join(words(text))) == words(text)
    assert sum(len(w) for w in words(text)) <= len(fold(text))
