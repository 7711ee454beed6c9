"""A document as Markdown (CommonMark and GitHub's tables), for a ticket or a report.

What it holds is text: nothing in it is markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from slipway.i18n import t
from slipway.render.cells import shown
from slipway.render.document import Document, Part, Passage, Picture, Section, Table
from slipway.text import visible

_MARKUP = re.compile(r"[\\`*\[\]<>|&~]|^\s*(?:[#+-]|\d+[.)])|(?<!\w)_|_(?!\w)")


def write(document: Document) -> str:
    """Blocks with an empty line between them."""
    return "\n\n".join(block for part in document.parts for block in _blocks(part)) + "\n"


def _blocks(part: Part) -> Iterator[str]:
    if isinstance(part, str):
        yield escaped(part)
    elif isinstance(part, Picture):
        return
    elif isinstance(part, Section):
        yield f"{'#' * part.level} {escaped(part.title)}"
        for inner in part.parts:
            yield from _blocks(inner)
    elif isinstance(part, Passage) and part.drawn:
        yield f"```text\n{visible.block(part.text).replace('`', '_')}\n```"
    elif isinstance(part, Passage):
        yield "\n".join(f"> {escaped(line)}" for line in visible.block(part.text).split("\n"))
    else:
        yield from _table(part)


def _table(part: Table) -> Iterator[str]:
    if not part.rows:
        yield escaped(t("{title}: nothing yet", title=part.title))
    else:
        if part.title:
            yield f"**{escaped(part.title)}**"
        titles = [escaped(column.title) for column in part.columns]
        rows = [[escaped(shown(c, column)) for c, column in zip(row, part.columns, strict=True)] for row in part.rows]
        yield "\n".join(f"| {' | '.join(row)} |" for row in (titles, ["---"] * len(titles), *rows))
    if part.notes:
        yield "\n".join(f"- {escaped(note)}" for note in part.notes)


def escaped(text: str) -> str:
    """One line in which nothing is markup."""
    return _MARKUP.sub(lambda found: found[0][:-1] + "\\" + found[0][-1], visible.line(text))
