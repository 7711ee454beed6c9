"""A table of HTML as rows of `|`, each value under its column: cells over several rows stand in each of them.

A table that only lays out a page is none.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from slipway.data.parsing.blocks import Block
from slipway.data.parsing.tables import in_pieces, row_line
from slipway.text.columns import tables

_FLOATING = "p,div,ul,ol,h1,h2,h3,h4,h5,h6,table,pre,section,article"  # in a cell: the table is there for its looks
_LONGEST = 200  # characters of a cell that stands in several rows; a longer one stands in the first
_WIDEST = 50  # columns that one cell may cover, and up to which cells go on in the rows below

Node = Any  # selectolax has no types for its nodes


def table_rows(table: Node, shown: Callable[[Node], str]) -> list[Block]:
    """A table of data; nothing for one that only lays out a page. `shown`: the text of a cell.

    A first row of `th` is a header; where its cells do not look like one, a rule of dashes says so.
    """
    if table.attributes.get("role") in ("presentation", "none") or table.css_first("td table,th table"):
        return []
    rows: list[list[str]] = []
    headed = most = 0
    columns = 0  # of a first row in which each cell is one column, so that the others can be put under it
    open_cells: dict[int, tuple[str, int]] = {}  # by column: text of a cell from above, and in how many rows yet
    for row in table.css("tr"):
        cells = list(row.css("td,th"))
        most = max(most, len(cells))
        texts = _in_columns(cells, open_cells, columns, shown)
        if any(map(str.strip, texts)):
            if not rows:
                headed = len(cells) * all(cell.tag == "th" for cell in cells)
                columns = len(cells) if all(_number(cell, "colspan") == 1 for cell in cells) else 0
            rows.append(texts)
    if most < 2 or not rows or any(len(cell.css(_FLOATING)) > 3 for cell in table.css("td")):
        return []
    lines = [row_line(row) for row in rows]
    if tables("\n".join(lines)):
        return in_pieces(lines[:1], lines[1:])
    if headed > 1 and len(lines) > 1:
        return in_pieces([lines[0], f"|{' --- |' * headed}"], lines[1:])
    return [Block("table", "\n".join(lines))]


def _in_columns(
    cells: list[Node], open_cells: dict[int, tuple[str, int]], columns: int, shown: Callable[[Node], str]
) -> list[str]:
    """The texts of a row; where the columns are known, a cell over several is followed by empty ones."""
    texts: list[str] = []
    at = 0

    def from_above() -> None:
        nonlocal at
        while at in open_cells:
            text, left = open_cells.pop(at)
            if left > 1:
                open_cells[at] = (text, left - 1)
            texts.append(text)
            at += 1

    pads = 0
    for cell in cells:
        from_above()
        text, down = shown(cell), _number(cell, "rowspan")
        across = min(_number(cell, "colspan"), max(1, columns - at)) if columns else 1
        pads = across - 1
        texts += [text, *[""] * pads]
        if down > 1 and at < _WIDEST:  # columns that are done with in this row: they count from the next one on
            below = text if len(text) <= _LONGEST else ""
            open_cells.update({at + n: ("" if n else below, down - 1) for n in range(across)})
        at += across
    whole = len(texts)
    from_above()
    return texts if len(texts) > whole else texts[: whole - pads]


def _number(cell: Node, name: str) -> int:
    """How many columns or rows a cell covers; 0 rows are all that follow."""
    value = re.match(r"\s*(\d{1,5})", str(cell.attributes.get(name) or ""))
    number = int(value[1]) if value else 1
    return min(number, _WIDEST) or 1 if name == "colspan" else number or 65_534
