"""What a format makes of one of its rows, and what several formats share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import msgspec

from slipway.data.parsing.tabular import missing, plain, shown
from slipway.i18n import Said, say

QUESTIONS = (
    "question", "query", "user_input", "input", "prompt", "instruction", "q", "problem", "text",
    "sentence", "utterance",
)  # fmt: skip
ANSWERS = (
    "answer", "answers", "ground_truth", "ground_truths", "reference", "expected_output", "expected", "ideal", "target",
    "output", "answer_text", "label", "category", "intent",
)  # fmt: skip
OTHERS = ("source", "language", "group")
_META = 2000  # characters of a value that is kept beside an example: a whole context is no label


class Item(msgspec.Struct, frozen=True):
    """A question, its answers (any of them is right), and what else the row says of it."""

    question: str
    answers: tuple[str, ...]
    meta: dict[str, Any] = {}


class Unread(Exception):
    """A row that is no example of ours; `why` is for a person."""

    def __init__(self, why: Said) -> None:
        super().__init__(str(why))
        self.why = why


def item(question: Any, answers: Any, meta: Mapping[str, Any] | None = None) -> Item:
    """An item of values as a file has them. Raises Unread without a question or an answer."""
    asked = text_of(question)
    if not asked:
        raise Unread(say("there is no question"))
    found = texts_of(answers)
    if not found:
        raise Unread(say("there is no answer to compare with"))
    return Item(asked, found, labels(meta or {}))


def text_of(value: Any) -> str:
    """A value as text; empty where it is missing or is no single value."""
    return "" if missing(value) or isinstance(value, (dict, list, tuple)) else shown(value).strip()


def texts_of(value: Any) -> tuple[str, ...]:
    """A value, a list of values, or SQuAD's `{"text": ...}` as texts without repeats."""
    if isinstance(value, dict):
        value = cast(dict[str, Any], value).get("text")
    values: Iterable[Any] = cast(Sequence[Any], value) if isinstance(value, (list, tuple)) else (value,)
    held = (cast(dict[str, Any], one).get("text") if isinstance(one, dict) else one for one in values)
    return tuple(dict.fromkeys(text for one in held if (text := text_of(one))))


def labels(values: Mapping[str, Any]) -> dict[str, Any]:
    """What is short enough to be kept beside an example, without what is empty."""
    return {
        name: plain(value)
        for name, value in values.items()
        if not missing(value) and value not in ([], {}) and len(str(value)) <= _META
    }


def field(row: Mapping[str, Any], names: Sequence[str], mapped: str | None) -> str | None:
    """The column: the mapped one, else the first of these names that the row has, whatever their case."""
    if mapped is not None:
        return mapped
    there = {name.strip().lower(): name for name in reversed(list(row))}
    return next((there[name] for name in names if name in there), None)


def last_turn(messages: Any) -> str:
    """What the user says in a chat of one question. Raises Unread for one with answers in between."""
    turns = [cast(dict[str, Any], turn) for turn in messages if isinstance(turn, dict)]
    asked = [_content(turn) for turn in turns if _role(turn) in ("user", "human")]
    if any(_role(turn) in ("assistant", "ai", "tool", "function") for turn in turns) or len(asked) > 1:
        raise Unread(say("it is a conversation of several turns; an example is one question"))
    if not asked:
        raise Unread(say("there is no question"))
    return asked[0]


def _role(turn: Mapping[str, Any]) -> str:
    return str(turn.get("role") or turn.get("type") or "").lower()


def _content(turn: Mapping[str, Any]) -> str:
    content = turn.get("content")
    if isinstance(content, list):
        parts = [cast(dict[str, Any], part) for part in cast(list[Any], content) if isinstance(part, dict)]
        if any(part.get("type") not in ("text", "input_text") for part in parts):
            raise Unread(say("the question holds more than text"))
        return "\n".join(str(part.get("text", "")) for part in parts).strip()
    return text_of(content)
