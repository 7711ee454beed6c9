"""What an engine makes of a model's files once, kept in the user's cache folder. Knows no engine.

Beside each file lies the sha256 of its bytes; one that does not match, or cannot be read, counts as absent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from slipway.files import replace_file, sha256_of


def content_key(recipe: str, files: Iterable[tuple[str, Path]]) -> str:
    """A name for what `recipe` makes of files, each with what it is called in the key: 32 hexadecimal characters."""
    digest = hashlib.sha256(recipe.encode())
    for name, path in files:
        with path.open("rb") as file:
            digest.update(name.encode() + bytes.fromhex(sha256_of(file)))
    return digest.hexdigest()[:32]


def kept(path: Path) -> bytes:
    """What was kept, checked; empty where there is nothing to trust."""
    try:
        content = path.read_bytes()
        return content if hashlib.sha256(content).hexdigest() == _digest_file(path).read_text("ascii") else b""
    except (OSError, ValueError):
        return b""


def keep(path: Path, content: bytes) -> None:
    """Keep it; where the cache cannot be written it is made again next time."""
    try:
        replace_file(path, content)
        replace_file(_digest_file(path), hashlib.sha256(content).hexdigest().encode())
    except OSError:
        return


def _digest_file(path: Path) -> Path:
    return path.with_suffix(".sha256")
