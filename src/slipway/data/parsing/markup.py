"""reStructuredText and AsciiDoc as plain text with headings: what is between them stays as its author wrote it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from slipway.data.parsing.blocks import Block, Draft
from slipway.data.parsing.markdown import LONGEST_HEADING, parse_plain

Title = tuple[int, int, int, str]  # first line, line after the last, level, what it says
_ADORNED = re.compile(r"([!-/:-@\[-`{-~])\1{2,}")
_EQUALS = re.compile(r"(={1,6}) +(\S.*)")
_FENCE = re.compile(r"(-{4,}|\.{4,}|={4,}|\+{4,}|_{4,}|\*{4,}|/{4,}|[|,:!]={3,}|`{3}.*)$")


def parse_rst(text: str) -> Draft:
    """Blocks of reStructuredText: a title has a line of one character below it, and may have one above."""
    lines = _lines(text)
    return _draft(lines, _adorned(lines))


def parse_asciidoc(text: str) -> Draft:
    """Blocks of AsciiDoc: a title begins with equals signs; not in a delimited block."""
    lines = _lines(text)
    return _draft(lines, _equals(lines))


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]


def _adorned(lines: list[str]) -> Iterator[Title]:
    levels: dict[tuple[str, bool], int] = {}
    done = 0
    for at, (name, below) in enumerate(pairwise(lines)):
        above = lines[at - 1] if at > done else ""
        over = above == below and _ADORNED.fullmatch(above) is not None
        if at < done or not name.strip() or _ADORNED.fullmatch(name) or not _ADORNED.fullmatch(below):
            continue
        if len(below) < len(name.strip()) or len(name) > LONGEST_HEADING or (above and not over):
            continue
        if over or not name[0].isspace():
            level = levels.setdefault((below[0], over), len(levels) + 1)
            yield at - over, at + 2, min(level, 6), name.strip()
            done = at + 2


def _equals(lines: list[str]) -> Iterator[Title]:
    within = ""
    for at, line in enumerate(lines):
        fence = _FENCE.match(line)
        if fence:
            within = line[:4] if not within else "" if line[:4] == within else within
        elif not within and (title := _EQUALS.fullmatch(line)) and len(line) <= LONGEST_HEADING:
            yield at, at + 1, len(title[1]), title[2]


def _draft(lines: list[str], titles: Iterator[Title]) -> Draft:
    blocks: list[Block] = []
    done = 0
    for begin, end, level, name in titles:
        blocks += [*parse_plain("\n".join(lines[done:begin])).blocks, Block("heading", name, level)]
        done = end
    blocks += parse_plain("\n".join(lines[done:])).blocks
    title = next((block.text for block in blocks if block.kind == "heading"), "")
    return Draft(blocks=blocks, title=title, tags=True)
