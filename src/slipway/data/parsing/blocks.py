"""What parsers make and what becomes of it: blocks of a document, the text put together from them, the parsed result.

The text is Markdown-like whatever the source was: a heading is a line of `#`, code stands in fences, a table row is a
line of `|`. So one chunker, and one prompt, fits all formats. Section spans are right by construction, because they
are counted while the text is put together.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from slipway.core.material import Section

Kind = Literal["heading", "text", "code", "table"]


class Block(msgspec.Struct):
    """A heading (`level` 1-6), a paragraph or list, a code block with its fences, or a table."""

    kind: Kind
    text: str
    level: int = 0


class Note(msgspec.Struct, frozen=True, array_like=True):
    """A Change in the making: `item` is what follows the source's name (`/12` for a row), or empty."""

    step: str
    action: Literal["dropped", "changed", "flagged"]
    reason: str
    detail: str = ""
    item: str = ""


class Draft(msgspec.Struct):
    """One document as a parser gives it. `name`: what tells it from the others of the same file, or empty.

    `tags`: whether markup found in the text is a leftover to remove (in HTML it was the author's `&lt;`).
    """

    blocks: list[Block]
    title: str = ""
    language: str = ""  # what its author says it is
    hint: str = ""  # what it claims to be; web pages often claim the default of their template
    name: str = ""
    meta: dict[str, Any] = {}
    notes: list[Note] = []
    tags: bool = False
    pages: list[int] = []  # index of the first block of each page


class Parsed(msgspec.Struct, frozen=True, omit_defaults=True):
    """One parsed and cleaned document: everything that depends on its bytes alone, and so can be remembered.

    `mix`: counts (letters, digits, others) among the non-space characters of the first 100,000. `signature`: MinHash.
    """

    text: str
    name: str = ""
    title: str = ""
    sections: tuple[Section, ...] = ()
    language: str = "und"
    meta: dict[str, Any] = {}
    mix: tuple[int, int, int] = (0, 0, 0)
    signature: bytes = b""


class Row(msgspec.Struct, frozen=True, array_like=True):
    """A row of a table: its number (line of a JSONL file, else 1 for the first row of data) and its values.

    `absent`: what cells of CSV say that were taken for nothing, such as "none"; among the values they are None.
    """

    number: int
    values: dict[str, Any]
    absent: dict[str, str] = {}


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of one file. `refused` is set when nothing did."""

    sha256: str
    documents: tuple[Parsed, ...] = ()
    rows: tuple[Row, ...] = ()
    notes: tuple[Note, ...] = ()
    refused: Note | None = None


def put_together(blocks: list[Block]) -> tuple[str, tuple[Section, ...], list[int]]:
    """The text, its sections, and where each block starts. Sections cover the text from the first heading on.

    What stands before the first heading is a section with an empty path. A section ends where the next heading
    starts, whatever its level; its first line is the heading itself. Its path is the headings above it.
    """
    pieces: list[str] = []
    starts: list[int] = []
    marks: list[tuple[int, tuple[str, ...]]] = []
    open_headings: list[tuple[int, str]] = []
    at = 0
    for block in blocks:
        starts.append(at)
        shown = block.text
        if block.kind == "heading":
            open_headings = [(level, name) for level, name in open_headings if level < block.level]
            open_headings.append((block.level, block.text))
            marks.append((at, tuple(name for _, name in open_headings)))
            shown = f"{'#' * block.level} {block.text}"
        elif not marks:
            marks.append((at, ()))
        pieces.append(shown)
        at += len(shown) + 2
    text = "\n\n".join(pieces)
    if not marks:
        return text, (), starts
    ends = [start - 2 for start, _ in marks[1:]] + [len(text)]
    sections = tuple(Section(path=path, start=start, end=end) for (start, path), end in zip(marks, ends, strict=True))
    return text, sections, starts
