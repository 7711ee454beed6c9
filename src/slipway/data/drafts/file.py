"""The file of drafts: one JSON object a line, rewritten whole. It is no file of examples, and holds every decision."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from slipway.core.ref import canonical
from slipway.data.drafts.draft import Draft
from slipway.errors import ConfigError
from slipway.files import UNDECODABLE, aside, open_regular, read
from slipway.files import why as why_of
from slipway.i18n import t

MOST = 200_000_000  # bytes


def load(path: Path) -> list[Draft]:
    """The drafts in their order; none when there is no file. Raises ConfigError with the line that is no draft."""
    try:
        lines = read(open_regular(path), MOST).split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(t("{path} cannot be read: {why}", path=path, why=why_of(error))) from error
    drafts: list[Draft] = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                drafts.append(msgspec.json.decode(line, type=Draft))
            except UNDECODABLE as error:
                raise ConfigError(
                    t("{path}:{line} is no draft: {why}", path=path, line=number, why=error),
                    t("mend the line or restore the file; nothing was written, so that no decision is lost"),
                ) from error
    return drafts


def save(path: Path, drafts: Sequence[Draft]) -> None:
    """Put the file in its place, whole and on disk."""
    write_whole(path, b"".join(canonical(draft) + b"\n" for draft in drafts))


def write_whole(path: Path, data: bytes) -> None:
    """Put a file in its place, whole and on disk. Raises ConfigError for people."""
    try:
        with aside(path, durable=True) as new:
            new.write_bytes(data)
    except OSError as error:
        raise ConfigError(
            t("{path} cannot be written: {why}", path=path, why=why_of(error)), t("name a file in a folder you own")
        ) from error
