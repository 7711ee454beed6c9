"""The ZIP container of office files and books, judged before it is opened."""

from __future__ import annotations

import io
import zipfile
import zlib

from slipway.data.reasons import Refused

_BOMB_RATIO = 100  # XML shrinks to a tenth; a hundredth is an attack

ODD = (  # what readers raise for parts that are there and make no sense
    LookupError, ValueError, TypeError, AttributeError, OSError, RuntimeError, EOFError, ArithmeticError,
    AssertionError, NotImplementedError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def check_container(data: bytes, max_unpacked: int) -> None:
    """Raises Refused: `zip-bomb`, `too-large`, `encrypted`, `corrupt`."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, ValueError, EOFError, OSError, NotImplementedError) as error:
        raise Refused("corrupt", "not a readable ZIP container") from error
    if any(part.flag_bits & 1 for part in parts):
        raise Refused("encrypted")
    unpacked = sum(part.file_size for part in parts)
    packed = max(1, sum(part.compress_size for part in parts))
    if len(parts) > 20_000 or (unpacked > 10_000_000 and unpacked / packed > _BOMB_RATIO):
        raise Refused("zip-bomb", f"{packed:,} bytes unpack to {unpacked:,}")
    if unpacked > max_unpacked:
        raise Refused("too-large", f"unpacks to {unpacked:,} bytes, the limit is {max_unpacked:,}")
