"""Held out texts and what is made from them to slip past the check: nothing of it may be trained on."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import pytest

from slipway.data.heldout import Heldout

HELD = ["How do I reset the password of my account?", "Please cancel my subscription", "怎么重置我的账户密码？",
        "Il y a un problème avec ma facture électronique", "refund"]  # fmt: skip
OTHERS = [f"an unrelated question about {name} in the manual" for name in ("alpha", "beta", "gamma", "delta")]
CYRILLIC = str.maketrans("aeopcyx", "аеорсух")


def letters(between: str) -> Callable[[str], str]:
    return lambda text: between.join(text)


DISGUISES: dict[str, Callable[[str], str]] = {
    "zero width": letters("\u200b"), "soft hyphens": letters("\u00ad"), "fillers": letters("\u3164"),
    "variation selectors": letters("\ufe0f"), "tags": letters("\U000e0041"), "set apart": letters(" "),
    "combining marks": letters("\u0301\u0323"), "together": lambda text: text.replace(" ", ""),
    "full width": lambda text: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text),
    "upper case": str.upper, "decomposed": lambda text: unicodedata.normalize("NFD", text),
    "accents": lambda text: text.replace("e", "é").replace("a", "á"), "Cyrillic": lambda text: text.translate(CYRILLIC),
    "entities": lambda text: "".join(f"&#{ord(c)};" for c in text), "turned": lambda text: f"\u202e{text}\u202c",
}  # fmt: skip


@pytest.mark.parametrize("name", DISGUISES)
def test_a_held_out_text_in_disguise_is_the_same(name: str) -> None:
    known = Heldout([*HELD, *OTHERS])
    for number, text in enumerate(HELD):
        found = known.close(DISGUISES[name](text))
        assert found is not None, text
        assert found.number == number


def test_a_held_out_text_within_other_words_is_near() -> None:
    known = Heldout([*HELD, *OTHERS])
    for text in HELD[:4]:
        found = known.close(f"Hello, I hope you are well. I wanted to ask this: {text} Thanks and best regards, 小王")
        assert found is not None, text
        assert found.reason == "near"


@pytest.mark.parametrize("text", [
    "My subscription was paid twice, please look into it", "我的账户里少了一笔钱", "The refund has not arrived yet", "cancel",
    "Покажите мой баланс", "पासवर्ड", "&amp;",
])  # fmt: skip
def test_what_only_shares_words_may_be_learned_from(text: str) -> None:
    assert Heldout([*HELD, *OTHERS]).close(text) is None
