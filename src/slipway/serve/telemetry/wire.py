"""Protocol buffers as bytes, as far as OTLP needs them: what is in a message is joined, never kept as an object.

https://protobuf.dev/programming-guides/encoding/ . A library would make a Python object of each attribute of each
span; this costs a fifth of it, and one dependency less.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from functools import lru_cache

from slipway.core.spans import Value

_fixed, _double = struct.Struct("<Q").pack, struct.Struct("<d").pack
_MOST = 1 << 64
_LEAST = -(1 << 63)  # of an attribute
_COMMON = 64  # characters of a text that may come again; digests are as long


def varint(number: int) -> bytes:
    """A whole number; a negative one as the 64 bits of its two's complement."""
    if number < 0:
        number += _MOST
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)


_SHORT = tuple(varint(n) for n in range(1024))  # lengths and tags, nearly always


def _varint(number: int) -> bytes:
    return _SHORT[number] if 0 <= number < 1024 else varint(number)


def message(field: int, body: bytes) -> bytes:
    """A field that is a message, bytes or text."""
    return _SHORT[field << 3 | 2] + _varint(len(body)) + body


def text(field: int, value: str) -> bytes:
    """A field that is text; what is no Unicode becomes a question mark."""
    return message(field, value.encode("utf-8", "replace"))


def number(field: int, value: int) -> bytes:
    """A field that is a whole number, a choice or a truth value."""
    return _SHORT[field << 3] + _varint(value)


def fixed(field: int, value: int) -> bytes:
    """A field of 64 bits, such as nanoseconds."""
    return _SHORT[field << 3 | 1] + _fixed(value)


def double(field: int, value: float) -> bytes:
    """A field that is a float."""
    return _SHORT[field << 3 | 1] + _double(value)


def packed(field: int, values: Iterable[int] | Iterable[float], kind: str) -> bytes:
    """A field of many: `Q` of 64 bits, `d` floats."""
    found = tuple(values)
    return message(field, struct.pack(f"<{len(found)}{kind}", *found))


def attributes(field: int, found: Mapping[str, Value]) -> bytes:
    """Many `KeyValue`s."""
    made: list[bytes] = []
    for key, value in found.items():
        if isinstance(value, float):
            made.append(_before_double(field, key) + _double(value))
        elif isinstance(value, str) and len(value) > _COMMON:
            made.append(_pair(field, key, value))
        else:
            made.append(_known(field, key, value))
    return b"".join(made)


def _pair(field: int, key: str, value: Value) -> bytes:
    return message(field, text(1, key) + message(2, _any(value)))


_known = lru_cache(8192, typed=True)(_pair)  # names of models, statuses, counts: they come again and again


@lru_cache(512)
def _before_double(field: int, key: str) -> bytes:
    """All of a `KeyValue` that holds a float, but for the float: that has always eight bytes, at the end."""
    return _pair(field, key, 0.0)[:-8]


def _any(value: Value) -> bytes:
    """`AnyValue`."""
    if isinstance(value, str):
        return text(1, value)
    if isinstance(value, bool):
        return number(2, int(value))
    if isinstance(value, int):
        return number(3, max(_LEAST, min(-_LEAST - 1, value)))
    if isinstance(value, float):
        return double(4, value)
    return message(5, b"".join(message(1, _any(one)) for one in value))


def rejected(answer: bytes) -> int:
    """How many the answer to an export says it did not take (`partial_success.rejected_*`); 0 where it says nothing."""
    try:
        for field, body in _fields(answer):
            if field == 1 and isinstance(body, bytes):
                return next((value for inner, value in _fields(body) if inner == 1 and isinstance(value, int)), 0)
    except (IndexError, ValueError):
        return 0
    return 0


def _fields(data: bytes) -> Iterable[tuple[int, int | bytes]]:
    at = 0
    while at < len(data):
        tag, at = _read(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = _read(data, at)
            yield tag >> 3, value
        elif kind == 2:
            length, at = _read(data, at)
            yield tag >> 3, data[at : at + length]
            at += length
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise ValueError(kind)


def _read(data: bytes, at: int) -> tuple[int, int]:
    found = shift = 0
    while True:
        byte = data[at]
        found |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return found, at
        if shift > 63:
            raise ValueError(shift)
