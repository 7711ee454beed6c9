"""What a page consists of: lines, passages and tables of typed cells. Knows no form that it is written in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["text", "excerpt", "time", "digest", "count", "number", "probability", "seconds", "bytes", "measure"]


@dataclass(frozen=True)
class Column:
    """A title, and how its cells are shown (`cells`). `most`: characters of an excerpt."""

    title: str
    kind: Kind = "text"
    most: int = 60


@dataclass(frozen=True)
class Table:
    """A titled table: each row has one cell for each column; `notes` stand below it, one a line."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Passage:
    """A text of several lines by somebody else. What is not `whole` is set off from the lines of ours.

    `drawn`: a picture made of characters, whose columns must stay below each other. `marked`: what of it is set off, as
    spans of characters in ascending order that do not overlap, in the forms that can.
    """

    text: str
    whole: bool = False
    drawn: bool = False
    marked: Sequence[tuple[int, int]] = ()


@dataclass(frozen=True)
class Picture:
    """An SVG of ours, for the forms that have pictures; its title says what it shows."""

    svg: str


@dataclass(frozen=True)
class Section:
    """Parts under a title of their own. `level`: 2 for a chapter, 3 and 4 below it. `tags`: what it can be found by."""

    title: str
    parts: Sequence[Part]
    level: int = 2
    tags: Sequence[str] = ()


Part = str | Passage | Table | Picture | Section  # a str is one line


@dataclass(frozen=True)
class Document:
    """`parts` for people, in order; `data` for programs: nouns and plain values, complete and unformatted.

    `rows`: the table that stands for the whole in a form that has room for one; without it there is no such form.
    """

    data: Any
    parts: Sequence[Part] = field(default_factory=list[Part])
    rows: Table | None = None


def listed(data: Any, table: Table, *more: Part) -> Document:
    """A document whose table is what it is about."""
    return Document(data, [table, *more], table)
