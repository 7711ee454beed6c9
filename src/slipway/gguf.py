"""The header of a GGUF file: metadata, tensor table, and where the weights begin. Reads no weights, runs nothing.

The format is that of github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little-endian. Every length
and offset is checked against the file's size before it is used, so that a damaged or hostile file gives an Unsound and
nothing else. Knows nothing of paths, of llama.cpp or of what its callers make of an Unsound.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, BinaryIO

from slipway.i18n import t

MAGIC = b"GGUF"
Scalar = str | int | float | bool
_VERSIONS = (2, 3)
_MAX_ENTRIES = 1 << 20  # metadata keys, tensors, or elements of an array that is kept; known models have 300,000
_MAX_DIMENSIONS = 4
_MAX_TEXT = 1 << 24  # bytes of one text; chat templates, the longest, have some ten thousand
_MAX_READ = 1 << 28  # bytes of the header that are read and not skipped; known models have a few million
_SHORT = 1024  # elements of an array that is always kept: one for each layer, not one for each token
_STRING, _ARRAY = 8, 9
# GGUF value type -> struct format, for the types of fixed size
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
# ggml tensor type -> (name, elements in a block, bytes of a block)
TENSOR_TYPES: dict[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    9: ("Q8_1", 32, 40),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1),
    25: ("I16", 1, 2),
    26: ("I32", 1, 4),
    27: ("I64", 1, 8),
    28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2),
    34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
}


@dataclass(frozen=True)
class Tensor:
    """One line of the tensor table. `shape`: innermost dimension first, as in the file; `start`: offset in the file."""

    name: str
    shape: tuple[int, ...]
    kind: int
    start: int
    size: int  # bytes


@dataclass(frozen=True)
class Header:
    """What stands in front of the weights. `spans`: metadata key -> (first byte, end) of its whole entry."""

    version: int
    spans: dict[str, tuple[int, int]]
    scalars: dict[str, Scalar]
    arrays: dict[str, list[Any]]  # of Scalar; the short ones and those asked for
    tensors: tuple[Tensor, ...]
    alignment: int


class Unsound(ValueError):
    """The file is no sound little-endian GGUF file; the message says why, to follow "the file is damaged: "."""


def read_header(file: BinaryIO, arrays: Collection[str] = ()) -> Header:
    """Parse and check the header of a seekable file, from its beginning. `arrays`: long arrays to keep, by key.

    Raises Unsound for anything else than a sound file that holds every tensor it lists.
    """
    return _Parser(file, arrays).header()


class _Parser:
    """A cursor over the file. Raises Unsound with the reason."""

    def __init__(self, file: BinaryIO, arrays: Collection[str]) -> None:
        self.file, self.wanted = file, arrays
        self.size = file.seek(0, os.SEEK_END)
        self.at = file.seek(0)
        self.read = 0
        self.spans: dict[str, tuple[int, int]] = {}
        self.scalars: dict[str, Scalar] = {}
        self.arrays: dict[str, list[Any]] = {}

    def header(self) -> Header:
        start = self._take(min(len(MAGIC), self.size))
        if start != MAGIC:
            raise Unsound(t("it is not a GGUF file (it begins with {start})", start=repr(start)))
        version = self._number("I")
        if version not in _VERSIONS:
            raise Unsound(t("version {version} is not known (big-endian files are not read)", version=version))
        tensor_count, key_count = self._count(), self._count()
        for _ in range(key_count):
            self._entry()
        alignment = self.scalars.get("general.alignment", 32)
        if not isinstance(alignment, int) or alignment < 1 or alignment > 1 << 20:
            raise Unsound(t("alignment {value} makes no sense", value=alignment))
        table = [self._tensor_line() for _ in range(tensor_count)]
        data_start = -(-self.at // alignment) * alignment
        tensors = tuple(_tensor(line, data_start) for line in table)
        needed = max((tensor.start + tensor.size for tensor in tensors), default=0)
        if needed > self.size:
            raise Unsound(t("it is truncated: it has {size} bytes of {needed}", size=self.size, needed=needed))
        return Header(version, self.spans, self.scalars, self.arrays, tensors, alignment)

    def _move(self, count: int) -> None:
        if self.at + count > self.size:
            raise Unsound(t("it ends within its header"))
        self.at += count

    def _skip(self, count: int) -> None:
        self._move(count)
        self.file.seek(self.at)

    def _take(self, count: int) -> bytes:
        self._move(count)
        self.read += count
        if self.read > _MAX_READ:
            raise Unsound(t("its header is larger than {n} bytes", n=_MAX_READ))
        found = self.file.read(count)
        if len(found) < count:  # the file became shorter meanwhile
            raise Unsound(t("it ends within its header"))
        return found

    def _number(self, form: str) -> Any:
        return struct.unpack("<" + form, self._take(struct.calcsize("<" + form)))[0]

    def _count(self) -> int:
        count = self._number("Q")
        if count > _MAX_ENTRIES:
            raise Unsound(t("it claims {n} entries", n=count))
        return count

    def _raw_text(self) -> bytes:
        length = self._number("Q")
        if length > _MAX_TEXT:
            raise Unsound(t("it claims a text of {n} bytes", n=length))
        return self._take(length)

    def _text(self) -> str:
        try:
            return self._raw_text().decode("utf-8")
        except UnicodeDecodeError as error:
            raise Unsound(t("a text in its header is not UTF-8")) from error

    def _entry(self) -> None:
        """The next key and value."""
        start = self.at
        key, kind = self._text(), self._number("I")
        if kind == _ARRAY:
            self._array(key)
        elif kind == _STRING:
            self.scalars[key] = self._text()
        else:
            self.scalars[key] = self._number(_form(kind))
        self.spans[key] = (start, self.at)

    def _array(self, key: str) -> None:
        """Keep or skip one; arrays of arrays, which the format allows and no model has, are refused."""
        kind, length = self._number("I"), self._number("Q")
        if length > _SHORT and key not in self.wanted:
            self._skip_array(kind, length)
            return
        if length > _MAX_ENTRIES:
            raise Unsound(t("it claims {n} entries", n=length))
        if kind == _STRING:  # rare tokens are no UTF-8, but parts of it
            self.arrays[key] = [self._raw_text().decode("utf-8", "replace") for _ in range(length)]
        else:
            form = f"<{length}{_form(kind)}"
            self.arrays[key] = list(struct.unpack(form, self._take(struct.calcsize(form))))

    def _skip_array(self, kind: int, length: int) -> None:
        if kind == _STRING:
            for _ in range(length):  # ends at the end of the file, however large `length` claims to be
                self._skip(self._number("Q"))
        else:
            self._skip(struct.calcsize("<" + _form(kind)) * length)

    def _tensor_line(self) -> tuple[str, tuple[int, ...], int, int]:
        name, dimensions = self._text(), self._number("I")
        if not 0 < dimensions <= _MAX_DIMENSIONS:
            raise Unsound(t("tensor '{name}' has {n} dimensions", name=name[:80], n=dimensions))
        shape = tuple(self._number("Q") for _ in range(dimensions))
        return name, shape, self._number("I"), self._number("Q")


def _form(kind: int) -> str:
    if kind not in _SCALARS:
        raise Unsound(t("metadata type {kind} is not known", kind=kind))
    return _SCALARS[kind]


def _tensor(line: tuple[str, tuple[int, ...], int, int], data_start: int) -> Tensor:
    name, shape, kind, offset = line
    if kind not in TENSOR_TYPES:  # a newer type: the engine will judge; its beginning must at least lie in the file
        return Tensor(name, shape, kind, data_start + offset, 0)
    _, block, width = TENSOR_TYPES[kind]
    if shape[0] % block:
        raise Unsound(t("rows of tensor '{name}' do not fill whole blocks", name=name[:80]))
    return Tensor(name, shape, kind, data_start + offset, math.prod(shape) // block * width)
