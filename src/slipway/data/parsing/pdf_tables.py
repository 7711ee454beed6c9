"""Tables of a PDF, told by where their cells stand: lines one below the other whose cells share columns.

Only what is clear is taken for a table; all else stays lines. Lines of one cell that stand closer than rows do are one
row. Knows nothing of pages but that a table ends with its page.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from functools import reduce
from statistics import median

import msgspec

from slipway.data.parsing.lines import joined
from slipway.data.parsing.pdf_lines import Cell, Line
from slipway.text.words import weigh

_TALLEST, _CLOSE = 4.0, 0.8  # a row in sizes of its type; lines of one row in parts of the usual distance
_LONGEST = 35  # weighted characters of the median cell: columns of text have more
_DEEPEST, _WIDEST = 12, 60  # lines of a cell, columns of a table
_TRIED = 50  # rows
_FILLED = 0.6  # of the cells of a table, at least
_BULLET = re.compile(r"[•▪‣◦●○■□➢✓–*-]$")
_ITEM = re.compile(r"(?:\(?\w{1,4}[.)、．]|\[\d+\])$")


class Table(msgspec.Struct):
    """Rows of texts, one for every column."""

    rows: list[list[str]]
    page: int


class _Row(msgspec.Struct):
    """Cells beside each other, of one line or several, the lines of text that hold them, and their base lines."""

    cells: list[Cell]
    lines: list[Line]
    y: float
    low: float
    stacked: bool = False  # holds cells of several lines, of which the last may go on


def with_tables(lines: list[Line]) -> Iterator[Line | Table]:
    """The lines in order, those of a table as a table."""
    rows = list(_rows(lines))
    at = 0
    while at < len(rows):
        end, columns = _run(rows, at)
        if end > at and _is_table(rows[at:end], columns):
            yield Table(_texts(rows[at:end], columns), rows[at].lines[0].page)
            at = end
            continue
        # Within what looks like a table and is none, one may begin lower; of many rows that is not tried for each.
        for row in rows[at : end if end - at > _TRIED else at + 1]:
            yield from row.lines
        at = end if end - at > _TRIED else at + 1


def _rows(lines: list[Line]) -> Iterator[_Row]:
    """Lines as rows. A page writes a row line by line, or cell by cell: then the next cell begins at the height of an
    earlier line, to the right of all since.
    """
    rows: list[_Row] = []
    for line in lines:
        at = _beside(rows, line)
        if at is not None:
            held = rows[at:]
            cells = held[0].cells if len(held) == 1 else [_stack([one.cells[0] for one in held])]
            lines_held = [*(one for row in held for one in row.lines), line]
            stacked = held[0].stacked or len(held) > 1
            rows[at:] = [_Row(cells + line.cells, lines_held, line.y, min(line.y, held[-1].low), stacked)]
        elif rows and _goes_on(rows[-1], line):
            last = rows[-1]
            last.cells[-1] = _stack([last.cells[-1], line.cells[0]])
            last.lines.append(line)
            last.low = line.y
        else:
            rows.append(_Row(list(line.cells), [line], line.y, line.y))
    yield from rows


def _beside(rows: list[_Row], line: Line) -> int | None:
    """The row that began at the height of this line, which stands to the right of what came since."""
    for at in range(len(rows) - 1, max(-1, len(rows) - 1 - _DEEPEST), -1):
        row = rows[at]
        if not (
            line.cells and row.cells and row.lines[0].page == line.page and row.cells[-1].right < line.cells[0].left
        ):
            return None
        if abs(row.y - line.y) < 0.3 * line.size:
            return at
        if len(row.cells) > 1 or line.y < row.y:
            return None
    return None


def _goes_on(row: _Row, line: Line) -> bool:
    """Whether a line is the next one of the last cell of a row that is written cell by cell."""
    if not row.stacked or len(line.cells) != 1 or row.lines[-1].page != line.page:
        return False
    last, cell = row.cells[-1], line.cells[0]
    return 0 < row.lines[-1].y - line.y < 1.5 * line.size and cell.left < last.right and last.left < cell.right


def _stack(cells: list[Cell]) -> Cell:
    return Cell(
        min(cell.left for cell in cells), max(cell.right for cell in cells), _together(cell.text for cell in cells)
    )


def _run(rows: list[_Row], at: int) -> tuple[int, list[tuple[float, float]]]:
    """Where the rows end that share columns with the one at `at`, and those columns; `at` itself for none."""
    first = rows[at]
    if len(first.cells) < 2:
        return at, []
    columns = [(cell.left, cell.right) for cell in first.cells]
    end, kept = at + 1, (at + 1, columns)
    while end < len(rows):
        above, row = rows[end - 1].lines[0], rows[end].lines[0]
        fall = rows[end - 1].low - rows[end].y
        if row.page != above.page or not row.cells or not 0 < fall < _TALLEST * row.size:
            break
        fitted = _fitted(columns, rows[end].cells) if abs(row.size - above.size) < 0.15 * above.size else None
        if fitted is None:
            break
        columns, end = fitted, end + 1
        if len(rows[end - 1].cells) > 1:
            kept = (end, columns)
    return kept


def _fitted(columns: list[tuple[float, float]], cells: list[Cell]) -> list[tuple[float, float]] | None:
    """The columns with room for these cells, each in one of its own; None where they do not fit."""
    wider = list(columns)
    hits = [[n for n, (left, right) in enumerate(columns) if c.left < right and left < c.right] for c in cells]
    taken = {n for hit in hits for n in hit}
    if any(len(hit) > 1 for hit in hits) or len(taken) < sum(map(len, hits)):
        return None
    for cell, hit in zip(cells, hits, strict=True):
        own = hit[0] if hit else _free(wider, cell, taken)
        if own is None and len(cells) == 1:
            return None
        if own is None:
            wider.append((cell.left, cell.right))
            continue
        taken.add(own)
        wider[own] = (min(wider[own][0], cell.left), max(wider[own][1], cell.right))
    order = sorted(wider)
    clash = len(order) > _WIDEST or any(a[1] > b[0] for a, b in zip(order, order[1:], strict=False))
    return None if clash else wider


def _free(columns: list[tuple[float, float]], cell: Cell, taken: set[int]) -> int | None:
    """The column beside a cell that no other of its row is in: a short head stands in the middle of a wide column."""
    gaps = {n: max(left - cell.right, cell.left - right) for n, (left, right) in enumerate(columns)}
    nearest = sorted(gaps, key=gaps.__getitem__)[:2]
    return next((n for n in nearest if n not in taken), None)


def _is_table(rows: list[_Row], columns: list[tuple[float, float]]) -> bool:
    full = [row for row in rows if len(row.cells) > 1]
    if len(full) < (3 if len(columns) == 2 else 2):
        return False
    cells = [cell for row in full for cell in row.cells]
    first = [row.cells[0].text for row in full]
    if sum(bool(_BULLET.match(text)) for text in first) > len(full) / 2:
        return False
    if len(columns) == 2 and (sum(bool(_ITEM.match(text)) for text in first) > len(full) / 2 or _counts(first)):
        return False
    filled = len(cells) / (len(full) * len(columns))
    return filled >= _FILLED and median(weigh(cell.text) for cell in cells) <= _LONGEST


def _counts(first: list[str]) -> bool:
    """Whether numbers go up by one, as those of the lines of a listing do."""
    steps = [b.isdecimal() and a.isdecimal() and int(b) == int(a) + 1 for a, b in itertools.pairwise(first)]
    return sum(steps) > len(steps) / 2


def _texts(rows: list[_Row], columns: list[tuple[float, float]]) -> list[list[str]]:
    """The texts of the cells, row by row; lines that stand closer than rows do are one."""
    order = sorted(columns)
    falls = [a.y - b.y for a, b in zip(rows, rows[1:], strict=False) if len(a.cells) > 1 and len(b.cells) > 1]
    close = _CLOSE * median(falls) if falls else 0.0
    table: list[list[str]] = []
    for n, row in enumerate(rows):
        said = [""] * len(order)
        for cell in row.cells:
            column = max(range(len(order)), key=lambda n: min(order[n][1], cell.right) - max(order[n][0], cell.left))  # noqa: B023
            said[column] = cell.text
        if n and rows[n - 1].y - row.y < close and (len(row.cells) == 1 or len(rows[n - 1].cells) == 1):
            table[-1] = [_together(filter(None, pair)) for pair in zip(table[-1], said, strict=True)]
        else:
            table.append(said)
    return table


def _together(texts: Iterable[str]) -> str:
    """The lines of a cell as one."""
    return reduce(joined, texts, "").strip()
