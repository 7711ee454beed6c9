"""Tables of office files as rows of `|`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from slipway.data.parsing.blocks import Block

_ROWS = 20  # of a long table in one block: each begins with the header again


def row_line(cells: Sequence[str]) -> str:
    """One row; white space in a cell is one space."""
    shown = [re.sub(r"\s+", " ", cell).strip().replace("|", "\\|") for cell in cells]
    return f"| {' | '.join(shown)} |"


def table_blocks(rows: Sequence[Sequence[str]]) -> list[Block]:
    """A table whose first row is its header; a long one as several, each with the header."""
    lines = [row_line(row) for row in rows if any(cell.strip() for cell in row)]
    if not lines:
        return []
    header, body = lines[0], lines[1:]
    pieces = [body[n : n + _ROWS] for n in range(0, len(body), _ROWS)] or [[]]
    return [Block("table", "\n".join([header, *piece])) for piece in pieces]
