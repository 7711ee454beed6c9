"""How much a grammar is estimated to cost before anything compiles it."""

from __future__ import annotations

import contextlib
import random
import time

import pytest

from everyday import some
from slipway.builtin.engines.checks import check_schema
from slipway.builtin.engines.grammar import check_enforceable, one_of
from slipway.builtin.engines.grammar_cost import check_choices_cost, check_schema_cost, is_quick, pattern_seconds
from slipway.errors import EngineError

LIMIT = 10.0


def string(**more):
    return {"type": "string", **more}


def thing(properties, **more):
    return {"type": "object", "properties": properties, **more}


USUAL = [
    string(),
    string(maxLength=100),
    string(maxLength=10_000),
    string(pattern="^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"),
    string(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:\d{2})$"),
    string(pattern=r"^[\w.+-]+@[\w-]+(\.[\w-]+)+$"),
    {"type": "array", "items": {"type": "integer"}, "maxItems": 1000},
    {"enum": [f"the {n}th country of the list" for n in range(250)]},
    thing({f"p{n}": string() for n in range(200)}),
    thing({f"p{n}": {"type": "integer", "minimum": 0, "maximum": 10**9} for n in range(100)}),
]

TOO_MUCH = [
    (string(pattern="((a{1,1000}){1,1000}){1,1000}"), "pattern"),
    (string(pattern="(((a{1,1000}){1,1000}){1,1000}){1,1000}"), "pattern"),
    (string(pattern="(a|b|[^c]){1,5000}"), "pattern"),
    (string(pattern="(.{1,100}){1,100}"), "pattern"),
    (string(pattern="a{" + "9" * 4000 + "}"), "pattern"),
    (string(minLength=10**9), "minLength"),
    (string(maxLength=10**6), "maxLength"),
    (string(maxLength=10**400), "maxLength"),
    (thing({f"p{n}": string(maxLength=200 + n) for n in range(5)}), "maxLength"),
    ({"type": "array", "items": string(), "minItems": 10**9}, "minItems"),
    ({"enum": ["y" * 60_000]}, "enum"),
    ({"enum": [f"{n}" + "y" * 300 for n in range(180)]}, "enum"),
    (thing({f"p{n}": string() for n in range(1000)}), "left out"),
    (thing({f"p{n}": string() for n in range(1000)}, required=["p1"] * 1000), "left out"),
    (thing({f"p{n}": string() for n in range(1000)}, required=[[1]] * 1000), "left out"),
    (thing({"n" * 20_000: string()}), "names"),
    ({"type": "object", "patternProperties": {"((a{1,1000}){1,1000})": string()}}, "pattern"),
    ({"allOf": [{"not": {"oneOf": [string(pattern="((a{1,1000}){1,1000})")]}}]}, "pattern"),
    (
        thing(
            {f"p{n}": {"type": "integer", "minimum": n + 1} for n in range(1500)},
            required=[f"p{n}" for n in range(1500)],
        ),
        "maximum",
    ),
]


@pytest.mark.parametrize("schema", USUAL, ids=lambda schema: str(schema)[:60])
def test_usual_schemas_pass(schema):
    check_schema_cost(schema, LIMIT)


@pytest.mark.parametrize(("schema", "worst"), TOO_MUCH, ids=lambda value: str(value)[:60])
def test_schemas_that_unfold_are_refused_with_what_makes_them_large(schema, worst):
    with pytest.raises(EngineError) as caught:
        check_schema_cost(schema, LIMIT)
    assert caught.value.status == 400
    assert worst in caught.value.message
    assert "the limit is 10 s" in caught.value.message
    assert "grammar_seconds" in caught.value.hint
    assert len(caught.value.message) < 400


def test_the_limit_is_an_option_and_follows_the_vocabulary():
    schema = string(maxLength=200)
    check_schema_cost(schema, 5.0)
    for limit, vocabulary in ((4.0, 49_152), (5.0, 151_936)):
        with pytest.raises(EngineError):
            check_schema_cost(schema, limit, vocabulary)


def test_choices_count_by_their_length():
    check_choices_cost([f"choice number {n}" for n in range(1000)], LIMIT)
    with pytest.raises(EngineError, match="1000 choices"):
        check_choices_cost([f"{n:04d}" + "y" * 896 for n in range(1000)], LIMIT)


def test_long_choices_are_cut_into_rules():
    text = 'ab"\\' * 40
    first, *rules = one_of(["short", text]).split("\n")
    assert first == 'root ::= "short" | c1-0 c1-1 c1-2'
    assert [rule.split(" ::= ")[0] for rule in rules] == ["c1-0", "c1-1", "c1-2"]
    inner = "".join(rule.split(" ::= ")[1][1:-1] for rule in rules)
    assert inner.replace('\\"', '"').replace("\\\\", "\\") == text


def test_a_repetition_multiplies_what_it_repeats():
    assert pattern_seconds("a{10}") == pytest.approx(10 * pattern_seconds("a"))
    assert pattern_seconds("(ab){1,10}") == pytest.approx(20 * pattern_seconds("a"))
    assert pattern_seconds("((a|b){10}c){3,}") == pytest.approx(4 * 21 * pattern_seconds("a"))
    assert pattern_seconds(r"\{{10}") == pytest.approx(10 * pattern_seconds("a"))
    assert pattern_seconds("[{(]{7}") == pytest.approx(7 * pattern_seconds("[ab]"))


LONG = 60_000
EVIL = [
    "[",
    "(",
    "{",
    "{1",
    "\\",
    "[^",
    "[]",
    "(?<a",
    "(?P<",
    "a-",
    "[a-",
    "|",
    "a*",
    "{1,",
    ")",
    "\\[",
    "[\\",
    "]",
    "x+x+",
]


@pytest.mark.slow
@pytest.mark.parametrize("piece", some(EVIL))
def test_no_pattern_keeps_the_server_itself_busy(piece):
    """Every regular expression that meets what a client sent takes time in proportion to its length."""
    schema = string(pattern=(piece * LONG)[:LONG])
    began = time.process_time()
    for check in (check_schema, check_enforceable, lambda schema: check_schema_cost(schema, LIMIT)):
        with contextlib.suppress(EngineError):
            check(schema)
    assert time.process_time() - began < 2.0


def test_nothing_that_is_json_raises_anything_but_a_refusal():
    draw = random.Random(7)
    keys = [
        "type",
        "pattern",
        "maxLength",
        "minItems",
        "enum",
        "const",
        "properties",
        "required",
        "$ref",
        "anyOf",
        "items",
    ]
    atoms = [
        None,
        True,
        -1,
        10**400,
        1e300,
        "",
        "string",
        "object",
        "#",
        "#/",
        "#foo",
        "(",
        [],
        [[1]],
        {},
        {"a": 1},
        "\ud800",
    ]
    for _ in range(3000):
        schema = {}
        for key in draw.sample(keys, 3):
            schema[key] = draw.choice(atoms)
        whole = {"type": "object", "properties": {"p": schema}, "required": ["p"]}
        for check in (check_schema, check_enforceable, lambda schema: check_schema_cost(schema, LIMIT)):
            with contextlib.suppress(EngineError):
                check(whole)
                continue
            break


@pytest.mark.parametrize(
    ("schema", "quick"),
    [
        (None, True),
        ({"type": "object", "properties": {"pattern": {"type": "string"}, "$ref": {"enum": ["a"]}}}, True),
        ({"anyOf": [{"type": "string", "maxLength": 9}, {"type": "null"}]}, True),
        ({"type": "array", "items": {"type": "object", "additionalProperties": False}, "maxItems": 5}, True),
        ({"type": "string", "pattern": "a"}, False),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}}, False),
        ({"type": "array", "items": {"anyOf": [{"type": "string", "pattern": "a"}]}}, False),
        ({"type": "object", "additionalProperties": {"$ref": "#"}}, False),
        ({"type": "object", "properties": [1]}, False),
        ({"anyOf": "x"}, False),
        ({"oneOf": [{"type": "string"}]}, False),
        ({"type": "string", "maxLength": 100}, False),
    ],
)
def test_what_holds_nobody_up_is_small_and_plain(schema, quick):
    assert is_quick(schema, ()) is quick


def test_few_short_choices_hold_nobody_up():
    assert is_quick(None, [f"label {n}" for n in range(100)])
    assert not is_quick(None, [f"label {n}" for n in range(100)], 250_000), "a larger vocabulary takes longer"
    assert not is_quick(None, [f"label {n}" for n in range(1000)])
    assert not is_quick(None, ["yes", "a long one " * 20]), "its tokens are made whatever max_tokens says"
