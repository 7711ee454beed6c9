"""Files of rows that the project trains on, in its folder `feedback/`. Knows nothing of what a row holds."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Any

import msgspec

from slipway.errors import ConfigError
from slipway.files import UNDECODABLE
from slipway.files import why as why_of
from slipway.i18n import t

FOLDER = "feedback"
Row = dict[str, Any]


def read_rows(path: Path) -> list[Row]:
    """The rows of a file of ours, also where an editor put a byte order mark in front.

    Raises ConfigError, with the line, for one that is no JSON object.
    """
    found: list[Row] = []
    try:
        lines = path.read_bytes().removeprefix(codecs.BOM_UTF8).splitlines()
    except OSError as error:
        raise ConfigError(t("{path} cannot be read: {why}", path=path, why=why_of(error))) from error
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                found.append(msgspec.json.decode(line, type=dict[str, Any]))
            except UNDECODABLE as error:
                raise ConfigError(
                    t("{path}, line {line}: {why}", path=path, line=number, why=str(error)[:200]),
                    t("mend the line, or delete it; nothing was written"),
                ) from error
    return found
