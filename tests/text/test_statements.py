"""A text cut into what can be quoted: sentences, lines of lists, tables and code; whole, and never without an end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.text.statements import LONGEST, shown, statements
from slipway.text.words import weigh


def cut(text: str) -> list[str]:
    return [one.text for one in statements([text])]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It is 8080. It may be changed, e.g. by --port.", ["It is 8080.", "It may be changed, e.g. by --port."]),
        ("默认端口是8080。可以修改！", ["默认端口是8080。", "可以修改！"]),
        ("- one thing\n* another\n1. a third\n> said", ["one thing", "another", "a third", "said"]),
        ("| key | value |\n| --- | :-: |\n| port | 8080 |", ["key | value", "port | 8080"]),
        ("```bash\nslipway up\n# - a comment\n```\nThen wait.", ["slipway up", "# - a comment", "Then wait."]),
        ("One is here. `port` is 1.", ["One is here.", "`port` is 1."]),
        ("no end\n\nmarks here", ["no end", "marks here"]),
        ("", []),
        ("...\n---\n* * *\n", []),
    ],
)
def test_marks_are_no_part_and_what_has_no_word_is_none(text: str, found: list[str]) -> None:
    assert cut(text) == found


def test_a_sentence_wrapped_over_lines_is_one() -> None:
    text = "The harbour was closed by order of the governor in\nthe spring of 1953. It was never\nopened again."
    whole, *rest = cut(text)
    assert shown(whole) == "The harbour was closed by order of the governor in the spring of 1953."
    assert rest[0] == "It was never"  # too short a line to have been wrapped
    zh = "这座港口由于一九五三年春天的一场洪水，根据总督的命令，在当年的秋天\n被永久关闭。"
    assert [shown(one) for one in cut(zh)] == [zh.replace("\n", "")]


def test_code_and_lists_are_not_joined() -> None:
    line = "a long line of code or of a list that does not end with a mark"
    assert cut(f"- {line}\n- {line}") == [line, line]
    assert cut(f"```\n{line}\n{line}\n```") == [line, line]


@pytest.mark.parametrize("text", ["word " * 2000, "字" * 3000, "x" * 5000, "甲，" * 2000])
def test_what_has_no_end_is_cut(text: str) -> None:
    found = cut(text)
    assert len(found) > 3
    assert max(map(weigh, found)) <= LONGEST * 1.05
    assert "".join(found).replace(" ", "") == text.replace(" ", "")


@given(st.lists(st.text(alphabet=st.sampled_from("ab A.。,，\n|-#`1 *>字！？\u200b\x1b"), max_size=200), max_size=3))
def test_each_is_its_span_and_they_do_not_overlap(texts: list[str]) -> None:
    last = (0, 0)
    for one in statements(texts):
        assert texts[one.at][one.start : one.end] == one.text
        assert one.text.strip() == one.text
        assert last <= (one.at, one.start)
        last = (one.at, one.end)
        assert "\n" not in shown(one.text)


def test_a_term_that_stands_alone_leads_what_explains_it() -> None:
    text = (
        "wait (integer)\n\nIt waits so long. The default is one second.\n\n**-n <number>**\n\n--max-count\n\n"
        "Shows so many.\n\n- one\n- two\n\nThis line has an end.\n\nAnd so on\n\n```\ncode\n\nmore\n```\n\nLast line"
    )
    told = [(one.told, one.leads) for one in statements([text, "Another text."])]
    assert told[:3] == [
        ("wait (integer)", True),
        ("wait (integer): It waits so long.", False),
        ("wait (integer): The default is one second.", False),
    ]
    assert ("-n <number>, --max-count: Shows so many.", False) in told
    assert ("-n <number>, --max-count: one", False) in told
    assert ("And so on: code", False) in told
    assert ("And so on: more", False) in told  # what stands alone in code is code
    assert told[-2:] == [("And so on: Last line", False), ("Another text.", False)]
    assert [one.leads for one in statements(["端口\n\n默认是8080。"])] == [True, False]
    assert [one.leads for one in statements(["A line\n\n", "an end: \n\nmore", "word " * 30 + "\n\nmore"])] == [
        False
    ] * 5
