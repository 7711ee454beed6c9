"""Writes a GGUF file anew from another one: metadata copied byte for byte, but for what changes. Knows no model.

The file appears whole or not at all. Tensors are made one after the other, so memory does not grow with the model.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from slipway.errors import ConfigError, IntegrityError, SlipwayError
from slipway.files import aside
from slipway.gguf import MAGIC, TENSOR_TYPES, Header, Tensor, Unsound, read_header
from slipway.gguf_blocks import row_bytes
from slipway.i18n import t

_ELEMENTS_AT_ONCE = 1 << 21  # 8 MB of float32


@dataclass(frozen=True)
class Written:
    """One tensor of the new file. `content`: its bytes in pieces, made when it is written."""

    name: str
    shape: tuple[int, ...]  # innermost dimension first
    kind: int
    content: Callable[[], Iterator[bytes]]

    @property
    def size(self) -> int:
        """Bytes."""
        _, block, width = TENSOR_TYPES[self.kind]
        return math.prod(self.shape) // block * width


def read_model(path: Path) -> Header:
    """The header of a model that is one file. Raises IntegrityError for a damaged one, ConfigError for a part."""
    with path.open("rb") as file:
        try:
            header = read_header(file)
        except Unsound as error:
            raise IntegrityError(
                t("{file} is not a sound GGUF file: {why}", file=path.name, why=error), t("fetch it again")
            ) from error
    if header.scalars.get("split.count", 1) not in (0, 1):
        raise ConfigError(t("{file} is one part of several", file=path.name), t("merge the parts first"))
    return header


def pieces(path: Path, tensor: Tensor) -> Iterator[bytes]:
    """A tensor's bytes, whole rows at a time."""
    row = row_bytes(tensor.shape[0], tensor.kind)
    rows = max(1, _ELEMENTS_AT_ONCE // max(1, tensor.shape[0]))
    left = tensor.size
    with path.open("rb") as file:
        file.seek(tensor.start)
        while left:
            raw = file.read(min(left, rows * row))
            if not raw:
                raise SlipwayError(t("{file} became shorter while it was read", file=path.name))
            left -= len(raw)
            yield raw


def rewrite(src: Path, dst: Path, header: Header, changed: Mapping[str, int], tensors: Sequence[Written]) -> None:
    """Write `tensors` to `dst` with the metadata of `src`. `changed`: keys that become other whole numbers (uint32)."""
    with aside(dst, durable=True) as new, new.open("wb") as out:
        _write_header(src, out, header, changed, tensors)
        for tensor in tensors:
            for raw in tensor.content():
                out.write(raw)
            _pad(out, header.alignment)


def _write_header(
    src: Path, out: IO[bytes], header: Header, changed: Mapping[str, int], tensors: Sequence[Written]
) -> None:
    kept = [span for key, span in header.spans.items() if key not in changed]
    out.write(MAGIC + struct.pack("<IQQ", 3, len(tensors), len(kept) + len(changed)))
    with src.open("rb") as file:
        for start, end in kept:
            file.seek(start)
            out.write(file.read(end - start))
    for key, value in changed.items():
        out.write(_text(key) + struct.pack("<II", 4, value))  # 4: uint32
    offset = 0
    for tensor in tensors:
        shape = tensor.shape
        out.write(_text(tensor.name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, tensor.kind, offset))
        offset = _aligned(offset + tensor.size, header.alignment)
    _pad(out, header.alignment)


def _text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def _aligned(at: int, alignment: int) -> int:
    return -(-at // alignment) * alignment


def _pad(out: IO[bytes], alignment: int) -> None:
    out.write(b"\0" * (_aligned(out.tell(), alignment) - out.tell()))
