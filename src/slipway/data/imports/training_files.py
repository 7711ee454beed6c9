"""Files that models are trained on, as other tools write and read them: what a row of ours is in each, and back.

OpenAI's fine-tuning chats (`messages`), ShareGPT (`conversations`), Alpaca (`instruction`, `input`, `output`; Taori et
al. 2023), and trl's preference (`prompt`, `chosen`, `rejected`) and unpaired preference (`prompt`, `completion`,
`label`) data, both of them also with chats in the place of texts, and pairs without a prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import msgspec

from slipway.core.ref import canonical
from slipway.data.imports.item import Item, Unread, item, labels, text_of
from slipway.i18n import say

Row = Mapping[str, Any]
KIND = {
    "openai-chat": "examples", "sharegpt": "examples", "alpaca": "examples", "preference": "preferences",
    "kto": "thumbs",
}  # fmt: skip
META = ("lineage", "release", "from", "votes")
_USER = ("user", "human", "prompter")
_ASSISTANT = ("assistant", "gpt", "chatgpt", "bard", "model", "bot")
_SYSTEM = ("system", "developer")
_LABELS = {"true": True, "false": False, "1": True, "0": False}  # as JSON, tables and Python write them


class Trained(msgspec.Struct, frozen=True, kw_only=True):
    """A row of any of the formats: its prompt, and a reference, a pair or a judged answer."""

    kind: str
    prompt: str
    values: dict[str, Any]  # reference | chosen, rejected | completion, label
    meta: dict[str, Any] = {}


# reading -------------------------------------------------------------------------------------------------------------


def read(format: str, row: Row) -> Trained:
    """A row of a format. Raises Unread, which says why, for one that holds anything else."""
    kind = KIND[format]
    meta = labels(cast("dict[str, Any]", row["metadata"])) if isinstance(row.get("metadata"), dict) else {}
    prompt, values = _READ[format](row)
    if not prompt.strip():
        raise Unread(say("there is no question"))
    for name, value in values.items():
        if isinstance(value, str) and not value.strip():
            raise Unread(say("its {name} is empty", name=name))
    if values.get("chosen") is not None and values["chosen"] == values.get("rejected"):
        raise Unread(say("chosen and rejected are the same"))
    return Trained(kind=kind, prompt=prompt, values=values, meta=meta)


def as_item(format: str) -> Callable[[Row, Mapping[str, str]], Item]:
    """The reader of a format whose rows are examples."""

    def reader(row: Row, names: Mapping[str, str]) -> Item:
        found = read(format, row)
        return item(found.prompt, found.values["reference"], found.meta)

    return reader


def _chat(row: Row) -> tuple[str, dict[str, Any]]:
    given = row.get("messages")
    last: Any = cast("list[Any]", given)[-1] if isinstance(given, list) and given else None
    if isinstance(last, dict) and cast("dict[str, Any]", last).get("weight") == 0:
        raise Unread(say("its answer has weight 0: nothing is to be learnt from it"))
    prompt, answer = _one_turn(_turns(row.get("messages"), "role", "content"))
    return prompt, {"reference": answer}


def _sharegpt(row: Row) -> tuple[str, dict[str, Any]]:
    given = row.get("conversations")
    named = isinstance(given, list) and any(isinstance(one, dict) and "role" in one for one in cast("list[Any]", given))
    prompt, answer = _one_turn(_turns(given, *(("role", "content") if named else ("from", "value"))))
    return prompt, {"reference": answer}


def _alpaca(row: Row) -> tuple[str, dict[str, Any]]:
    asked, given = _text(row, "instruction"), text_of(row.get("input"))
    return f"{asked}\n\n{given}" if given else asked, {"reference": _text(row, "output")}


def _preference(row: Row) -> tuple[str, dict[str, Any]]:
    chosen, rejected = row.get("chosen"), row.get("rejected")
    if isinstance(chosen, list) and isinstance(rejected, list):
        first, other = _turns(chosen, "role", "content"), _turns(rejected, "role", "content")
        if "prompt" not in row:
            asked, said = _one_turn(first)
            again, worse = _one_turn(other)
            if asked != again:
                raise Unread(say("chosen and rejected answer different questions"))
            return asked, {"chosen": said, "rejected": worse}
        return _prompt(row), {"chosen": _answer(first), "rejected": _answer(other)}
    if "prompt" not in row:
        raise Unread(say("it has no prompt, and chosen and rejected are no chats that hold one"))
    return _prompt(row), {"chosen": _text(row, "chosen"), "rejected": _text(row, "rejected")}


def _kto(row: Row) -> tuple[str, dict[str, Any]]:
    label, completion = _LABELS.get(str(row.get("label")).strip().lower()), row.get("completion")
    if label is None:
        raise Unread(say("its label is not true or false"))
    said = _answer(_turns(completion, "role", "content")) if isinstance(completion, list) else _text(row, "completion")
    return _prompt(row), {"completion": said, "label": label}


_READ: dict[str, Callable[[Row], tuple[str, dict[str, Any]]]] = {
    "openai-chat": _chat, "sharegpt": _sharegpt, "alpaca": _alpaca, "preference": _preference, "kto": _kto,
}  # fmt: skip


def _text(row: Row, name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str):
        raise Unread(say("it has no text '{name}'", name=name))
    return value.strip()


def _prompt(row: Row) -> str:
    given = row.get("prompt")
    if isinstance(given, list):
        turns = [turn for turn in _turns(given, "role", "content") if turn[0] != "system"]
        if len(turns) != 1 or turns[0][0] != "user":
            raise Unread(say("it is a conversation of several turns; an example is one question"))
        return turns[0][1]
    return _text(row, "prompt")


def _turns(messages: Any, who: str, what: str) -> list[tuple[str, str]]:
    if not isinstance(messages, list):
        raise Unread(say("it has no list of messages"))
    found: list[tuple[str, str]] = []
    for one in cast("list[Any]", messages):
        turn = cast("dict[str, Any]", one) if isinstance(one, dict) else {}
        role, text = str(turn.get(who, "")).lower(), _joined(turn.get(what))
        known = next((name for name, roles in (("user", _USER), ("assistant", _ASSISTANT), ("system", _SYSTEM))
                      if role in roles), "")  # fmt: skip
        if not known:
            raise Unread(
                say("a message has the role {role}, which is no user's and no assistant's", role=ascii(role)[:40])
            )
        if turn.get("tool_calls") or turn.get("function_call"):
            raise Unread(say("a message calls tools; an example is one question with one answer"))
        if not isinstance(text, str):
            raise Unread(say("a message is no text"))
        found.append((known, text.strip()))
    return found


def _joined(content: Any) -> Any:
    """The text of a message in parts that are all texts; anything else as it is."""
    parts = cast("list[Any]", content) if isinstance(content, list) else []
    texts = [
        cast("dict[str, Any]", one).get("text") for one in parts if isinstance(one, dict) and one.get("type") == "text"
    ]
    whole = bool(texts) and len(texts) == len(parts) and all(isinstance(one, str) for one in texts)
    return "\n".join(cast("list[str]", texts)) if whole else content


def _one_turn(turns: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """The question and its answer; a system's message is the candidate's to have."""
    spoken = [turn for turn in turns if turn[0] != "system"]
    if [role for role, _ in spoken] != ["user", "assistant"]:
        raise Unread(say("it is not one question with one answer"))
    return spoken[0][1], spoken[1][1]


def _answer(turns: Sequence[tuple[str, str]]) -> str:
    if [role for role, _ in turns] != ["assistant"]:
        raise Unread(say("it is not one answer of the assistant"))
    return turns[0][1]


# writing -------------------------------------------------------------------------------------------------------------


def prompt_of(row: Row, inputs: Sequence[str]) -> str:
    """The input of a row as one text: the text itself, or several fields as JSON."""
    if len(inputs) == 1 and isinstance(row.get(inputs[0]), str):
        return row[inputs[0]]
    return canonical({name: row[name] for name in inputs if name in row}).decode()


def inputs_of(prompt: str, inputs: Sequence[str]) -> dict[str, Any]:
    """The fields that `prompt_of` made a text of."""
    if len(inputs) > 1:
        try:
            given = msgspec.json.decode(prompt, type=dict[str, Any])
        except msgspec.DecodeError:
            given = {}
        if given and set(given) <= set(inputs):
            return given
    return {inputs[0]: prompt}


def written(format: str, row: Row, inputs: Sequence[str], reference: str) -> dict[str, Any]:
    """A row of ours in a format. Where it comes from stands in `metadata`, as texts."""
    asked = prompt_of(row, inputs)
    meta = {name: str(row[name]) for name in META if row.get(name)}
    if format == "openai-chat":
        turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": row[reference]}]
        made: dict[str, Any] = {"messages": turns}
    elif format == "sharegpt":
        made = {"conversations": [{"from": "human", "value": asked}, {"from": "gpt", "value": row[reference]}]}
    elif format == "alpaca":
        made = {"instruction": asked, "input": "", "output": row[reference]}
    elif format == "preference":
        made = {"prompt": asked, "chosen": row["chosen"], "rejected": row["rejected"]}
    else:
        made = {"prompt": asked, "completion": row["completion"], "label": row["label"]}
    return {**made, "metadata": meta} if meta else made
