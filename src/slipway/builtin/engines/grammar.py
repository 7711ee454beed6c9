"""Constrained output as grammars, and which JSON schemas a grammar can enforce. Pure functions.

Both llama.cpp and xgrammar read GBNF. xgrammar ignores some JSON-schema keywords without a word and dies of others, so
those that it does enforce are listed here, and a schema with any other is refused before it gets there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from slipway.builtin.engines.checks import refuse
from slipway.builtin.engines.grammar_cost import PIECE
from slipway.i18n import t

_NOTES = frozenset(("title", "description", "default", "examples", "$schema", "$id", "$comment"))
_BY_TYPE: dict[str, frozenset[str]] = {
    "object": frozenset(("properties", "required", "additionalProperties")),
    "array": frozenset(("items", "prefixItems", "minItems", "maxItems")),
    "string": frozenset(("minLength", "maxLength", "pattern")),
    "integer": frozenset(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")),
    "number": frozenset(),
    "boolean": frozenset(),
    "null": frozenset(),
}
_LARGEST = 2**53  # of a bound: xgrammar dies of numbers that its 64 bits cannot hold
_ALONE = ("$ref", "anyOf", "enum", "const")  # beside one of these nothing else is enforced
_DEFINITIONS = frozenset(("$defs", "definitions"))
_UNREADABLE = re.compile(r'["\\\x00-\x1f\x7f]')  # in a name, for xgrammar
MOST_GROUPS = 32  # one within the other
_ESCAPED = r"\\[dws.+*?()\[\]{}|^$/\\-]"
_ESCAPED_IN_JSON = ('"', "\\", *map(chr, range(32)))  # RFC 8259
_PIECE = re.compile(
    rf"(?P<atom>[^\x00-\x1f\x7f\\^$|?*+(){{}}\[\]]|{_ESCAPED}|\[\^?(?:[^\x00-\x1f\x7f\\^\[\]]|{_ESCAPED})+\])"
    r"|(?P<many>[*+?]|\{\d+(?:,\d*)?\})|(?P<open>\()|(?P<close>\))|(?P<or>\|)|(?P<end>\$\Z)"
)
_FOLLOWS = {
    "open": ("atom", "open"), "or": ("atom", "open"), "many": ("atom", "open", "close", "or", "end"),
    "atom": ("atom", "open", "close", "or", "end", "many"), "close": ("atom", "open", "close", "or", "end", "many"),
    "end": (),
}  # fmt: skip


def one_of(choices: Sequence[str]) -> str:
    """A GBNF grammar whose only sentences are the choices, whatever characters they hold.

    A long choice is cut into rules of its own: xgrammar's time grows with the square of a literal's length.
    """
    rules, ways = list[str](), list[str]()
    for at, choice in enumerate(choices):
        parts = [f'"{_literal(choice[begin : begin + PIECE])}"' for begin in range(0, len(choice), PIECE)]
        if len(parts) == 1:
            ways.append(parts[0])
            continue
        names = [f"c{at}-{n}" for n in range(len(parts))]
        rules += [f"{name} ::= {part}" for name, part in zip(names, parts, strict=True)]
        ways.append(" ".join(names))
    return "\n".join(["root ::= " + " | ".join(ways), *rules])


def check_enforceable(schema: Any) -> None:
    """Raise EngineError (status 400) unless a grammar made by xgrammar enforces every keyword of the schema.

    `schema` has passed `checks.check_schema`, which bounds its depth.
    """
    for where, node in _schemas(schema, "#"):
        why = _fault(node, schema)
        if why is not None:
            raise refuse(
                t("the JSON schema cannot be enforced at {where}: {why}", where=where, why=why),
                t("use type, properties, required, items, enum, const, anyOf and $ref, or an engine that can: llama"),
            )


def _literal(text: str) -> str:
    special = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return "".join(special.get(c) or (f"\\x{ord(c):02x}" if ord(c) < 32 or ord(c) == 127 else c) for c in text)


def _schemas(node: Any, where: str) -> Iterator[tuple[str, Any]]:
    """Every schema inside a schema, with a pointer to it (RFC 6901)."""
    yield where, node
    if not isinstance(node, Mapping):
        return
    children: dict[str, Any] = {key: node[key] for key in ("items", "additionalProperties") if key in node}
    for key in ("properties", *_DEFINITIONS):
        if isinstance(node.get(key), Mapping):
            children |= {f"{key}/{name}": child for name, child in node[key].items()}
    for key in ("anyOf", "prefixItems"):
        if isinstance(node.get(key), list):
            children |= {f"{key}/{at}": child for at, child in enumerate(node[key])}
    for key, child in children.items():
        if not (isinstance(child, bool) and key in ("items", "additionalProperties")):
            yield from _schemas(child, f"{where}/{key}")


def _fault(node: Any, root: Any) -> str | None:
    """Why this one schema, its children aside, cannot be enforced; None when it can."""
    if not isinstance(node, Mapping):
        return t("a schema must be an object")
    keys = {str(key) for key in node} - _NOTES - _DEFINITIONS
    alone = [key for key in _ALONE if key in keys]
    if alone:
        return _alone_fault(alone[0], keys - {"type"} if alone[0] in ("enum", "const") else keys, node, root)
    kind = node.get("type")
    if not isinstance(kind, str) or kind not in _BY_TYPE:
        return t("it needs a type: one of {known}", known=", ".join(_BY_TYPE))
    for key in sorted(keys - {"type"}):
        if key not in _BY_TYPE[kind]:
            return t("'{key}' is not enforced for type {kind}", key=key, kind=kind)
    return _value_fault(node)


def _alone_fault(alone: str, keys: set[str], node: Mapping[str, Any], root: Any) -> str | None:
    if keys != {alone}:
        return t("beside {key}, {others} would be ignored", key=alone, others=", ".join(sorted(keys - {alone})))
    if alone in ("anyOf", "enum") and not (isinstance(node[alone], list) and node[alone]):
        return t("{key} must be a list that is not empty", key=alone)
    if alone == "$ref" and not _resolves(node["$ref"], root):
        return t("$ref points at nothing: {ref}", ref=str(node["$ref"])[:200])
    return None


def _value_fault(node: Mapping[str, Any]) -> str | None:
    """What is wrong with the values of a typed schema's keywords."""
    properties, required = node.get("properties", {}), node.get("required", [])
    if not isinstance(properties, Mapping):
        return t("{key} must be an object", key="properties")
    for key in ("required", "prefixItems"):
        if key in node and not isinstance(node[key], list):
            return t("{key} must be a list", key=key)
    if any(_UNREADABLE.search(str(name)) for name in properties):
        return t("names of properties must not hold quotes, backslashes or control characters")
    unlisted = [str(name) for name in required if not (isinstance(name, str) and name in properties)]
    if unlisted:
        return t("required names what properties does not: {names}", names=", ".join(unlisted)[:200])
    pattern = node.get("pattern")
    if pattern is not None and not _is_plain(pattern):
        return t("the pattern is not a plain regular expression: {pattern}", pattern=str(pattern)[:200])
    if pattern is not None and _leaves_json(pattern):
        return t(
            "the pattern allows a quote, a backslash or a control character, which end a JSON string: {pattern}",
            pattern=str(pattern)[:200],
        )
    return _range_fault(node)


def _range_fault(node: Mapping[str, Any]) -> str | None:
    for key in ("minItems", "maxItems", "minLength", "maxLength", *_BY_TYPE["integer"]):
        bound = node.get(key, 0)
        least = -_LARGEST if key in _BY_TYPE["integer"] else 0
        if not isinstance(bound, int) or isinstance(bound, bool) or not least <= bound <= _LARGEST:
            return t("{key} must be a whole number from {low} to {high}", key=key, low=least, high=_LARGEST)
    pairs = [(node.get(f"min{what}", 0), node.get(f"max{what}", _LARGEST)) for what in ("Items", "Length")]
    first = len(node.get("prefixItems", ()))
    if (node.get("items") is False and node.get("minItems", 0) > first) or node.get("maxItems", first) < first:
        return t("its bounds leave nothing")
    low = max(node.get("minimum", -_LARGEST), node.get("exclusiveMinimum", -_LARGEST - 1) + 1)
    high = min(node.get("maximum", _LARGEST), node.get("exclusiveMaximum", _LARGEST + 1) - 1)
    if any(least > most for least, most in (*pairs, (low, high))):
        return t("its bounds leave nothing")
    return None


def _resolves(ref: Any, root: Any) -> bool:
    """Whether a $ref points to a schema in this document that is not, in the end, itself."""
    seen = set[str]()
    while isinstance(ref, str) and (ref == "#" or ref.startswith("#/")) and ref not in seen:
        seen.add(ref)
        node = root
        for part in ref[1:].split("/")[1:]:
            if not isinstance(node, Mapping) or part not in node:
                return False
            node = node[part]
        if not isinstance(node, Mapping):
            return False
        if "$ref" not in node:
            return True
        ref = node["$ref"]
    return False


def _leaves_json(pattern: str) -> bool:
    """Whether a part of a plain pattern matches what JSON escapes: xgrammar would have it written as it is."""
    atoms = {found[0] for found in _PIECE.finditer(pattern) if found.lastgroup == "atom"}
    return any(re.fullmatch(atom, char) for atom in atoms for char in _ESCAPED_IN_JSON)


def _is_plain(pattern: Any) -> bool:
    """Whether xgrammar reads the pattern, and as Python does: what it cannot read, the child does not survive."""
    if not isinstance(pattern, str):
        return False
    before, depth, at = "open", 0, pattern.startswith("^")
    while at < len(pattern):
        found = _PIECE.match(pattern, at)
        kind = found.lastgroup if found else None
        if found is None or kind not in _FOLLOWS[before]:
            return False
        before, at = kind or "", found.end()
        depth += (kind == "open") - (kind == "close")
        if not 0 <= depth <= MOST_GROUPS:
            return False
    if depth or before in ("open", "or"):
        return False
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        return False
    return True
