"""A file of another tool becomes a file of examples; rows that cannot be read are told with their reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from slipway.core.ref import canonical
from slipway.data.imports.formats import READERS, Reader, guess
from slipway.data.imports.item import OTHERS, Item, Unread, text_of
from slipway.data.imports.opening import Rows, rows
from slipway.data.imports.training_files import KIND
from slipway.errors import ConfigError, instead
from slipway.files import why as why_of
from slipway.i18n import Said, t
from slipway.store.new_file import new_file

AUTO = "auto"
FORMATS = (AUTO, *READERS)
_TOLD = 1000  # rows that are named one by one; the rest is counted


class Skipped(msgspec.Struct, frozen=True, kw_only=True):
    """A row that was not imported, as the file counts rows, and why."""

    row: str
    why: Said


class Import(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a file: the format it was read as, how many examples were written where, and what was not.

    `skipped` names at most 1,000 rows; `reasons` counts all of them.
    """

    format: str
    file: str
    imported: int
    skipped: list[Skipped]
    reasons: dict[str, int]


def import_file(path: Path, format: str, names: Mapping[str, str], fields: tuple[str, str], out: Path) -> Import:
    """Write the examples of a file into a new one, `out`, one JSON object a line; none is written when none was read.

    `names` maps `question`, `answer`, `source`, `language`, `group` to what the file calls them; `fields` are the
    project's names of a question and an answer, which may be mapped, too. Raises ConfigError for an unknown format, a
    file that is none, or `out` when it is there already.
    """
    names = {{fields[0]: "question", fields[1]: "answer"}.get(name, name): column for name, column in names.items()}
    _check(format, names, out)
    kind, found = rows(path)
    format, found = _guessed(path, kind, found) if format == AUTO else (format, found)
    read = READERS[format]
    skipped: list[Skipped] = []
    reasons: Counter[str] = Counter()
    count = 0
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with new_file(out) as file:
            for place, row in found:
                one = _read(read, row, names)
                if not isinstance(one, Unread) and not isinstance(row, Unread):
                    file.write(canonical(_example(one, row, names, fields)) + b"\n")
                    count += 1
                elif isinstance(one, Unread):
                    reasons[str(one.why)] += 1
                    if len(skipped) < _TOLD:
                        skipped.append(Skipped(row=place, why=one.why))
            if not count:
                raise _Nothing
    except _Nothing:
        pass
    except OSError as error:
        raise ConfigError(t("{path} cannot be written: {why}", path=out, why=why_of(error))) from error
    return Import(format=format, file=str(out), imported=count, skipped=skipped, reasons=dict(reasons.most_common()))


class _Nothing(Exception):
    """No row could be read: the new file must not be left."""


def _check(format: str, names: Mapping[str, str], out: Path) -> None:
    if format not in FORMATS:
        raise ConfigError(t("no format is called '{name}'", name=format), instead(format, FORMATS))
    known = ("question", "answer", *OTHERS)
    for name in names:
        if name not in known:
            raise ConfigError(t("--map: examples have no field '{name}'", name=name), instead(name, known))
    if out.suffix != ".jsonl":
        raise ConfigError(t("{path} must end in .jsonl", path=out), t("examples are written one JSON object a line"))


def _guessed(path: Path, kind: str, found: Rows) -> tuple[str, Rows]:
    """The format by the first row that says one."""
    held: list[tuple[str, dict[str, Any] | Unread]] = []
    first, format = None, ""
    for place, row in found:
        held.append((place, row))
        if not isinstance(row, Unread):
            first, format = first or row, guess(row)
        if format or len(held) >= _TOLD:
            break
    if format in KIND and format not in READERS:
        raise ConfigError(
            t("{path} holds {format} data, which no candidate can be measured with", path=path, format=format),
            t("to train on it: `slipway feedback import {format} FILE`", format=format),
        )
    format = format or ("promptfoo" if kind == "yaml" else "parquet" if kind == "parquet" else "")
    if not format:
        keys = ", ".join(list(first)[:20]) if first else "-"
        raise ConfigError(
            t("{path}: which format it is cannot be told from its keys: {keys}", path=path, keys=keys),
            t("name one of {names}; `parquet` takes any table with --map question=COLUMN --map answer=COLUMN",
              names=", ".join(READERS)),
        )  # fmt: skip
    return format, chain(held, found)


def _read(read: Reader, row: dict[str, Any] | Unread, names: Mapping[str, str]) -> Item | Unread:
    if isinstance(row, Unread):
        return row
    try:
        return read(row, names)
    except Unread as error:
        return error


def _example(one: Item, row: Mapping[str, Any], names: Mapping[str, str], fields: tuple[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {
        fields[0]: one.question,
        fields[1]: one.answers[0] if len(one.answers) == 1 else one.answers,
    }
    inner = row.get("vars")
    for name in OTHERS:
        column = names.get(name, "")
        value = row.get(column) if column in row else inner.get(column) if isinstance(inner, dict) else None
        if text := text_of(value):
            values[name] = text
    return {**{name: value for name, value in one.meta.items() if name not in values}, **values}
