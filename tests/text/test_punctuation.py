"""Marks that change what an answer says survive; marks that do not are gone. Numbers are attacked in every writing."""

from __future__ import annotations

from decimal import Decimal
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.text.words import answer_words, normalize_answer, normalize_label

SAME = [
    ("1,000", "1000", "１，０００", "１０００", "1\u202f000", "+1000", "1_000"),
    ("-5", "−5", "–5", "－5", "-５"),
    (".5", "0.5", "０．５"),
    ("50%", "50 %", "５０％"),
    ("2021-05-03", "2021/5/3", "2021.05.03", "2021/05/03"),
    ("1939-1945", "1939–1945", "1939 - 1945"),
    ("10⁻⁵", "10^-5"),
    ("6½", "6 1/2"),
    ("1e5", "1E+5"),
    ("≥5", ">= 5", ">=5"),
    ("-$5", "$-5", "−$5"),
    ("U.S.", "US", "u.s"),
    ("well-known", "wellknown"),
    ("C++", "c++.", "(C++)"),
    ("C#", "Ｃ＃", "“C#”"),
    ("the Norman dynasty", "Norman dynasty.", "**Norman** dynasty"),
    ("「上海」", "上海。", "上海"),
    ("$1,200.50", "$1200.50"),
]
DIFFERENT = [
    ("3.5亿", "35亿", "3,5亿", "3.50亿", "-3.5亿"),
    ("1.5", "15", "-1.5", "1.5%", "1/5", "1:5", "1^5", "1,5", "1e5", "1e-5", "$1.5", "€1.5", "<1.5", ">1.5"),
    ("5", "-5", "5%", "5‰", "0.5", "50", "5/1", "18+", "<5", "≤5", "±5"),
    ("C", "C++", "C#", "C-", "C+"),
    ("F", "F#"),
    (".NET", "NET"),
    ("1.1", "1.10", "1.1.0", "11"),
    ("10²", "102", "10^-2", "10"),
    ("1..5", "15", "1.5"),
    ("6½", "61/2", "612", "65"),
    ("5①", "51"),
    ("vitamin A", "vitamin", "vitamin B", "vitamin C"),
    ("AB+", "AB-", "AB"),
    ("10:30", "1030", "10.30"),
    ("2021-05-03", "2021-05-30", "20210503", "2021-03-05"),
    ("气温-5度", "气温5度"),
]


@pytest.mark.parametrize("texts", SAME)
def test_written_otherwise_and_yet_the_same(texts):
    assert len({normalize_answer(text) for text in texts}) == 1, [normalize_answer(text) for text in texts]


@pytest.mark.parametrize("texts", DIFFERENT)
def test_a_mark_that_changes_what_is_said_is_kept(texts):
    for one, other in combinations(texts, 2):
        assert normalize_answer(one) != normalize_answer(other), (one, other)


def test_where_a_comma_is_a_decimal_point_numbers_are_compared_as_written():
    assert normalize_answer("1,500", "de") != normalize_answer("1500", "de")  # one and a half in German
    assert normalize_answer("1,500", "en") == normalize_answer("1500", "en")


@pytest.mark.parametrize(
    ("one", "other"), [("-1", "1"), ("C#", "C"), (".NET", "NET"), ("50%", "50"), ("A+", "A-"), ("A-", "A"), ("–1", "1")]
)
def test_labels_keep_them_too(one, other):
    assert normalize_label(one) != normalize_label(other)


WIDE = str.maketrans("0123456789.,-", "０１２３４５６７８９．，－")
NUMBERS = st.builds(
    lambda digits, places: Decimal(digits).scaleb(-places), st.integers(-(10**9), 10**9), st.integers(0, 6)
)


@st.composite
def written(draw, number: Decimal) -> str:
    """A decimal number as people and programs write it."""
    text = f"{abs(number):,f}" if draw(st.booleans()) else f"{abs(number):f}"
    if text.startswith("0.") and draw(st.booleans()):
        text = text[1:]
    if number < 0:
        text = draw(st.sampled_from("-−–－")) + text
    elif draw(st.integers(0, 9)) == 0:
        text = "+" + text
    return text.translate(WIDE) if draw(st.booleans()) else text


# What may stand around a number without being a part of it.
AROUND = st.sampled_from(
    [("", ""), ("", "."), ("(", ")"), ("“", "”"), ("约", "元"), ("", "亿"), ("the ", ""), ("about ", " ships."), ("$", ""), ("**", "**")]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(data=st.data(), one=NUMBERS, other=NUMBERS, around=AROUND)
def test_two_different_numbers_are_never_equal_and_one_number_always_is(data, one, other, around):
    before, after = around
    first, second, again = (before + data.draw(written(n)) + after for n in (one, other, one))
    if one != other:
        assert normalize_answer(first) != normalize_answer(second), (first, second)
    assert normalize_answer(first) == normalize_answer(again), (first, again)


# Small changes are where a rule about marks goes wrong: a mark goes in between two digits, or before them.
@settings(max_examples=300, deadline=None)
@given(
    digits=st.text("0123456789", min_size=2, max_size=6),
    mark=st.sampled_from([*".,-/:;^+*=<>&|'\"()%$~!?#@_·、。，．－＋／：‰€", "⁻", "½", "²", "①", "..", ".-", "\u2009"]),
    place=st.integers(0, 5),
)
def test_a_mark_between_digits_never_makes_them_one_number(digits, mark, place):
    at = 1 + place % (len(digits) - 1)
    text = digits[:at] + mark + digits[at:]
    grouped = mark in "',_，\u2009" and len(digits) - at == 3 and at <= 3 and digits[0] != "0"
    if not grouped:
        assert normalize_answer(text) != normalize_answer(digits), text


@settings(max_examples=300, deadline=None)
@given(
    st.text(
        st.sampled_from("0123456789a bcCA.,-+/:;^%$#<>=()'\"*_~！，。、：０１．－＋％中元½²①⁻–−€≥·"),
        max_size=14,
    )
)
def test_normalising_again_changes_nothing(text):
    once = normalize_answer(text)
    assert normalize_answer(once) == once
    label = normalize_label(text)
    assert normalize_label(label) == label


@given(st.text(max_size=60))
def test_any_text_is_cut(text):
    assert all(word and not word.isspace() for word in answer_words(text))
