"""What it would take to compile a grammar, estimated before anything is compiled. Pure functions.

The unit is a second of processor time that xgrammar takes for a vocabulary of 49,152 tokens; the constants were
measured (docs/design/009). What a schema says once in a few bytes may unfold to billions of states: repetitions within
repetitions multiply, everything else adds up. llama.cpp compiles otherwise, but what is cheap here is cheap there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from slipway.builtin.engines.checks import refuse, walk
from slipway.core.ref import canonical
from slipway.i18n import t

VOCABULARY = 49_152
LITERAL = 0.0001  # a character
NARROW = 0.02  # a place for one of a few characters
WIDE = 0.024  # a place for nearly any
WIDE_FEW, WIDE_MORE = 330, 0.0001  # from so many on, a long run of any characters costs less for each
REPEATED = 0.0001  # an item of a list
RANGE = 0.008  # bounds of a number
SUBSCHEMA = 0.001
OPTIONAL = 0.000025  # times the square of the number of properties that may be left out
TEXT = 1 / 1_200_000  # times the square of a literal's length: the same character again and again is the worst case
PIECE = 64  # characters; `grammar.one_of` cuts choices so
MANY = 128  # characters in a class
MOST = 1e12  # of any number here
QUICK_SECONDS = 0.5  # no one minds waiting for so long
QUICK_CHARS = 200  # of a choice
PLAIN = frozenset((
    "type", "properties", "required", "additionalProperties", "items", "minItems", "maxItems", "minLength", "maxLength",
    "minimum", "maximum", "enum", "const", "anyOf", "title", "description", "default", "examples", "$schema",
))  # fmt: skip

_TOKEN = re.compile(
    r"(?P<class>\[\^?\]?(?:\\.|[^\]\\])*+(?:\]|\Z))|(?P<times>\{\d*(?:,\d*)?\}|[*+?])[?+]?"
    r"|(?P<open>\((?:\?(?:[:=!>]|<[=!]|P?<\w+>))?)|(?P<close>\))|(?P<or>\|)|(?P<one>\\.|.)",
    re.DOTALL,
)


class Part(NamedTuple):
    """A part of a schema, and the seconds it takes."""

    what: str
    seconds: float


def check_schema_cost(schema: Mapping[str, Any], limit: float, vocabulary: int = VOCABULARY) -> None:
    """Raise EngineError (status 400) for a schema that would take more than `limit` seconds to compile."""
    parts = list(_parts(schema))
    _check(parts, t("the JSON schema"), limit, vocabulary)


def check_choices_cost(choices: Sequence[str], limit: float, vocabulary: int = VOCABULARY) -> None:
    """Raise EngineError (status 400) for choices that would take more than `limit` seconds to compile."""
    _check(
        [Part(t("{n} choices", n=len(choices)), _choices_seconds(choices))], t("the list of choices"), limit, vocabulary
    )


def is_quick(schema: Mapping[str, Any] | None, choices: Sequence[str], vocabulary: int = VOCABULARY) -> bool:
    """Whether a grammar holds no one up: few seconds to compile, and of a schema only parts that cannot surprise, so
    neither patterns nor references. `max_tokens` does not end a choice, so a long one would hold a slot for long.
    """
    if (schema is not None and not _is_plain(schema)) or max(map(len, choices), default=0) > QUICK_CHARS:
        return False
    seconds = sum(part.seconds for part in _parts(schema or {})) + _choices_seconds(choices)
    return _scaled(seconds, vocabulary) <= QUICK_SECONDS


def pattern_seconds(pattern: str) -> float:
    """Of a regular expression: what is repeated counts as often as it may come."""
    sums, last = [0.0], 0.0  # of each open group; of what a quantifier would repeat
    for found in _TOKEN.finditer(pattern):
        kind, text = found.lastgroup, found[0]
        if kind == "open":
            sums.append(0.0)
            last = 0.0
        elif kind == "close":
            last = sums.pop() if len(sums) > 1 else 0.0
            sums[-1] += last
        elif kind == "times":
            sums[-1] += last * (_times(found["times"]) - 1)
            last *= _times(found["times"])
        elif kind != "or":
            last = _place(text)
            sums[-1] += last
    return sum(sums)


def _check(parts: Sequence[Part], whole: str, limit: float, vocabulary: int) -> None:
    seconds = _scaled(sum(part.seconds for part in parts), vocabulary)
    if seconds <= limit:
        return
    sums: dict[str, float] = {}
    for part in parts:
        sums[part.what] = sums.get(part.what, 0.0) + part.seconds
    worst = max(sums, key=sums.__getitem__)
    raise refuse(
        t(
            "{whole} would take about {seconds} s of processor time to prepare, most of it for {what}; "
            "the limit is {limit} s",
            whole=whole, seconds=_rounded(seconds), what=worst, limit=f"{limit:g}",
        ),
        t("use smaller bounds, fewer repetitions and shorter lists, or raise grammar_seconds in the model's options"),
    )  # fmt: skip


def _scaled(seconds: float, vocabulary: int) -> float:
    return seconds * max(1.0, vocabulary / VOCABULARY)


def _choices_seconds(choices: Sequence[str]) -> float:
    return sum(-(-len(choice) // PIECE) * PIECE**2 * TEXT for choice in choices)


def _is_plain(schema: Mapping[str, Any]) -> bool:
    left: list[Any] = [schema]
    while left:
        node = left.pop()
        if isinstance(node, bool):
            continue
        if not isinstance(node, Mapping) or node.keys() - PLAIN:
            return False
        inner, ways = node.get("properties", {}), node.get("anyOf", [])
        if not isinstance(inner, Mapping) or not isinstance(ways, list):
            return False
        left += [*inner.values(), *ways, *(node[key] for key in ("items", "additionalProperties") if key in node)]
    return True


def _rounded(seconds: float) -> str:
    return f"{seconds:.0f}" if seconds < 1e6 else f"{seconds:.0e}"


def _parts(schema: Mapping[str, Any]) -> Iterator[Part]:
    """Every part of a schema, wherever it is named."""
    for _, node in walk(schema):
        if not isinstance(node, Mapping):
            continue
        yield Part(t("its number of parts"), SUBSCHEMA)
        yield from _lengths(node)
        yield from _values(node)
        for key in ("properties", "patternProperties"):
            inner = node.get(key)
            if isinstance(inner, Mapping):
                yield from _properties(key, inner, node.get("required"))


def _lengths(node: Mapping[str, Any]) -> Iterator[Part]:
    for low, high, seconds in (("minLength", "maxLength", _any), ("minItems", "maxItems", _items)):
        least, most = _number(node.get(low)), _number(node.get(high))
        if least or most:
            yield Part(high if most >= least else low, seconds(max(least, most)))
    if isinstance(node.get("pattern"), str):
        yield Part(f"pattern {node['pattern'][:60]!r}", pattern_seconds(node["pattern"]))
    if any(_number(node.get(key)) for key in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")):
        yield Part("minimum, maximum", RANGE)


def _values(node: Mapping[str, Any]) -> Iterator[Part]:
    values = node["enum"] if isinstance(node.get("enum"), list) else []
    for value in [*values, *([node["const"]] if "const" in node else [])]:
        yield Part("enum, const", SUBSCHEMA + len(canonical(value)) ** 2 * TEXT)


def _properties(key: str, inner: Mapping[str, Any], required: Any) -> Iterator[Part]:
    needed = {name for name in required if isinstance(name, str)} if isinstance(required, list) else set[str]()
    yield Part(t("properties that may be left out"), len(inner.keys() - needed) ** 2 * OPTIONAL)
    for name in inner:
        yield Part(t("names of properties"), len(name) ** 2 * TEXT)
        if key == "patternProperties":
            yield Part(f"pattern {name[:60]!r}", pattern_seconds(name))


def _any(length: float) -> float:
    return min(length, WIDE_FEW) * WIDE + length * WIDE_MORE


def _items(length: float) -> float:
    return length * REPEATED


def _number(value: Any) -> float:
    return float(min(abs(value), MOST)) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0


def _times(text: str) -> float:
    """How often at most; without an end, once more than the least."""
    if text in "*+?":
        return 1.0 if text == "?" else 2.0
    low, comma, high = text[1:-1].partition(",")
    if comma and not high:
        return min(float(low or 0), MOST) + 1
    return min(max(float(high or low or 0), 1.0), MOST)


def _place(text: str) -> float:
    """One character or class of a pattern."""
    if text in (".", r"\S", r"\W", r"\D") or text[:2] in ("[^", r"\p", r"\P"):
        return WIDE
    if text[0] == "[":
        if re.search(r"\\[SWDpP]", text):
            return WIDE
        ranges = re.findall(r"(.)-(.)", text[1:-1], re.DOTALL)
        return WIDE if sum(abs(ord(b) - ord(a)) for a, b in ranges) > MANY else NARROW
    return NARROW if text in (r"\w", r"\d", r"\s") else LITERAL
