"""Tables written as lines of `|`, and records written as lines of `name: value`. Pure; knows no question.

A row says little without the names of its columns, and a value little without the rest of its record.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from slipway.text.words import weigh

_ROW = re.compile(r"[ \t]*\|.*\|[ \t]*")
_RULE = re.compile(r"[ \t]*\|(?:[ \t]*:?-+:?[ \t]*\|)+[ \t]*")
_CELLS = re.compile(r"(?<!\\)\|")
_DIGIT = re.compile(r"\d")
_FIELD = re.compile(r"(?![-*+•>|#`~]|\d+[.)])[^\s:：][^:：\n]{0,39}[:：](?!//)[ \t]*\S.*")
_MOST_COLUMNS = 20
_NAME = 40  # weighted characters of the name of a field, at most


class Table(NamedTuple):
    """`text[start:end]` holds the table; the row that names its columns ends at `head`."""

    start: int
    head: int
    end: int
    columns: tuple[str, ...]


def tables(text: str) -> list[Table]:
    """The tables of a text whose first row names the columns: a rule of dashes below it says so, or its cells do."""
    found: list[Table] = []
    for whole, lines in groupby(_lines(text), key=lambda line: _ROW.fullmatch(line[1]) is not None):
        rows = list(lines) if whole else []
        if len(rows) < 2:
            continue
        ruled = _RULE.fullmatch(rows[1][1]) is not None
        body = [cells(row) for _, row in rows[1 + ruled :]]
        columns = cells(rows[0][1])
        if body and 2 <= len(columns) <= _MOST_COLUMNS and (ruled or _names(columns, body)):
            start, last = rows[0][0], rows[-1]
            found.append(Table(start, start + len(rows[0][1]), last[0] + len(last[1]), columns))
    return found


def cells(row: str) -> tuple[str, ...]:
    """The cells of one row, trimmed; one that holds a bar has a backslash before it."""
    inner = row.strip().removeprefix("|")
    inner = inner[:-1] if inner.endswith("|") and not inner.endswith("\\|") else inner
    return tuple(cell.strip() for cell in _CELLS.split(inner))


def paired(columns: Sequence[str], row: str) -> str:
    """A row with the name of its column before each value; as it is where the two do not fit."""
    values = cells(row)
    if len(values) > len(columns):
        return row
    named = zip(columns, values, strict=False)
    return " | ".join(f"{name}: {value}" if name else value for name, value in named if value)


def is_record(text: str, longest: float) -> bool:
    """Whether a text is nothing but two lines or more of `name: value`, as a row of a CSV file is written out."""
    lines = text.split("\n")
    return (
        len(lines) > 1
        and weigh(text) <= longest
        and all(_FIELD.fullmatch(line) is not None for line in lines)
        and all(weigh(re.split("[:：]", line, maxsplit=1)[0]) <= _NAME for line in lines)
    )


def _lines(text: str) -> Iterator[tuple[int, str]]:
    at = 0
    for line in text.split("\n"):
        yield at, line
        at += len(line) + 1


def _names(columns: Sequence[str], body: Sequence[Sequence[str]]) -> bool:
    """Whether a first row without a rule names columns: it has no number; of two columns, the second has numbers."""
    if any(map(_DIGIT.search, columns)) or not all(columns[1:]):
        return False
    seconds = [bool(_DIGIT.search(row[1])) for row in body if len(row) > 1]
    return len(columns) > 2 or 2 * sum(seconds) > len(body)
