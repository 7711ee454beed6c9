"""The header of a GGUF file: metadata, tensor table, and where the weights begin. Reads no weights, runs nothing.

Follows the GGUF specification of ggml (versions 2 and 3, little-endian). Every length and offset is checked against
the file's size before it is used, so that a damaged or hostile file gives an IntegrityError and nothing else.
"""

from __future__ import annotations

import math
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path

from slipway.errors import IntegrityError
from slipway.i18n import t

MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_MAX_ENTRIES = 1 << 20  # metadata keys or tensors; the largest known models have a few thousand
_MAX_DIMENSIONS = 4
_MAX_TEXT = 1 << 24  # bytes of one text; chat templates, the longest, have some ten thousand
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
    scalars: dict[str, str | int | float | bool]  # the metadata that is no array
    tensors: tuple[Tensor, ...]
    alignment: int
    data_start: int


def read_header(path: Path) -> Header:
    """Parse and check the header of `path`. Raises IntegrityError when it is no sound little-endian GGUF file."""
    with path.open("rb") as file:
        size = path.stat().st_size
        if size < 24 or file.read(4) != MAGIC:
            raise _broken(path, t("it does not begin with the GGUF signature"))
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                return _Parser(data, size).header()
            except (ValueError, struct.error, UnicodeDecodeError) as error:
                raise _broken(path, str(error)) from error


def _broken(path: Path, why: str) -> IntegrityError:
    return IntegrityError(
        t("{file} is not a sound GGUF file: {why}", file=path.name, why=why),
        t("fetch it again; a download may have been cut short"),
    )


class _Parser:
    """A cursor over the mapped file. Raises ValueError with the reason."""

    def __init__(self, data: mmap.mmap, size: int) -> None:
        self.data, self.size, self.at = data, size, 4

    def header(self) -> Header:
        version = self._number("I")
        if version not in _VERSIONS:
            raise ValueError(t("version {version} is not known (big-endian files are not read)", version=version))
        tensor_count, key_count = self._number("Q"), self._number("Q")
        if max(tensor_count, key_count) > _MAX_ENTRIES:
            raise ValueError(t("it claims {n} entries", n=max(tensor_count, key_count)))
        spans: dict[str, tuple[int, int]] = {}
        scalars: dict[str, str | int | float | bool] = {}
        for _ in range(key_count):
            start = self.at
            key = self._text()
            value = self._value(self._number("I"))
            if value is not None:
                scalars[key] = value
            spans[key] = (start, self.at)
        alignment = scalars.get("general.alignment", 32)
        if not isinstance(alignment, int) or alignment < 1 or alignment > 1 << 20:
            raise ValueError(t("alignment {value} makes no sense", value=alignment))
        table = [self._tensor_line() for _ in range(tensor_count)]
        data_start = -(-self.at // alignment) * alignment
        tensors = tuple(self._tensor(line, data_start) for line in table)
        return Header(version, spans, scalars, tensors, alignment, data_start)

    def _take(self, count: int) -> int:
        start = self.at
        if count < 0 or start + count > self.size:
            raise ValueError(t("it ends within its header"))
        self.at = start + count
        return start

    def _number(self, form: str) -> int:
        return struct.unpack_from("<" + form, self.data, self._take(struct.calcsize("<" + form)))[0]

    def _text(self) -> str:
        length = self._number("Q")
        if length > _MAX_TEXT:
            raise ValueError(t("it claims a text of {n} bytes", n=length))
        start = self._take(length)
        return self.data[start : start + length].decode("utf-8")

    def _value(self, kind: int) -> str | int | float | bool | None:
        if kind == _STRING:
            return self._text()
        if kind == _ARRAY:
            self._skip_array()
            return None
        if kind not in _SCALARS:
            raise ValueError(t("metadata type {kind} is not known", kind=kind))
        return self._number(_SCALARS[kind])

    def _skip_array(self) -> None:
        kind, length = self._number("I"), self._number("Q")
        if kind in _SCALARS:
            self._take(struct.calcsize("<" + _SCALARS[kind]) * length)
        elif kind == _STRING:
            for _ in range(length):  # ends at the end of the file, however large `length` claims to be
                self._take(self._number("Q"))
        else:
            raise ValueError(t("metadata type {kind} is not known", kind=kind))

    def _tensor_line(self) -> tuple[str, tuple[int, ...], int, int]:
        name, dimensions = self._text(), self._number("I")
        if not 0 < dimensions <= _MAX_DIMENSIONS:
            raise ValueError(t("tensor '{name}' has {n} dimensions", name=name[:80], n=dimensions))
        shape = tuple(self._number("Q") for _ in range(dimensions))
        return name, shape, self._number("I"), self._number("Q")

    def _tensor(self, line: tuple[str, tuple[int, ...], int, int], data_start: int) -> Tensor:
        name, shape, kind, offset = line
        if kind in TENSOR_TYPES:
            _, block, width = TENSOR_TYPES[kind]
            if shape[0] % block:
                raise ValueError(t("rows of tensor '{name}' do not fill whole blocks", name=name[:80]))
            size = math.prod(shape) // block * width
        else:
            size = 0  # a newer type: the engine will judge; its beginning must at least lie in the file
        if data_start + offset + size > self.size:
            raise ValueError(t("tensor '{name}' ends beyond the file: it was cut short", name=name[:80]))
        return Tensor(name, shape, kind, data_start + offset, size)
