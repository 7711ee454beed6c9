"""`task: extract`: schemas, references and outputs, and what a field is worth."""

import json
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from slipway.builtin.scorers.fields import FieldConfig, FieldF1, FieldPrecision, FieldRecall, SchemaValid, equal
from slipway.builtin.tasks.extract import ExtractTask
from slipway.builtin.tasks.json_schema import problem
from slipway.core.answer import Answer
from slipway.core.material import Example
from slipway.core.protocols import Structured
from slipway.errors import ConfigError
from slipway.testing.tasks import TaskContract

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "customer": {"type": ["string", "null"]},
        "items": {"type": "array", "items": {"$ref": "#/$defs/item"}},
        "total": {"type": "number", "minimum": 0},
    },
    "required": ["customer"],
    "additionalProperties": False,
    "$defs": {"item": {"type": "object", "properties": {"name": {"type": "string"}, "price": {"type": "number"}}}},
}


def task(schema: Any = None) -> ExtractTask:
    return ExtractTask(ExtractTask.Config.model_validate({"schema": SCHEMA if schema is None else schema}))


class TestExtract(TaskContract):
    references = ('{"customer": "王丽", "total": 4.5}', '{"customer": null, "items": [{"name": "x", "price": 1}]}')

    def make_task(self) -> ExtractTask:
        return task()


def nested(depth: int) -> dict[str, Any]:
    here: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        here = {"type": "object", "properties": {"a": here}}
    return here


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ("x", "dict"),
        ({}, "object with properties"),
        ({"type": "array", "items": {"type": "string"}}, "object with properties"),
        ({"type": "object", "properties": {"a": {"type": "text"}}}, "'text' is no type"),
        ({"type": "object", "properties": {"a": {"format": "date"}}}, "'format' is not enforced"),
        ({"type": "object", "properties": {"a": True}}, "true and false"),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/none"}}}, "leads nowhere"),
        ({"type": "object", "properties": {"a": {"$ref": "https://example.com/x"}}}, "leads nowhere"),
        (
            {"type": "object", "properties": {"a": {"$ref": "#/$defs/b"}}, "$defs": {"b": {"$ref": "#/$defs/b"}}},
            "back to itself",
        ),
        ({"type": "object", "properties": {"a": {"pattern": "("}}}, "no regular expression"),
        ({"type": "object", "properties": {"a": {"maxLength": "9"}}}, "wrong kind"),
        ({"type": "object", "properties": {"a": {"enum": "b"}}}, "wrong kind"),
        (nested(40), "more than 32 deep"),
        (nested(5000), "more than 32 deep"),
    ],
)
def test_a_schema_that_cannot_be_held_is_refused_in_words(schema: Any, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        task(schema)


def test_a_schema_that_contains_itself_is_allowed_and_a_deep_answer_is_none() -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "parts": {"type": "array", "items": {"$ref": "#"}}},
    }
    tree: dict[str, Any] = {"name": "leaf"}
    for _ in range(3):
        tree = {"name": "node", "parts": [tree]}
    assert json.loads(task(schema).output(json.dumps(tree)).text) == tree
    for _ in range(40):
        tree = {"name": "node", "parts": [tree]}
    with pytest.raises(ValueError, match="deep"):
        task(schema).output(json.dumps(tree))
    with pytest.raises(ValueError, match="deep"):
        task(schema).output('{"parts": ' + "[" * 100_000 + "]" * 100_000 + "}")


VALUES = [
    {"customer": "a"}, {"customer": None, "total": 1}, {"customer": 3}, {}, {"customer": "a", "total": -1},
    {"customer": "a", "total": True}, {"customer": "a", "more": 1}, {"customer": "a", "items": [{"price": "x"}]},
    {"customer": "a", "items": {}}, {"customer": "a", "items": [{"name": "n", "price": 2.5}]}, [], "a", None,
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES)
def test_it_allows_what_the_package_jsonschema_allows(value: Any) -> None:
    assert (problem(value, SCHEMA) == "") == jsonschema.Draft202012Validator(SCHEMA).is_valid(value)


@pytest.mark.parametrize(
    "schema",
    [
        {"enum": [1, "a", None]}, {"const": False}, {"anyOf": [{"type": "string", "minLength": 2}, {"minimum": 3}]},
        {"type": "integer", "exclusiveMinimum": 0, "maximum": 4}, {"type": "array", "minItems": 1, "maxItems": 2},
        {"type": "string", "pattern": "^a+$"}, {"type": "object", "additionalProperties": {"type": "integer"}},
    ],
)  # fmt: skip
def test_keywords_mean_what_they_mean_elsewhere(schema: Any) -> None:
    for value in (
        0,
        1,
        3,
        4,
        4.0,
        4.5,
        True,
        False,
        None,
        "",
        "a",
        "aa",
        "ab",
        [],
        [1],
        [1, 2, 3],
        {},
        {"x": 1},
        {"x": "y"},
    ):
        valid = jsonschema.Draft202012Validator(schema).is_valid(value)
        assert (problem(value, schema) == "") == valid, (schema, value)


def test_an_output_is_json_that_fits_and_nothing_else() -> None:
    made = task()
    assert isinstance(made, Structured)
    assert made.output('```json\n{"total": 2, "customer": "a"}\n```').text == '{"customer": "a", "total": 2}'
    for said in (
        "", "the customer is a", '{"customer": "a"', '{"customer": "a", "total": NaN}', '{"total": 2}', "[1]",
        '{"customer": "a", "total": 1e400}',  # Python reads it as infinity, and would write that
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"."):
            made.output(said)
    with pytest.raises(ConfigError, match="missing"):
        made.expected('{"total": 2}')


def scored(reference: Any, said: Any, kind: type[FieldF1] = FieldF1, field: str = "") -> float | None:
    text = said if isinstance(said, str) else json.dumps(said)
    example = Example(input={"text": "x"}, expected=(json.dumps(reference),))
    return kind(FieldConfig(field=field)).score(example, Answer(text=text, raw=text))


def test_fields_are_counted_leaf_by_leaf() -> None:
    wanted = {"a": "x", "b": {"c": 1, "d": None}, "e": [1, 2, 2]}
    assert scored(wanted, wanted) == 1
    assert scored(wanted, {"a": "X.", "b": {"c": 1.0}, "e": [2, 1, 2]}) == 1
    said = {"a": "x", "b": {"c": 2}, "e": [1, 2], "f": "more"}  # 3 right of 5 said and 5 wanted
    assert scored(wanted, said) == pytest.approx(0.6)
    assert scored(wanted, {"a": "x"}, FieldPrecision) == 1
    assert scored(wanted, {"a": "x"}, FieldRecall) == pytest.approx(0.2)
    assert scored({"a": None, "b": ""}, {"b": None}) == 1
    assert scored({"a": None}, {"a": "made up"}) == 0
    assert scored(wanted, {}) == 0
    assert scored(wanted, "no JSON") == 0


def test_items_of_a_list_keep_their_own_fields() -> None:
    wanted = {"items": [{"name": "lamp", "price": 1}, {"name": "chair", "price": 2}]}
    assert scored(wanted, {"items": wanted["items"][::-1]}) == 1
    swapped = {"items": [{"name": "lamp", "price": 2}, {"name": "chair", "price": 1}]}
    assert scored(wanted, swapped) == 0.5
    assert scored(wanted, swapped, field="items.name") == 1
    assert scored(wanted, {"items": wanted["items"] * 2}, FieldPrecision) == 0.5
    long = {"items": list(range(5000))}
    assert scored(long, long) == 1


def test_one_field_alone() -> None:
    wanted, said = {"a": {"b": 1}, "c": 2}, {"a": {"b": 1}, "c": 3}
    assert scored(wanted, said, field="a.b") == 1
    assert scored(wanted, said, field="c") == 0
    assert scored(wanted, said, field="nowhere") == 1  # nothing to find, and nothing found


def test_an_answer_that_is_none_misses_every_field() -> None:
    example = Example(input={"text": "x"}, expected=('{"a": 1}',))
    for answer in (Answer(text="{", raw="{", error="not JSON"), Answer(text="", raw="", abstained=True)):
        assert FieldF1().score(example, answer) == 0
        assert FieldF1().score(Example(input={"text": "x"}, expected=('{"a": null}',)), answer) == 0
        assert SchemaValid().score(example, answer) == 0
    assert SchemaValid().score(example, Answer(text="{}", raw="{}")) == 1
    assert FieldF1().score(Example(input={"text": "x"}), Answer(text="{}", raw="{}")) is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1200, "1,200.00", True), ("44.70", 44.7, True), (0.1, 0.1, True), ("007", "7", False), (1, True, False),
        ("2026-03-05", "5 March 2026", True), ("2026年3月5日", "March 5th, 2026", True), ("2026/3/5", "2026.03.05", True),
        ("03/05/2026", "05/03/2026", False), ("2026-02-30", "2026-03-02", False), ("Ａｎｎａ  Osei", "anna osei", True),
        ("2026-09-05", "5 Sept. 2026", True), ("May 5, 2026", "Mayor 5, 2026", False),
        ("C++", "C", False), ("-1", "1", False), ("王丽", "王莉", False), ("1e400", "1e401", False),
    ],
)  # fmt: skip
def test_leaves_are_compared_by_what_they_say(one: Any, other: Any, same: bool) -> None:
    assert equal(one, other) is same
    assert equal(other, one) is same
