from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.text import visible

ACTING = ["\x1b[31m", "\x1b]52;c;ZXZpbA==\x07", "\x9b31m", "\u202e", "\u2066", "\u200f", "\u2028", "\u0085", "\x7f", "\x00",
          "\ud800", "\ufeff", "\U000e0041"]  # fmt: skip


def acts(text: str) -> bool:
    return any(
        not c.isprintable() and not c.isspace() and c not in "\u200c\u200d" and c.isascii() for c in text
    ) or any(c in text for part in ACTING for c in part if not (c.isprintable() or c == "\n"))


@pytest.mark.parametrize("bad", ACTING, ids=ascii)
def test_what_acts_becomes_an_escape(bad: str) -> None:
    for made in (visible.line(f"a{bad}b"), visible.block(f"a{bad}b"), visible.paragraph(f"a{bad}b")):
        assert not acts(made)
        assert made.startswith("a")
        assert made.endswith("b")


@pytest.mark.parametrize(
    "good",
    ["plain", "船舶的龙骨重七吨。", "naïve café", "👩\u200d🔧 a family", "می\u200cخواهم", "a\u00a0b", "日本語\u3000"],
)
def test_text_in_any_language_stays(good: str) -> None:
    assert visible.line(good) == visible.block(good) == good


def test_a_line_stays_one_line_and_a_paragraph_keeps_to_its_margin() -> None:
    assert visible.line("a\nb\tc\rd") == "a\\nb\\tc\\rd"
    assert visible.block("a\r\nb\tc") == "a\nb   c"
    assert visible.paragraph("a\nslipway: all is well") == "a\n    slipway: all is well"
    assert visible.block("a\rb") == "a\\rb"  # a lone carriage return would overwrite the line


@given(st.text())
def test_nothing_that_acts_is_left(text: str) -> None:
    for made in (visible.line(text), visible.block(text).replace("\n", "")):
        assert not any(visible._acts(c) for c in made)
    assert visible.line(visible.line(text)) == visible.line(text)


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_json_is_the_same_json(value: object) -> None:
    made = visible.json_text(json.dumps(value, ensure_ascii=False))
    assert json.loads(made) == value
    assert not any(visible._acts(c) for c in made)
