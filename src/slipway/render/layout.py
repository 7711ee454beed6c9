"""How wide the columns of a table are where there is little room, so that no word and no number is broken.

A line may be broken at a space and beside a Chinese, Japanese or Korean character, nowhere else. Widths are those of a
terminal: a wide character takes two places.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from rich.cells import cell_len

from slipway.render.document import Column, Document, Part, Section, Table

TIED = "\ue000"  # a space that may not be broken: a private character while widths are reckoned
_WIDE = "\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6"
_PIECE = re.compile(rf"[{_WIDE}]|[^\s{_WIDE}]+")
_NOT_FIRST = "，。、；：？！）】》」』”’"  # stands on the line of the character before it


def pieces(line: str) -> list[tuple[str, int]]:
    """What may not be broken, in order, each with the number of spaces before it."""
    found: list[tuple[str, int]] = []
    end = 0
    for one in _PIECE.finditer(line):
        gap, end = one.start() - end, one.end()
        if found and not gap and one[0] in _NOT_FIRST:
            found[-1] = (found[-1][0] + one[0], found[-1][1])
        else:
            found.append((one[0], gap))
    return found


def beginning(line: str, most: int) -> str:
    """The first `most` characters, or fewer where a word or a number of common length would be broken."""
    head, piece = line[:most], re.compile(rf"[^\s{_WIDE}]{{1,24}}$").search(line[:most])
    if (
        piece is None
        or piece.start() == 0
        or not _PIECE.match(line[most : most + 1])
        or re.match(f"[{_WIDE}]", line[most])
    ):
        return head
    return head[: piece.start()].rstrip() if re.match(rf"[\s{_WIDE}]", head[piece.start() - 1]) else head


def least(text: str) -> int:
    """The width of the widest piece of a text."""
    return max((cell_len(piece) for line in text.split("\n") for piece, _ in pieces(line)), default=0)


def widest(text: str) -> int:
    """The width of the widest line of a text."""
    return max(map(cell_len, text.split("\n")))


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width`, or of one piece that is wider. Spaces at the start of a line of the text stay."""
    return [made for line in text.split("\n") for made in _wrapped(line, width)]


def _wrapped(line: str, width: int) -> list[str]:
    if cell_len(line) <= width:
        return [line]
    lines, used = [""], 0
    for piece, gap in pieces(line):
        size = cell_len(piece)
        if lines[-1].strip() and used + gap + size > width:
            lines.append(piece)
            used = size
        else:
            lines[-1] += " " * gap + piece
            used += gap + size
    return lines


def widths(low: Sequence[int], high: Sequence[int], room: int) -> list[int] | None:
    """A width for each column, from its least to its widest, `room` in all; None where the least do not fit.

    What is left after the least goes to the narrowest column that wants more, place by place.
    """
    left = room - sum(low)
    if left < 0:
        return None
    found = list(low)
    while left > 0:
        open_ = [n for n, width in enumerate(found) if width < high[n]]
        if not open_:
            break
        found[min(open_, key=lambda n: found[n])] += 1
        left -= 1
    return found


def whole(document: Document) -> Document:
    """The document with nothing shortened: whole texts and whole digests."""
    return replace(document, parts=[_whole(part) for part in document.parts])


def _whole(part: Part) -> Part:
    if isinstance(part, Section):
        return replace(part, parts=[_whole(inner) for inner in part.parts])
    if not isinstance(part, Table):
        return part
    columns = [Column(one.title) if one.kind in ("excerpt", "digest") else one for one in part.columns]
    return replace(part, columns=columns)
