"""One row of each format as an item of ours, after the formats' published documentation:

promptfoo test cases (`vars`, `assert`), Langfuse dataset items (`input`, `expectedOutput`), Ragas samples (0.1 and 0.2
names), SQuAD 1.1 and 2.0 (Rajpurkar et al. 2016, 2018), OpenAI evals (`input`, `ideal`), and tables of any columns.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, cast

from slipway.data.imports.item import ANSWERS, QUESTIONS, Item, Unread, field, item, last_turn, text_of, texts_of
from slipway.data.imports.training_files import KIND, as_item
from slipway.i18n import say

Row = Mapping[str, Any]
Reader = Callable[[Row, Mapping[str, str]], Item]

# What an assertion's value is: the text itself, a part of it, what it means. Others judge without a reference.
_ONE = ("equals", "contains", "icontains", "starts-with", "similar", "factuality", "model-graded-factuality",
        "model-graded-closedqa", "levenshtein", "rouge-n", "bleu", "meteor", "context-recall")  # fmt: skip
_ANY = ("contains-any", "icontains-any")
_ALL = ("contains-all", "icontains-all")
_VARIABLE = re.compile(r"\{\{\s*([\w.]+)\s*\}\}")


def promptfoo(row: Row, names: Mapping[str, str]) -> Item:
    """A test case: the question is a variable, the answers are what its assertions expect."""
    variables = _mapping(row.get("vars"))
    if not variables:
        variables = {name: value for name, value in row.items() if not name.startswith("__")}
    known = field(variables, QUESTIONS, names.get("question"))
    if known is None and len(variables) == 1:
        known = next(iter(variables))
    if known is None or known not in variables:
        raise Unread(
            say("which variable is the question? {names}: name it with --map question=NAME", names=", ".join(variables))
        )
    asked = variables[known]
    if isinstance(asked, list):
        raise Unread(say("the variable '{name}' has several values: write a test for each", name=known))
    answers = _expected(row, variables)
    meta = {name: value for name, value in variables.items() if name != known}
    question = _filled(text_of(asked), variables)
    return item(question, answers, {**meta, **_mapping(row.get("metadata")), "description": row.get("description")})


def _expected(row: Row, variables: Mapping[str, Any]) -> tuple[str, ...]:
    found: list[str] = []
    kinds: list[str] = []
    for one in _listed(row.get("assert")):
        check = _mapping(one)
        kind, value = str(check.get("type", "")), check.get("value")
        kinds.append(kind)
        if kind in _ONE or kind in _ANY or kind in _ALL and len(texts_of(value)) == 1:
            found += texts_of(value)
    for name, value in row.items():  # a CSV of tests: equals where no kind stands in front
        if re.fullmatch(r"__expected\d*", name) and text_of(value):
            kind, _, rest = text_of(value).partition(":")
            if kind in _ONE:
                found.append(rest.strip())
            elif kind in _ANY:
                found += [part.strip() for part in rest.split(",")]
            elif not re.fullmatch(r"[a-z][a-z-]+(?:\([\d.]+\))?", kind) or not rest:
                found.append(text_of(value))
            else:
                kinds.append(kind)
    if any(text.startswith("file://") for text in found):
        raise Unread(say("its answer is in another file, which is not read"))
    if not found:
        raise Unread(say("no assertion holds an answer: {kinds}", kinds=", ".join(kinds) or "-"))
    return tuple(dict.fromkeys(_filled(text, variables) for text in found))


def _filled(text: str, variables: Mapping[str, Any]) -> str:
    """The text with its `{{variables}}`; any other template is nothing that can be compared with."""

    def value(found: re.Match[str]) -> str:
        return text_of(variables.get(found[1])) or found[0]

    filled = _VARIABLE.sub(value, text)
    if "{{" in filled or "{%" in filled:
        raise Unread(say("it is a template, which is not run: {text}", text=text[:60]))
    return filled


def langfuse(row: Row, names: Mapping[str, str]) -> Item:
    """A dataset item: `input` is a text, a chat, or an object with the question in one of its keys."""
    if str(row.get("status") or "").upper() == "ARCHIVED":
        raise Unread(say("it is archived"))
    given = _unpacked(row.get("input"))
    expected = _unpacked(row["expectedOutput"] if "expectedOutput" in row else row.get("expected_output"))
    meta = {"id": row.get("id"), "dataset": row.get("datasetName"), **_mapping(_unpacked(row.get("metadata")))}
    return item(_asked(given, names), _answered(expected, names), meta)


def ragas(row: Row, names: Mapping[str, str]) -> Item:
    """A sample: the reference is the answer. `answer` and `response` are what a system said, and are not taken."""
    sample = _mapping(row.get("eval_sample")) or row
    asked = sample.get(field(sample, ("user_input", "question"), names.get("question")) or "")
    column = field(sample, ("reference", "ground_truth", "ground_truths"), names.get("answer"))
    if column is None:
        raise Unread(say("it has no reference or ground_truth; `answer` and `response` are what a system said"))
    taken = {
        "user_input",
        "question",
        "answer",
        "response",
        "contexts",
        "retrieved_contexts",
        "reference_contexts",
        column,
    }
    meta = {name: value for name, value in {**row, **sample}.items() if name not in taken and name != "eval_sample"}
    question = last_turn(asked) if isinstance(asked, list) else asked
    return item(question, _unpacked(sample.get(column)), meta)


def squad(row: Row, names: Mapping[str, str]) -> Item:
    """A question of a paragraph (`qas`), or a row of the flat form with `answers.text`."""
    answers = texts_of(row.get(names.get("answer", "answers")))
    if row.get("is_impossible") is True or (not answers and "answers" in row):
        raise Unread(say("it has no answer in its text, and the task cannot expect an abstention"))
    return item(row.get(names.get("question", "question")), answers, {"id": row.get("id"), "title": row.get("title")})


def openai_evals(row: Row, names: Mapping[str, str]) -> Item:
    """A sample: the user's message, and the ideal answers. The system's message is the candidate's to have."""
    sample = _mapping(row.get("item")) or row
    given = sample.get(field(sample, ("input", *QUESTIONS), names.get("question")) or "")
    ideal = sample.get(field(sample, ("ideal", *ANSWERS), names.get("answer")) or "")
    return item(last_turn(given) if isinstance(given, list) else given, ideal)


def table(row: Row, names: Mapping[str, str]) -> Item:
    """A row whose columns are mapped, or called what they are."""
    asked, answered = field(row, QUESTIONS, names.get("question")), field(row, ANSWERS, names.get("answer"))
    for name, column in (("question", asked), ("answer", answered)):
        if column is None or column not in row:
            raise Unread(
                say("which column is the {name}? {columns}: name it with --map {name}=COLUMN", name=name,
                    columns=", ".join(list(row)[:20]))
            )  # fmt: skip
    meta = {name: value for name, value in row.items() if name not in (asked, answered)}
    return item(row[asked or ""], _unpacked(row[answered or ""]), meta)


READERS: dict[str, Reader] = {
    "promptfoo": promptfoo, "langfuse": langfuse, "ragas": ragas, "squad": squad, "openai-evals": openai_evals,
    "parquet": table, **{name: as_item(name) for name, kind in KIND.items() if kind == "examples"},
}  # fmt: skip


def guess_training(row: Row) -> str:
    """The format of a row that models are trained on; empty when none fits."""
    if "chosen" in row and "rejected" in row:
        return "preference"
    if {"prompt", "completion", "label"} <= row.keys():
        return "kto"
    if isinstance(row.get("messages"), list):
        return "openai-chat"
    if isinstance(row.get("conversations"), list):
        return "sharegpt"
    return "alpaca" if {"instruction", "output"} <= row.keys() else ""


def guess(row: Row) -> str:
    """The format of a row by the keys that only it has; empty when none fits."""
    keys = set(row)
    if found := guess_training(row):
        return found
    if "paragraphs" in keys or ({"question", "answers"} <= keys and keys & {"context", "title"}):
        return "squad"
    if "vars" in keys or any(re.fullmatch(r"__expected\d*", key) for key in keys):
        return "promptfoo"
    if {"input", "ideal"} <= keys:
        return "openai-evals"
    if "input" in keys and keys & {"expectedOutput", "expected_output"}:
        return "langfuse"
    if keys & {"user_input", "ground_truth", "ground_truths", "eval_sample"}:
        return "ragas"
    return ""


def _asked(given: Any, names: Mapping[str, str]) -> Any:
    if isinstance(given, list):
        return last_turn(cast(list[Any], given))
    if not isinstance(given, dict):
        return given
    values = cast(dict[str, Any], given)
    if isinstance(values.get("messages"), list):
        return last_turn(values["messages"])
    column = field(values, QUESTIONS, names.get("question")) or (next(iter(values)) if len(values) == 1 else None)
    if column is None or column not in values:
        raise Unread(
            say("which key of the input is the question? {names}: name it with --map question=NAME",
                names=", ".join(list(values)[:20]))
        )  # fmt: skip
    return values[column]


def _answered(expected: Any, names: Mapping[str, str]) -> Any:
    if not isinstance(expected, dict):
        return expected
    values = cast(dict[str, Any], expected)
    if "content" in values:
        return values["content"]
    column = field(values, ANSWERS, names.get("answer")) or (next(iter(values)) if len(values) == 1 else None)
    return values.get(column) if column else None


def _unpacked(value: Any) -> Any:
    """JSON that a CSV holds as text: a list or an object; any other text stays."""
    import msgspec

    if isinstance(value, str) and value.strip()[:1] in ("[", "{", '"'):
        try:
            return msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
            return value
    return value


def _mapping(value: Any) -> dict[str, Any]:
    return {str(key): one for key, one in cast(dict[Any, Any], value).items()} if isinstance(value, dict) else {}


def _listed(value: Any) -> list[Any]:
    return cast(list[Any], value) if isinstance(value, list) else []
