"""Bookmarks of a PDF: the lines that they name are headings, whatever their type."""

from __future__ import annotations

from itertools import islice
from typing import Any

from slipway.data.parsing.pdf_lines import Line

_MOST, _DEEPEST = 20_000, 6


def marked(document: Any, lines: list[Line]) -> list[Line]:
    """The lines, those that a bookmark names as headings; one over two lines is one."""
    marks = _bookmarks(document)
    found: list[Line] = []
    at = 0
    while at < len(lines):
        line, following = lines[at], lines[at + 1] if at + 1 < len(lines) else None
        level = marks.pop((line.page, _key(line.text)), 0)
        at += 1
        if not level and following is not None and following.page == line.page:
            level = marks.pop((line.page, _key(line.text + following.text)), 0)
            if level:
                line.text += f" {following.text}"
                at += 1
        if level:
            line.level, line.cells = level, []
        found.append(line)
    return found


def _bookmarks(document: Any) -> dict[tuple[int, str], int]:
    """(page, what it says) -> level, from 1."""
    import pypdfium2

    marks: dict[tuple[int, str], int] = {}
    try:
        for mark in islice(document.get_toc(max_depth=_DEEPEST), _MOST):
            place, title = mark.get_dest(), _key(mark.get_title())
            page = place.get_index() if place is not None else None
            if page is not None and title:
                marks.setdefault((page, title), mark.level + 1)
    except (pypdfium2.PdfiumError, ValueError):
        return marks
    return marks


def _key(text: str) -> str:
    return "".join(text.split()).casefold()
