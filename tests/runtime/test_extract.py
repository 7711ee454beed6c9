from __future__ import annotations

import contextlib
import time

import pytest

from slipway.errors import ConfigError, EngineError
from slipway.runtime.extract import check_pattern, extract


@pytest.mark.parametrize(
    ("said", "pattern", "expected"),
    [
        ("Let me think.\nAnswer: seven\nNo.\nAnswer: eight", r"Answer: (.*)", "eight"),
        ("推理。\n答案：十七吨", r"答案[:：]\s*(\w+)", "十七吨"),
        ("no match", r"Answer: (.*)", "no match"),
        ("a 1 b 22", r"\d+", "22"),
        ("x", r"(y)?x", ""),
        (" as it is ", "", "as it is"),
    ],
)
def test_the_last_match_is_the_answer(said: str, pattern: str, expected: str) -> None:
    assert extract(said, check_pattern(pattern, "answer_pattern")) == expected


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        (r"(a|a)*c", "a" * 5000 + "b"),
        (r"^(\w+\s?)*$", "word " * 20_000 + "!"),
        (r"(?:a|b|ab)*c|(?:a|b|ab)*[d-f]", "ab" * 3000),
    ],
)
def test_a_model_cannot_stop_the_server_by_what_it_says(pattern: str, said: str) -> None:
    started = time.monotonic()
    with contextlib.suppress(EngineError):
        extract(said, check_pattern(pattern, "answer_pattern"))
    assert time.monotonic() - started < 3


def test_the_time_is_really_limited() -> None:
    with pytest.raises(EngineError, match="answer_pattern takes more than 0.2 s"):
        extract("ab" * 3000, r"(?:a|b|ab)*c|(?:a|b|ab)*[d-f]")


@pytest.mark.parametrize(
    "pattern", ["(", "a" * 1001, "(?:a{9999}){9999}", "a{99999999999999999999}", "(?:" * 300 + "a" + ")" * 300 + "{0,99}" * 3, "[", "(?P<a"]
)  # fmt: skip
def test_a_pattern_that_cannot_be_used_is_refused_at_once(pattern: str) -> None:
    started = time.monotonic()
    with pytest.raises(ConfigError, match=r"candidates.a.answer_pattern is no regular expression"):
        check_pattern(pattern, "candidates.a.answer_pattern")
    assert time.monotonic() - started < 3
