"""The lines of a page of a PDF with where their cells stand, and raised digits as such. Knows nothing of documents.

PDFium gives the text of a page in its order of reading. Positions are asked for at the ends of words and at digits
only: that is a small part of the characters. Where the words of a page are parted by spaces that are written,
one that is not was made from a jump, as between cells.
"""

from __future__ import annotations

import ctypes
import itertools
import re
from typing import Any, NamedTuple

import msgspec

from slipway.text.raised import raised

_RAISABLE = re.compile("(?<=\\S)(\r\n| )?([0-9+()\\-\u2010-\u2013\u2212]{1,12})")
_SMALLER, _HIGHER, _HIGHEST = 0.9, 0.15, 0.9  # what is raised, in sizes of what stands before it
# Between cells, in sizes: a space that is written, one that is not, one that is not where others are, and in a type of
# fixed pitch, where a single space is 0.6 and listings of programs are no tables.
_GAP, _MADE_GAP, _JUMP, _FIXED_GAP = 1.2, 0.75, 0.2, 1.5
_FIXED = 1  # of a font's flags (ISO 32000-1, 9.8.2)
_CJK_GAP, _CJK = 0.4, re.compile("[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef]")
_SPACE = re.compile("(?<=\\S)[ \t\u00a0\u3000]+(?=\\S)")
_SAMPLE, _WRITTEN = 40, 0.1  # spaces of a page that are looked at; the share of written ones that says all are


class Cell(NamedTuple):
    """Words that stand together, and from where to where."""

    left: float
    right: float
    text: str


class Line(msgspec.Struct):
    """A line of a page, or a paragraph that was read from a picture (`whole`)."""

    text: str
    size: float  # points, of its first visible character
    page: int
    edge: bool = False  # first or last two lines of its page
    whole: bool = False
    level: int = 0  # of the heading that a bookmark says it is
    cells: list[Cell] = []
    y: float = 0.0


class _Spot(NamedTuple):
    x: float
    y: float
    size: float


def lines_of(text_page: Any, number: int) -> list[Line]:
    """The lines of a page that say something."""
    text = text_page.get_text_range()
    count = text_page.count_chars()
    if len(text) != count:  # characters of the text are not those of the page: there are no positions
        return _plain(text_page, text, count, number)
    page = _Page(text_page, text)
    page.raise_digits()
    return page.lines(number)


def _plain(text_page: Any, text: str, count: int, number: int) -> list[Line]:
    found: list[Line] = []
    for part in re.finditer(r"[^\r\n]+", text):
        visible = part[0].strip()
        if visible:
            first = part.start() + part[0].index(visible[0])
            found.append(Line(visible, _size(text_page, min(first, max(0, count - 1))), number))
    return found


class _Page:
    def __init__(self, text_page: Any, text: str) -> None:
        self._page, self._text = text_page, text
        self._shown = list(text)  # what each character becomes
        self._joined: set[int] = set()  # where a line goes on that PDFium broke at a raised digit
        self._x, self._y = ctypes.c_double(), ctypes.c_double()
        self._written = self._writes_spaces()

    def raise_digits(self) -> None:
        for found in _RAISABLE.finditer(self._text):
            base, up = self._spot(found.start() - 1), list[int]()
            for at in range(*found.span(2)):
                here = self._spot(at)
                if _is_raised(here, base):
                    up.append(at)
                else:
                    base, up = here, []
            if not up:
                continue
            if up[0] == found.start(2) and found[1] and not self._close_gap(found.start(1), found.start(2), base.size):
                continue
            said = raised("".join(self._text[up[0] : found.end()]))
            self._shown[up[0] : found.end()] = list(said)
            self._join_after(found.end(), base)

    def _close_gap(self, at: int, end: int, size: float) -> bool:
        """Take out a space or a break that is not written, before a digit that follows at once."""
        if abs(self._spot(end).x - self._right(at - 1)) > 0.5 * size or not self._is_made(at):
            return False
        self._shown[at:end] = [""] * (end - at)
        self._joined.add(end)
        return True

    def _join_after(self, at: int, base: _Spot) -> None:
        """Whether the line of the base goes on after a raised digit: then the break there is none."""
        after = at + 2
        if self._text[at:after] == "\r\n" and after < len(self._text):
            there = self._spot(after)
            if abs(there.y - base.y) < 0.1 * base.size and there.x > base.x:
                apart = there.x - self._right(at - 1) > 0.15 * base.size and not self._text[after].isspace()
                self._shown[at:after] = [" " if apart else "", ""]
                self._joined.add(after)

    def lines(self, number: int) -> list[Line]:
        spans: list[tuple[int, int]] = []
        for part in re.finditer(r"[^\r\n]+", self._text):
            if part.start() in self._joined and spans:
                spans[-1] = (spans[-1][0], part.end())
            else:
                spans.append(part.span())
        found: list[Line] = []
        for begin, end in spans:
            text = "".join(self._shown[begin:end]).strip()
            if text:
                first = begin + len(self._text[begin:end]) - len(self._text[begin:end].lstrip())
                size = _size(self._page, first)
                cells = self._cells(first, end, size)
                found.append(Line(text, size, number, cells=cells, y=self._spot(first).y))
        return found

    def _cells(self, begin: int, end: int, size: float) -> list[Cell]:
        cells: list[Cell] = []
        start = at = begin
        left = self._spot(begin).x
        for gap in _SPACE.finditer(self._text[begin:end]):
            at, following = begin + gap.start(), begin + gap.end()
            right, beyond = self._right(at - 1), self._spot(following).x
            wide = (beyond - right) / size if size else 0.0
            if self._is_fixed(at - 1) and self._is_fixed(following):
                apart = wide > _FIXED_GAP
            else:
                apart = wide > _GAP or (wide > self._made_gap(at, following) and self._is_made(at))
            if apart:
                cells.append(Cell(left, right, self._said(start, at)))
                start, left = following, beyond
        right = self._right(end - len(self._text[begin:end]) + len(self._text[begin:end].rstrip()) - 1)
        return [*cells, Cell(left, max(left, right), self._said(start, end))]

    def _made_gap(self, at: int, following: int) -> float:
        if self._written:
            return _JUMP
        around = self._text[at - 1] + self._text[following]
        return _CJK_GAP if _CJK.search(around) else _MADE_GAP

    def _writes_spaces(self) -> bool:
        """Whether spaces between words of this page are written; those between cells hardly ever are."""
        spaces = [found.start() for found in itertools.islice(_SPACE.finditer(self._text), _SAMPLE * 20)]
        looked = spaces[:: max(1, len(spaces) // _SAMPLE)]
        return sum(not self._is_made(at) for at in looked) > _WRITTEN * len(looked)

    def _is_fixed(self, at: int) -> bool:
        from pypdfium2 import raw

        flags = ctypes.c_int()
        raw.FPDFText_GetFontInfo(self._page, at, None, 0, ctypes.byref(flags))
        return bool(flags.value & _FIXED)

    def _right(self, at: int) -> float:
        """Where a character ends, with the room that its font gives it."""
        return float(self._page.get_charbox(at, loose=True)[2])

    def _said(self, begin: int, end: int) -> str:
        return "".join(self._shown[begin:end]).strip()

    def _is_made(self, at: int) -> bool:
        from pypdfium2 import raw

        return raw.FPDFText_IsGenerated(self._page, at) == 1

    def _spot(self, at: int) -> _Spot:
        from pypdfium2 import raw

        raw.FPDFText_GetCharOrigin(self._page, at, self._x, self._y)
        return _Spot(self._x.value, self._y.value, _size(self._page, at))


def _is_raised(here: _Spot, base: _Spot) -> bool:
    return here.size < _SMALLER * base.size and _HIGHER < (here.y - base.y) / base.size < _HIGHEST


def _size(text_page: Any, at: int) -> float:
    """Points. Fonts are often set at size 1 and scaled by the text matrix (ISO 32000-1, 9.4.4)."""
    from pypdfium2 import raw

    matrix, size = raw.FS_MATRIX(), float(raw.FPDFText_GetFontSize(text_page, at))
    if not raw.FPDFText_GetMatrix(text_page, at, ctypes.byref(matrix)):
        return round(size, 1)
    scale = (matrix.c**2 + matrix.d**2) ** 0.5
    return round(size * scale if 0.01 < scale < 1000 else size, 1)
