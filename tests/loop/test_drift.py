"""Simulated traffic: who asks in which language, and what is refused."""

from __future__ import annotations

from collections import Counter

import pytest

from slipway.core.material import Example
from slipway.errors import ConfigError
from slipway.loop.drift import Drift, Drifting, Mix, visits

POOL = [Example(input={"question": f"q{n}"}, expected=("a",), language="en") for n in range(30)] + [
    Example(input={"question": f"问{n}"}, expected=("a",), language=language)
    for n, language in enumerate(("zh-CN", "zh"))
]


def test_without_shares_the_pool_is_asked_in_its_order_again_and_again() -> None:
    mix = Mix(POOL, None, 31, 1)
    assert [mix.next(user).input["question"] for user in "abc"] == ["问1", "q0", "q1"]


def test_each_user_asks_in_one_language_and_the_shares_are_those_asked_for() -> None:
    mix, asked = Mix(POOL, {"en": 0.7, "zh": 0.3}, 0, 5), dict[str, set[str]]()
    for one in visits(4000, 7.0, 5):
        asked.setdefault(one.user, set()).add(mix.next(one.user).language[:2])
    assert all(len(found) == 1 for found in asked.values())
    share = Counter(language for found in asked.values() for language in found)["zh"] / len(asked)
    assert share == pytest.approx(0.3, abs=4 * (0.3 * 0.7 / len(asked)) ** 0.5)
    assert mix.usual == "en"
    again = Mix(POOL, {"en": 0.7, "zh": 0.3}, 0, 5)
    assert {user: {again.next(user).language[:2]} for user in asked} == asked


def test_a_shift_of_languages_goes_away_from_the_usual_one_of_the_mix() -> None:
    drifting = Drifting(Drift("language-shift", 0.0, 1.0), POOL, (), 1, Mix(POOL, {"zh": 1.0}, 0, 1).usual)
    assert {drifting.asked(POOL[-1], 0.5).language for _ in range(20)} == {"en"}


@pytest.mark.parametrize(
    ("shares", "why"),
    [
        ({"en": 0.5, "zh": 0.2}, "sum to 0.7"),
        ({"en": 1.2, "zh": -0.2}, "between 0 and 1"),
        ({"en": float("nan")}, "between 0 and 1"),
        ({"en": 0.5, "en-GB": 0.5}, "has a share already"),
        ({"en": 0.5, "ko": 0.5}, "no question in 'ko'; it has en: 30, zh: 2"),
        ({}, "sum to 0"),
    ],
)
def test_shares_that_cannot_be(shares: dict[str, float], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        Mix(POOL, shares, 0, 1)
