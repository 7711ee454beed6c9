"""A file that is to become documents."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Found(msgspec.Struct, frozen=True):
    """A file to read. `source` is its identity: its path relative to the base, or the address it was fetched from.

    `path` has no links in it. `language` as given, or empty. `sha256`: what the file must hold, or empty for anything.
    `ocr`: the languages in which pictures of text are read, as tesseract names them; empty: they are not.
    """

    source: str
    path: Path
    media_type: str
    language: str = ""
    sha256: str = ""
    ocr: str = ""
