"""Tables as rows of `|`: a long one in pieces, each with its header, so that no row is without it in its passage."""

from __future__ import annotations

import re
from collections.abc import Sequence

from slipway.data.parsing.blocks import Block
from slipway.text.words import weigh

_ROWS = 20  # of a long table in one block: each begins with the header again
_PIECE = 600  # weighted characters of such a block, about: less than a chunk
_HEADER = 200  # of a header, at most, that is repeated every so many characters and not only every so many rows


def row_line(cells: Sequence[str]) -> str:
    """One row; white space in a cell is one space."""
    shown = [re.sub(r"\s+", " ", cell).strip().replace("|", "\\|") for cell in cells]
    return f"| {' | '.join(shown)} |"


def table_blocks(rows: Sequence[Sequence[str]]) -> list[Block]:
    """A table whose first row is its header; a long one as several, each with the header."""
    lines = [row_line(row) for row in rows if any(cell.strip() for cell in row)]
    if not lines:
        return []
    return in_pieces(lines[:1], lines[1:])


def in_pieces(header: Sequence[str], body: Sequence[str]) -> list[Block]:
    """The lines of a table, whose header is one line or two, as blocks that each begin with the header."""
    head = sum(map(weigh, header))
    pieces: list[list[str]] = [[]]
    weight = head
    for line in body:
        own = weigh(line)
        if pieces[-1] and (len(pieces[-1]) == _ROWS or (head <= _HEADER and weight + own > _PIECE)):
            pieces.append([])
            weight = head
        pieces[-1].append(line)
        weight += own
    return [Block("table", "\n".join([*header, *piece])) for piece in pieces]
