"""JSON schemas as far as engines enforce them: which are refused, and what of a value a schema does not allow.

The keywords are those of JSON Schema 2020-12 that a grammar can hold a model to; a schema with any other is refused
where it is declared, so nothing it says is silently not checked. Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from slipway.i18n import t

DEEPEST = 32  # of a schema, and of a value
_TYPES: dict[str, Any] = {
    "object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool,
    "null": type(None),
}  # fmt: skip
_NOTES = frozenset(
    ("title", "description", "default", "examples", "$schema", "$id", "$comment", "$defs", "definitions")
)
_KNOWN = _NOTES | {
    "type", "properties", "required", "additionalProperties", "items", "minItems", "maxItems", "minLength", "maxLength",
    "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "enum", "const", "anyOf", "$ref",
}  # fmt: skip
Schema = Mapping[str, Any]


def faults(schema: Any) -> str:
    """Why this cannot be the schema of what is extracted; empty when it can."""
    if not isinstance(schema, dict):
        return t("a JSON schema is a mapping of keys")
    root = cast("dict[str, Any]", schema)
    for where, node, depth in _inside(root, "#", 0):
        if depth > DEEPEST:
            return t("it is nested more than {n} deep", n=DEEPEST)
        why = _fault(node, root)
        if why:
            return f"{where}: {why}"
    top = _resolved(root, root)
    if top.get("type") != "object" or not top.get("properties"):
        return t("it must describe an object with properties")
    return ""


def problem(value: Any, schema: Schema) -> str:
    """What of a value the schema does not allow, the first thing; empty when it is allowed. `schema` has no faults."""
    return next(_problems(value, schema, schema, "$", 0), "")


def ordered(value: Any, schema: Schema, root: Schema | None = None, depth: int = 0) -> Any:
    """The value with the properties of its objects in the schema's order: as a model under a grammar writes them."""
    root = schema if root is None else root
    node = _resolved(schema, root)
    if depth > DEEPEST:
        return value
    if isinstance(value, dict):
        given, properties = cast("dict[str, Any]", value), cast("Schema", node.get("properties", {}))
        names = [*(n for n in properties if n in given), *(n for n in given if n not in properties)]
        return {name: ordered(given[name], properties.get(name, {}), root, depth + 1) for name in names}
    if isinstance(value, list):
        items = node.get("items", {})
        return [ordered(one, items, root, depth + 1) for one in cast("list[Any]", value)]
    return value


def _inside(node: Any, where: str, depth: int) -> Iterator[tuple[str, Any, int]]:
    yield where, node, depth
    if not isinstance(node, dict) or depth > DEEPEST:
        return
    schema = cast("dict[str, Any]", node)
    children = {name: schema[name] for name in ("items", "additionalProperties") if isinstance(schema.get(name), dict)}
    for key in ("properties", "$defs", "definitions"):
        if isinstance(schema.get(key), dict):
            children |= {f"{key}/{name}": one for name, one in schema[key].items()}
    if isinstance(schema.get("anyOf"), list):
        children |= {f"anyOf/{n}": one for n, one in enumerate(schema["anyOf"])}
    for name, child in children.items():
        yield from _inside(child, f"{where}/{name}", depth + 1)


def _fault(node: Any, root: Schema) -> str:
    if isinstance(node, bool):
        return t("true and false are no schemas here")
    if not isinstance(node, dict):
        return t("a JSON schema is a mapping of keys")
    schema = cast("dict[str, Any]", node)
    unknown = sorted(set(map(str, schema)) - _KNOWN)
    if unknown:
        return t("'{name}' is not enforced; known: {names}", name=unknown[0], names=", ".join(sorted(_KNOWN - _NOTES)))
    named = schema.get("type", [])
    kinds: Sequence[Any] = cast("list[Any]", named) if isinstance(named, list) else [named]
    if any(kind not in _TYPES for kind in kinds if isinstance(kind, str)) or not all(isinstance(k, str) for k in kinds):
        return t("'{name}' is no type; known: {names}", name=str(named)[:50], names=", ".join(_TYPES))
    if "$ref" in schema and _followed(schema, root) is None:
        return t("'{name}' leads nowhere, or back to itself", name=str(schema["$ref"])[:100])
    return _misfit(schema)


def _misfit(schema: Mapping[str, Any]) -> str:
    """A keyword whose value is of the wrong kind."""
    wanted = {
        "properties": dict, "required": list, "items": dict, "anyOf": list, "enum": list, "pattern": str,
        "$defs": dict, "definitions": dict,
    }  # fmt: skip
    wrong = [key for key, kind in wanted.items() if key in schema and not isinstance(schema[key], kind)]
    numbers = ("minItems", "maxItems", "minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum",
               "exclusiveMaximum")  # fmt: skip
    wrong += [
        k for k in numbers if k in schema and (isinstance(schema[k], bool) or not isinstance(schema[k], int | float))
    ]
    if wrong:
        return t("'{name}' has a value of the wrong kind", name=wrong[0])
    if "pattern" in schema:
        try:
            re.compile(schema["pattern"])
        except re.error as error:
            return t("'{name}' is no regular expression: {why}", name=schema["pattern"][:100], why=error)
    return ""


def _followed(schema: Schema, root: Schema) -> Schema | None:
    """The schema that a `$ref` stands for; None where it leads nowhere or in a circle."""
    here: Any = schema
    for _ in range(DEEPEST):
        if not isinstance(here, dict) or "$ref" not in here:
            return cast("Schema", here) if isinstance(here, dict) else None
        path = str(here["$ref"])  # pyright: ignore[reportUnknownArgumentType]
        if path != "#" and not path.startswith("#/"):
            return None
        here = root
        for part in filter(None, path[1:].split("/")):
            here = cast("dict[str, Any]", here).get(part) if isinstance(here, dict) else None
    return None


def _resolved(schema: Schema, root: Schema) -> Schema:
    return _followed(schema, root) or {}


def _problems(value: Any, schema: Schema, root: Schema, at: str, depth: int) -> Iterator[str]:
    node = _resolved(schema, root)
    if depth > DEEPEST:
        yield f"{at}: nested more than {DEEPEST} deep"
        return
    kinds = node.get("type")
    if kinds is not None and not any(_is(value, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds)):
        yield f"{at}: not of type {kinds}"
        return
    yield from _chosen(value, node, root, at, depth)
    if isinstance(value, dict):
        yield from _object(cast("dict[str, Any]", value), node, root, at, depth)
    elif isinstance(value, list):
        items = cast("list[Any]", value)
        yield from _sized(len(items), node, "Items", at)
        for n, one in enumerate(items):
            yield from _problems(one, node.get("items", {}), root, f"{at}[{n}]", depth + 1)
    elif isinstance(value, str):
        yield from _sized(len(value), node, "Length", at)
        if "pattern" in node and not re.search(node["pattern"], value):
            yield f"{at}: does not match {node['pattern'][:100]}"
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _bounded(value, node, at)


def _chosen(value: Any, node: Schema, root: Schema, at: str, depth: int) -> Iterator[str]:
    if "enum" in node and not any(_same(value, one) for one in node["enum"]):
        yield f"{at}: none of {str(node['enum'])[:100]}"
    if "const" in node and not _same(value, node["const"]):
        yield f"{at}: not {str(node['const'])[:100]}"
    if "anyOf" in node and all(next(_problems(value, one, root, at, depth + 1), None) for one in node["anyOf"]):
        yield f"{at}: fits none of anyOf"


def _object(value: Mapping[str, Any], node: Schema, root: Schema, at: str, depth: int) -> Iterator[str]:
    properties, more = node.get("properties", {}), node.get("additionalProperties", True)
    for name in node.get("required", ()):
        if name not in value:
            yield f"{at}.{name}: missing"
    for name, one in value.items():
        if name in properties:
            yield from _problems(one, properties[name], root, f"{at}.{name}", depth + 1)
        elif more is False:
            yield f"{at}.{name[:50]}: not in the schema"
        elif isinstance(more, dict):
            yield from _problems(one, cast("Schema", more), root, f"{at}.{name[:50]}", depth + 1)


def _sized(size: int, node: Schema, what: str, at: str) -> Iterator[str]:
    if size < node.get(f"min{what}", 0) or size > node.get(f"max{what}", size):
        yield f"{at}: {size} is outside the bounds of its length"


def _bounded(value: float, node: Schema, at: str) -> Iterator[str]:
    low, high = node.get("minimum", value), node.get("maximum", value)
    above, below = node.get("exclusiveMinimum"), node.get("exclusiveMaximum")
    outside = (
        not low <= value <= high or (above is not None and value <= above) or (below is not None and value >= below)
    )
    if outside:
        yield f"{at}: {value} is outside its bounds"


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[kind])


def _same(one: Any, other: Any) -> bool:
    return isinstance(one, bool) == isinstance(other, bool) and one == other
