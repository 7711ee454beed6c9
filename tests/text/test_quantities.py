"""Numbers with units, read out of texts in any writing."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.text.numerals import arabic
from slipway.text.quantities import quantities


def read(text: str) -> list[tuple[Fraction, str]]:
    return [(found.value, found.unit) for found in quantities(text)]


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("3.5亿元", 350_000_000, "CNY"),
        ("US$3bn", 3_000_000_000, "USD"),
        ("-$5", -5, "USD"),
        ("$5M", 5_000_000, "USD"),
        ("5 million km", 5_000_000_000, "metre"),
        ("5万公里", 50_000_000, "metre"),
        ("5千克", 5000, "gram"),
        ("5 KiB", 5120, "byte"),
        ("5 MB/s", 5_000_000, "byte/s"),
        ("1小时30分钟", 5400, "second"),
        ("百分之三点五", Fraction(35, 1000), "%"),
        ("１，２００．５", Fraction(12005, 10), ""),
        ("10⁻³", Fraction(1, 1000), ""),
        ("1.5×10^6", 1_500_000, ""),
        ("负五度", -5, ""),
        ("one hundred and twenty-three thousand four hundred and five", 123_405, ""),
        ("一个", 1, ""),
        ("−40 °C", -40, "°C"),
    ],
)
def test_one_quantity(text, value, unit):
    assert read(text) == [(Fraction(value), unit)]


@pytest.mark.parametrize(
    "text", ["1.10.3", "GPT-4", "x86", "v2.0", "IPv6", "统一", "十分好", "one of them", "万一", "", "1e999999"]
)
def test_what_only_looks_like_a_number(text):
    assert read(text) == []


def chinese(number: int) -> str:
    """A number below 10^12 as Chinese writes it."""
    if number == 0:
        return "零"
    digits = "零一二三四五六七八九"

    def below_ten_thousand(n: int) -> str:
        text, gap = "", False
        for place, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
            digit = n // place % 10
            if digit:
                text += ("零" if gap and text else "") + digits[digit] + name
                gap = False
            else:
                gap = True
        return text

    text = ""
    for power, name in ((10**8, "亿"), (10**4, "万"), (1, "")):
        part = number // power % 10**4
        if part:
            text += ("零" if text and part < 1000 else "") + below_ten_thousand(part) + name
    return text


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 10**12 - 1))
def test_chinese_numerals_are_read_back(number):
    text = chinese(number)
    assert arabic(text) == str(number), text
    assert read(f"共{text}元") == [(Fraction(number), "CNY")]


UNITS = st.sampled_from(["", " kg", "%", "元", " GB", " ms", "万", "亿元", " million", " ships", "，约"])


@settings(max_examples=400, deadline=None)
@given(
    st.integers(-(10**9), 10**9), st.integers(0, 6), UNITS, st.booleans(), st.sampled_from(["", "about ", "约", "("])
)
def test_a_decimal_number_is_read_exactly(digits, places, unit, grouped, before):
    number = Decimal(digits).scaleb(-places)
    text = f"{abs(number):,f}" if grouped else f"{abs(number):f}"
    found = quantities(f"{before}{'-' if number < 0 else ''}{text}{unit}")
    many = {"万": 10**4, "亿元": 10**8, " million": 10**6}.get(unit, 1)
    assert [one.number for one in found] == [Fraction(number) * many]


@given(st.text(max_size=60))
def test_any_text_is_read(text):
    assert all(isinstance(one.value, Fraction) for one in quantities(text))
