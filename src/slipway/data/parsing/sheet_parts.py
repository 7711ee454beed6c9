"""What the XML of a sheet says that its cells do not: which are merged, and which formulas have no value."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import msgspec

_MERGED = re.compile(rb'<(?:\w{1,20}:)?mergeCell\s[^<>]{0,200}?ref="([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})"')
_FORMULA = re.compile(
    rb"<c\b([^<>]{0,200})>\s{0,9}<f\b(?:[^<>]*/>|[^<>]*>[^<>]*</f>)\s{0,9}(?:<v>\s{0,9}</v>|<v\s{0,9}/>)?\s{0,9}</c>"
)


class Merged(msgspec.Struct):
    """Cells merged over several rows, of which only the uppermost holds the value; asked row by row, downwards."""

    starts: dict[int, list[tuple[int, int]]]  # row -> (column from 0, last row)
    open: dict[int, tuple[int, str]] = {}  # column -> (last row, value)

    def filled(self, row: int, cells: list[str]) -> list[str]:
        """The cells of a row that is not blank, with the values that reach into it from above."""
        self.open = {column: (last, text) for column, (last, text) in self.open.items() if last >= row}
        for column, (_, text) in self.open.items():
            cells += [""] * (column + 1 - len(cells))
            cells[column] = cells[column] or text
        return cells

    def seen(self, row: int, cells: list[str]) -> None:
        """Remember what begins in this row."""
        for column, last in self.starts.get(row, ()):
            self.open[column] = (last, cells[column] if column < len(cells) else "")


def merged_cells(xml: bytes, most_columns: int) -> Merged:
    """The cells that are merged over rows."""
    from openpyxl.utils import column_index_from_string

    starts: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for left, top, _, bottom in (found.groups() for found in _MERGED.finditer(xml)):
        column = column_index_from_string(left.decode()) - 1
        if int(bottom) > int(top) and column < most_columns:
            starts[int(top)].append((column, int(bottom)))
    return Merged(dict(starts))


def formulas_without_value(xml: bytes) -> int:
    """Formulas whose result is not stored. A stored text may be empty: that is a result."""
    return sum(b't="str"' not in found[1] for found in _FORMULA.finditer(xml))


def xml_of(book: Any, sheet: Any) -> bytes:
    """The part that holds a sheet of a workbook that was opened to be read."""
    with book._archive.open(sheet._worksheet_path) as part:
        return part.read()


def title_rows(rows: Iterable[list[str]]) -> tuple[list[str], list[list[str]]]:
    """(what stands alone in the first column above a table, the table), where the table has more than one column."""
    table = list(rows)
    titles: list[str] = []
    if any(sum(map(bool, row)) > 1 for row in table):
        while sum(map(bool, table[0])) == 1 and table[0][0]:
            titles.append(table.pop(0)[0])
    return titles, table
