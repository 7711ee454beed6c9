"""Which JSON schemas a grammar enforces, and how choices become one."""

from __future__ import annotations

import json

import pytest
import pytest_asyncio

from slipway.builtin.engines.grammar import check_enforceable, one_of
from slipway.builtin.engines.openvino.engine import OpenvinoEngine
from slipway.core.message import GenerateRequest
from slipway.errors import EngineError
from slipway.testing.engines import complete

GOOD = [
    {"type": "string"},
    {"type": "string", "minLength": 1, "maxLength": 9, "title": "A title", "description": "It is noted."},
    {"type": "string", "pattern": "^[a-z]{2}-\\d+$"},
    {"type": "string", "pattern": r"^[\w.+-]+@[-\w]+(\.[\w-]+)+$"},
    {"type": "string", "pattern": r"[(|)*+?.{}$]\[\]\-{0,2}(a)(é|🙂){0}"},
    {"type": "integer", "minimum": -5, "maximum": 9},
    {"type": "array", "items": {"type": "null"}, "minItems": 1, "maxItems": 3},
    {"type": "array", "prefixItems": [{"type": "boolean"}, {"type": "number"}], "items": False},
    {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"], "additionalProperties": False},
    {"type": "object", "additionalProperties": {"type": "integer"}},
    {"enum": ["a", 1, None]},
    {"type": "string", "enum": ["a", "b"]},
    {"anyOf": [{"type": "string"}, {"type": "null"}]},
    {"$defs": {"x": {"type": "string"}}, "type": "object", "properties": {"p": {"$ref": "#/$defs/x"}}},
    {
        "definitions": {"n": {"type": "object", "properties": {"n": {"$ref": "#/definitions/n"}}}},
        "$ref": "#/definitions/n",
    },
]

BAD = [
    ({}, "needs a type"),
    ({"type": "frobnicate"}, "needs a type"),
    ({"type": ["string", "null"]}, "needs a type"),
    ({"type": "string", "format": "date"}, "'format' is not enforced for type string"),
    ({"type": "number", "minimum": 0}, "'minimum' is not enforced for type number"),
    ({"type": "array", "uniqueItems": True}, "'uniqueItems'"),
    ({"type": "object", "minProperties": 1}, "'minProperties'"),
    ({"type": "object", "patternProperties": {}}, "'patternProperties'"),
    ({"not": {"type": "string"}}, "needs a type"),
    ({"type": "string", "not": {"const": "a"}}, "'not'"),
    ({"oneOf": [{"type": "string"}]}, "needs a type"),
    ({"allOf": [{"type": "string"}]}, "needs a type"),
    ({"anyOf": []}, "a list that is not empty"),
    ({"enum": []}, "a list that is not empty"),
    ({"enum": "abc"}, "a list that is not empty"),
    ({"anyOf": [{"type": "string"}], "maxLength": 3}, "maxLength would be ignored"),
    ({"type": "string", "anyOf": [{"type": "string"}]}, "type would be ignored"),
    ({"$ref": "#/nowhere"}, "points at nothing"),
    ({"$ref": "https://example.org/schema"}, "points at nothing"),
    ({"type": "string", "pattern": "(?=a)b"}, "not a plain regular expression"),
    ({"type": "string", "pattern": "(a)\\1"}, "not a plain regular expression"),
    *(
        ({"type": "string", "pattern": pattern}, "which end a JSON string")
        for pattern in (".", "a.*", "[^a]", r"\s", "[ -~]", '"', r"\\", r"[\\]", r"(a|[b\s]){3}")
    ),
    ({"type": "string", "pattern": "["}, "not a plain regular expression"),
    ({"type": "string", "minLength": 3, "maxLength": 2}, "its bounds leave nothing"),
    ({"type": "string", "maxLength": -1}, "must be a whole number"),
    ({"type": "integer", "maximum": 1.5}, "must be a whole number"),
    ({"type": "integer", "minimum": 10**30}, "must be a whole number"),
    ({"type": "integer", "minimum": 5, "exclusiveMaximum": 5}, "its bounds leave nothing"),
    *(
        ({"type": "string", "pattern": pattern}, "not a plain regular expression")
        for pattern in (
            "a{,3}",
            "x*+",
            "x*?",
            "{",
            "}",
            "]",
            "[]a]",
            "()",
            "(|a)",
            "a||b",
            "a|",
            "^*",
            "^^a",
            "a$b",
            "a$$",
            "\x00",
            "a\n",
            "",
            "(" * 40 + "a" + ")" * 40,
            "(" * 5000,
            "a{99999999999}",
            "[[a]]",
        )
    ),
    *(
        ({"type": "object", "properties": {name: {"type": "null"}}}, "quotes, backslashes or control characters")
        for name in ('"', "\\", "\n", "\x00", "\x7f")
    ),
    ({"type": "array", "minItems": 3, "items": False}, "its bounds leave nothing"),
    ({"type": "array", "minItems": 3, "prefixItems": [{"type": "null"}], "items": False}, "its bounds leave nothing"),
    ({"type": "array", "maxItems": 1, "prefixItems": [{"type": "null"}] * 2}, "its bounds leave nothing"),
    ({"type": "object", "required": [[1]]}, "required names what properties does not: [1]"),
    ({"$ref": "#foo"}, "points at nothing"),
    ({"type": "object", "properties": []}, "must be an object"),
    ({"type": "object", "required": ["a"]}, "required names what properties does not: a"),
    ({"type": "object", "required": "a"}, "must be a list"),
]


@pytest.mark.parametrize("schema", GOOD, ids=str)
def test_what_is_enforced_passes(schema):
    check_enforceable(schema)


@pytest.mark.parametrize(("schema", "why"), BAD, ids=str)
def test_what_is_not_is_refused_with_its_reason_and_place(schema, why):
    nested = {"type": "object", "properties": {"deep": {"type": "array", "items": schema}}}
    for whole, where in ((schema, "#:"), (nested, "#/properties/deep/items:")):
        with pytest.raises(EngineError) as caught:
            check_enforceable(whole)
        assert caught.value.status == 400
        assert why in caught.value.message
        assert where in caught.value.message


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(smollm2_gguf):
    engine = OpenvinoEngine(OpenvinoEngine.Config(context=512, threads=1), files={"model.gguf": smollm2_gguf})
    await engine.start()
    yield engine
    await engine.close()


@pytest.mark.slow
@pytest.mark.parametrize("schema", GOOD, ids=str)
@pytest.mark.asyncio(loop_scope="module")
async def test_what_passes_is_enforced_by_openvino(engine, schema):
    answer = await complete(engine, GenerateRequest(prompt="JSON:", json_schema=schema))
    if answer.finish == "stop":
        import jsonschema  # takes two seconds

        jsonschema.validate(json.loads(answer.text), schema)


def test_literals_are_escaped():
    assert one_of(["a", 'b"\\', "c\n\x01你"]) == 'root ::= "a" | "b\\"\\\\" | "c\\n\\x01你"'


def test_a_reference_that_is_only_itself_is_refused():
    ring = {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}
    with pytest.raises(EngineError, match="points at nothing"):
        check_enforceable(ring)
