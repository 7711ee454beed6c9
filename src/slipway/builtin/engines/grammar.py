"""Constrained output as grammars, and which JSON schemas a grammar can enforce. Pure functions.

Both llama.cpp and xgrammar read GBNF. xgrammar ignores some JSON-schema keywords without a word and dies of others, so
those that it does enforce are listed here, and a schema with any other is refused before it gets there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from slipway.builtin.engines.checks import refuse
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
_ALONE = ("$ref", "anyOf", "enum", "const")  # beside one of these nothing else is enforced
_DEFINITIONS = frozenset(("$defs", "definitions"))
_PLAIN_PATTERN = re.compile(r"(?:[^\\(]|\((?!\?)|\\[dws.+*?()\[\]{}|^$/\\-])*")  # no lookaround, no back-references


def one_of(choices: Sequence[str]) -> str:
    """A GBNF grammar whose only sentences are the choices, whatever characters they hold."""
    return "root ::= " + " | ".join(f'"{_literal(choice)}"' for choice in choices)


def check_enforceable(schema: Any) -> None:
    """Raise EngineError (status 400) unless a grammar made by xgrammar enforces every keyword of the schema.

    `schema` has passed `checks.check_schema`, which bounds its depth.
    """
    for where, node in _schemas(schema, schema, "#"):
        why = _fault(node, schema)
        if why is not None:
            raise refuse(
                t("the JSON schema cannot be enforced at {where}: {why}", where=where, why=why),
                t("use type, properties, required, items, enum, const, anyOf and $ref, or an engine that can: llama"),
            )


def _literal(text: str) -> str:
    special = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return "".join(special.get(c) or (f"\\x{ord(c):02x}" if ord(c) < 32 or ord(c) == 127 else c) for c in text)


def _schemas(node: Any, root: Any, where: str) -> Iterator[tuple[str, Any]]:
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
            yield from _schemas(child, root, f"{where}/{key}")


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
    for key in ("properties",):
        if key in node and not isinstance(node[key], Mapping):
            return t("{key} must be an object", key=key)
    for key in ("required", "prefixItems"):
        if key in node and not isinstance(node[key], list):
            return t("{key} must be a list", key=key)
    for low, high in (("minItems", "maxItems"), ("minLength", "maxLength"), ("minimum", "maximum")):
        fault = _range_fault(low, high, node)
        if fault is not None:
            return fault
    pattern = node.get("pattern")
    if pattern is not None and not _is_plain(pattern):
        return t("the pattern is not a plain regular expression: {pattern}", pattern=str(pattern)[:200])
    return None


def _range_fault(low: str, high: str, node: Mapping[str, Any]) -> str | None:
    bounds = [node[key] for key in (low, high) if key in node]
    signed = low == "minimum"
    for bound in bounds:
        if not isinstance(bound, int) or isinstance(bound, bool) or (bound < 0 and not signed):
            return t("{low} and {high} must be whole numbers", low=low, high=high)
    return t("{low} is above {high}", low=low, high=high) if len(bounds) == 2 and bounds[0] > bounds[1] else None


def _resolves(ref: Any, root: Any) -> bool:
    """Whether a $ref points into this document."""
    if not isinstance(ref, str) or not ref.startswith("#"):
        return False
    node = root
    for part in ref[1:].split("/")[1:]:
        if not isinstance(node, Mapping) or part not in node:
            return False
        node = node[part]
    return isinstance(node, Mapping)


def _is_plain(pattern: Any) -> bool:
    if not isinstance(pattern, str) or not _PLAIN_PATTERN.fullmatch(pattern):
        return False
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True
