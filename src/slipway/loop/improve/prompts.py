"""Prompts with an instruction more, drawn from what went wrong on examples of train. Deterministic; asks no writer.

Each kind of mistake has a rule that finds it and a sentence that tells how to avoid it, in the prompt's own language.
Dev and gate are not looked at: a prompt that was written from their answers would be measured on what it was made of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from slipway.i18n import t
from slipway.loop.improve.recipes import Miss, Recipe, Situation, changed, recipe
from slipway.text.words import words

FEWEST = 2  # mistakes of a kind before its sentence is tried
LONG = 3  # times the words of the reference


def _too_long(miss: Miss) -> bool:
    return bool(miss.expected) and len(words(miss.answer)) > LONG * max(len(words(one)) for one in miss.expected)


def _too_short(miss: Miss) -> bool:
    return bool(miss.expected) and len(words(miss.answer)) * LONG < min(len(words(one)) for one in miss.expected)


def _other_script(miss: Miss) -> bool:
    return bool(miss.expected) and bool(miss.answer) and _chinese(miss.answer) != _chinese(" ".join(miss.expected))


def _number(miss: Miss) -> bool:
    return any(_digits(one) for one in miss.expected) and not any(
        _digits(one) and _digits(one) <= _digits(miss.answer) for one in miss.expected
    )


def _any(miss: Miss) -> bool:
    return True


Rule = tuple[str, Callable[[Miss], bool], str, str]
_RULES: tuple[Rule, ...] = (
    ("shorter", _too_long, "Answer with as few words as possible; do not repeat the question or explain.",
     "用尽可能少的词回答；不要重复问题，不要解释。"),
    ("whole", _too_short, "Give the whole answer, with every part that was asked for.",
     "给出完整的回答，问到的每一部分都要有。"),
    ("language", _other_script, "Answer in the language of the question.", "用提问的语言回答。"),
    ("numbers", _number, "Copy numbers, units and names exactly as they are written.",
     "数字、单位和名称要照原样抄写。"),
    ("careful", _any, "Think of what exactly is asked before you answer, then give only the answer.",
     "回答之前先想清楚到底问的是什么，然后只给出答案。"),
)  # fmt: skip
_LABELS: Rule = (
    "labels", _any, "Choose the label whose meaning fits best; write only the label, exactly as it is listed.",
    "选择含义最合适的标签；只写标签，与列出的完全一致。",
)  # fmt: skip


class Prompts:
    """One instruction in front of the prompt, for each kind of mistake that is made; then all of them together."""

    name: ClassVar[str] = "prompt"

    def propose(self, situation: Situation) -> Iterable[Recipe]:
        """For each candidate with a prompt; nothing where what serves makes no mistakes on train."""
        asking = {n: c for n, c in situation.parents.items() if c.prompt is not None and c.model is not None}
        if not asking:
            return
        kinds = list(found_in(situation.misses(), labels=situation.labels))
        for name, config in asking.items():
            assert config.prompt is not None
            text = situation.prompt(config.prompt)
            ways = [[one] for one in kinds] + ([kinds] if len(kinds) > 1 else [])
            for way in ways:
                told = [zh if _chinese(text) else en for _, _, en, zh in way]
                if not all(line in text for line in told):
                    prompt = "\n".join([*told, text])
                    change = t("instructions: {kinds}", kinds=", ".join(kind for kind, *_ in way))
                    yield recipe(name, self.name, change, changed(config), prompt)


def found_in(misses: Sequence[Miss], *, labels: bool) -> Iterable[Rule]:
    """The kinds of mistakes that were made often enough."""
    for rule in [_LABELS] if labels else _RULES:
        if sum(rule[1](miss) for miss in misses) >= FEWEST:
            yield rule


def _chinese(text: str) -> bool:
    letters = [c for c in text if c.isalpha()]
    return sum("\u4e00" <= c <= "\u9fff" for c in letters) * 4 > len(letters)


def _digits(text: str) -> set[str]:
    return {word for word in words(text) if any(c.isdigit() for c in word)}
