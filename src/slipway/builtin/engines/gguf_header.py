"""What a GGUF file says of itself, read without loading it. Owns the format's layout; does not know llama.cpp.

llama.cpp answers every file that it cannot load with the same words; this tells a missing file from a truncated one
and a model from an adapter. Format: github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from slipway.errors import EngineError
from slipway.i18n import t

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_CONTROL = 3  # tokenizer.ggml.token_type
# ggml type -> (values in a block, bytes of a block); a type not listed here is not checked for length
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292),
    24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 30: (1, 2),
}  # fmt: skip


@dataclass(frozen=True)
class GgufHeader:
    """`meta`: every key but the long arrays; `control`: texts of the control tokens; sizes in bytes."""

    path: Path
    meta: dict[str, Any]
    control: tuple[str, ...]
    size: int

    @property
    def architecture(self) -> str:
        """`llama`, `qwen2`, ...: the prefix of the model's own keys."""
        return str(self.meta.get("general.architecture", ""))

    @property
    def is_adapter(self) -> bool:
        """Whether it is a LoRA adapter and no model."""
        return self.meta.get("general.type") == "adapter"

    @property
    def context(self) -> int:
        """Tokens the model was trained for; 0 when the file does not say."""
        return self._number("context_length")

    def cache_bytes(self, tokens: int) -> int:
        """Memory that keys and values of `tokens` take as 16-bit floats (an upper bound with sliding windows)."""
        heads = self._number("attention.head_count")
        width = self._number("embedding_length") // max(heads, 1)
        key = self._number("attention.key_length") or width
        value = self._number("attention.value_length") or width
        shared = self._number("attention.head_count_kv") or heads
        return tokens * self._number("block_count") * shared * (key + value) * 2

    def _number(self, key: str) -> int:
        value = self.meta.get(f"{self.architecture}.{key}", 0)
        if isinstance(value, list):  # one number for each layer
            value = max(value, default=0)  # pyright: ignore[reportUnknownVariableType]
        return int(value)  # pyright: ignore[reportArgumentType]


def read_header(path: Path) -> GgufHeader:
    """Read it, and check that the file holds every tensor it lists. Raises EngineError that says what is wrong."""
    if not path.is_file():
        raise EngineError(t("the model file {path} does not exist", path=path), _pull(), status=503)
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(4)
        if start != b"GGUF":
            said = t("{path} is not a GGUF file (it begins with {start})", path=path, start=repr(start))
            raise EngineError(said, _pull(), status=503)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                meta, control, needed = _Reader(data).read()
            except (struct.error, IndexError, UnicodeDecodeError, KeyError, OverflowError) as error:
                raise EngineError(
                    t("{path} is damaged: its header cannot be read to the end", path=path), _pull(), status=503
                ) from error
    if size < needed:
        raise EngineError(
            t("{path} is truncated: it has {size} bytes of {needed}", path=path, size=size, needed=needed),
            _pull(),
            status=503,
        )
    return GgufHeader(path, meta, control, size)


def _pull() -> str:
    return t("fetch it again with `slipway models pull`")


class _Reader:
    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        self.at = 4

    def read(self) -> tuple[dict[str, Any], tuple[str, ...], int]:
        """(keys, control tokens, bytes the file must have)."""
        version = self.number("I")
        if version not in (2, 3):
            raise KeyError(version)
        tensors, keys = self.number("Q"), self.number("Q")
        meta = dict(self.pair() for _ in range(keys))
        tokens, kinds = meta.pop("tokenizer.ggml.tokens", []), meta.pop("tokenizer.ggml.token_type", [])
        control = tuple(token for token, kind in zip(tokens, kinds, strict=False) if kind == _CONTROL and token)
        ends = [self.tensor() for _ in range(tensors)]
        alignment = int(meta.get("general.alignment", 32))
        begin = (self.at + alignment - 1) // alignment * alignment
        small = {key: value for key, value in meta.items() if not isinstance(value, list) or len(value) < 1000}
        return small, control, begin + max(ends, default=0)

    def number(self, code: str) -> Any:
        """The next little-endian number."""
        (value,) = struct.unpack_from("<" + code, self.data, self.at)
        self.at += struct.calcsize("<" + code)
        return value

    def text(self) -> str:
        """The next string; bytes that are no UTF-8 (rare tokens) become replacement characters."""
        length = self.number("Q")
        if length > len(self.data) - self.at:
            raise IndexError(length)
        self.at += length
        return self.data[self.at - length : self.at].decode("utf-8", "replace")

    def pair(self) -> tuple[str, Any]:
        """The next key and value."""
        return self.text(), self.value(self.number("I"))

    def value(self, kind: int) -> Any:
        """The next value of a GGUF type."""
        if kind == _STRING:
            return self.text()
        if kind != _ARRAY:
            return self.number(_SCALARS[kind])
        inner, length = self.number("I"), self.number("Q")
        if length > len(self.data) - self.at:
            raise IndexError(length)
        if inner in _SCALARS:
            values = list(struct.unpack_from(f"<{length}{_SCALARS[inner]}", self.data, self.at))
            self.at += struct.calcsize(f"<{length}{_SCALARS[inner]}")
            return values
        return [self.value(inner) for _ in range(length)]

    def tensor(self) -> int:
        """Where the next tensor ends, in bytes after the beginning of the data."""
        self.text()
        shape = [self.number("Q") for _ in range(self.number("I"))]
        kind, offset = self.number("I"), self.number("Q")
        values, size = _BLOCKS.get(kind, (1, 0))
        return offset + prod(shape) // values * size
