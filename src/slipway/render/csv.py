"""The rows of a document as CSV (RFC 4180, UTF-8): whole texts and bare numbers, for a spreadsheet or a program."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from slipway.i18n import t
from slipway.render.cells import Estimate, plain
from slipway.render.document import Table

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write(table: Table) -> str:
    """A header, then a line for each row; an estimate takes three columns: value, low, high.

    A text that a spreadsheet would run as a formula gets an apostrophe in front.
    """
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\r\n")
    wide = [any(isinstance(row[n], Estimate) for row in table.rows) for n in range(len(table.columns))]
    lines.writerow([title for n, column in enumerate(table.columns) for title in _titles(column.title, wide[n])])
    for row in table.rows:
        lines.writerow([value for n, cell in enumerate(row) for value in _values(cell, wide[n])])
    return out.getvalue()


def harmless(value: str | int | float) -> str | int | float:
    """A cell that no spreadsheet runs."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _titles(title: str, wide: bool) -> list[str]:
    return [title, t("{name}, low", name=title), t("{name}, high", name=title)] if wide else [title]


def _values(cell: object, wide: bool) -> Iterator[str | int | float]:
    found = plain(cell)
    for value in found:
        yield harmless(value)
    if wide:
        yield from [""] * (3 - len(found))
