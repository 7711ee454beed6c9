"""What stands on many pages of one site, at their beginnings or ends: slogans, notices, links. Removed and counted.

A line goes from a page when it stands in the first or last blocks of at least `_PAGES` pages, and of `_SHARE` of the
pages, of one of the folders that the page lies in. Headings, code and tables stay, whatever their number, and so does a
page that would have no text left. Rows of tables are no pages.
"""

from __future__ import annotations

import posixpath
import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from itertools import accumulate

import msgspec

from slipway.core.material import Change, Document, Section
from slipway.data.parsing import media

_PAGES = 10  # fewer pages are no evidence
_SHARE = 0.3  # at least this part of the pages of a folder
_EDGE = 3  # blocks looked at from the beginning and from the end
_FENCE = re.compile(r"(`{3,}|~{3,})")


class _Block(msgspec.Struct):
    """What stands between blank lines (of a code block, the part up to one)."""

    start: int
    text: str
    prose: bool
    edge: bool = False

    @property
    def lines(self) -> list[str]:
        return self.text.split("\n")


def drop_repeated(documents: Sequence[Document]) -> tuple[list[Document], list[Change]]:
    """The documents without what is repeated, in order, and a Change for each that lost something."""
    pages: Counter[str] = Counter()
    seen: Counter[tuple[str, str]] = Counter()
    for document in documents:
        if document.media_type not in media.TABLES:
            lines = {_flat(line) for block in _blocks(document) if block.edge for line in block.lines}
            for folder in _folders(document.source):
                pages[folder] += 1
                seen.update((folder, line) for line in lines if line)
    least = {folder: max(_PAGES, _SHARE * n) for folder, n in pages.items()}
    repeated: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for (folder, line), n in seen.items():
        if n >= least[folder]:
            repeated[folder][line] = n
    made: list[Document] = []
    changes: list[Change] = []
    for document in documents:
        gone = {line: n for folder in _folders(document.source) for line, n in repeated[folder].items()}
        left, lost = _without(document, gone) if document.media_type not in media.TABLES else (document, [])
        made.append(left)
        if lost:
            detail = f"{len(lost)} lines; '{lost[0][:80]}' stands on {gone[lost[0]]} pages"
            changes.append(
                Change(item=document.source, step="clean", action="changed", reason="repeated", detail=detail)
            )
    return made, changes


def _flat(line: str) -> str:
    return " ".join(line.split())


def _folders(source: str) -> list[str]:
    """The folders a document lies in, from the whole corpus down to its own."""
    parts = posixpath.dirname(source).split("/")
    return ["", *("/".join(parts[:n]) for n in range(1, len(parts) + 1) if parts[0])]


def _blocks(document: Document) -> list[_Block]:
    """All blocks in order; those of prose among the first and last ones below no heading's line are at an edge."""
    headings = {section.start for section in document.sections if section.path}
    blocks: list[_Block] = []
    at, fence = 0, ""
    for piece in document.text.split("\n\n"):
        opened = "" if fence else _fence(piece)
        code = bool(fence or opened)
        blocks.append(_Block(at, piece, not code and at not in headings and not piece.startswith("|")))
        last = piece.rpartition("\n")[2]
        closed = code and last.startswith(fence or opened) and not (opened and "\n" not in piece)
        fence = "" if closed else fence or opened
        at += len(piece) + 2
    body = [block for block in blocks if block.start not in headings]
    for block in body if len(body) <= 2 * _EDGE else [*body[:_EDGE], *body[-_EDGE:]]:
        block.edge = block.prose
    return blocks


def _fence(piece: str) -> str:
    found = _FENCE.match(piece)
    return found[1] if found else ""


def _without(document: Document, gone: Collection[str]) -> tuple[Document, list[str]]:
    """The document without some lines, its sections and pages moved along, and the lines that went."""
    if not gone:
        return document, []
    kept: list[_Block] = []
    lost: list[str] = []
    for block in _blocks(document):
        lines = [line for line in block.lines if not (block.edge and _flat(line) in gone)]
        lost += [_flat(line) for line in block.lines if block.edge and _flat(line) in gone]
        if lines:
            kept.append(msgspec.structs.replace(block, text="\n".join(lines)))
    if not lost or not any(block.prose for block in kept):
        return document, []
    starts = [0, *accumulate(len(block.text) + 2 for block in kept)]
    text = "\n\n".join(block.text for block in kept)
    olds = [block.start for block in kept]

    def moved(at: int) -> int:
        return min(starts[bisect_left(olds, at)], len(text))

    marks = [(section.path, moved(section.start)) for section in document.sections]
    ends = [at - 2 for _, at in marks[1:]] + [len(text)]
    sections = tuple(
        Section(path=path, start=at, end=end) for (path, at), end in zip(marks, ends, strict=True) if end > at
    )
    meta = document.meta
    if isinstance(meta.get("pages"), list):
        meta = {**meta, "pages": [moved(at) for at in meta["pages"]]}
    return msgspec.structs.replace(document, text=text, sections=sections, meta=meta), lost
