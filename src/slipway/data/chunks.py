"""`make_chunks`: documents cut into the passages that are indexed, retrieved and cited.

A chunk never crosses a heading: its path (after the document's title, where the headings do not say it) is then the
whole truth about where it stands, which citations and `retrieval_recall` rely on. So a short section is a short chunk;
`min_chars` only keeps a long section from leaving a short rest. The heading line itself is in the path, not in the
text (`Chunk.passage` joins them for indexes); only a heading with nothing under it, which would be a chunk of its own,
stands in the text of the chunk that follows.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from slipway.core.material import Change, Chunk, Dataset, Document, Section
from slipway.data.freeze import freeze
from slipway.data.spans import before, cut
from slipway.data.titles import added, under
from slipway.project.data import ChunkConfig, DataConfig
from slipway.store.store import Store
from slipway.text.words import weigh


def make_chunks(config: DataConfig, documents: Dataset, store: Store) -> Dataset:
    """The passages of every document, in order. `text == document.text[start:end]` holds for each of them."""
    chunks: list[Chunk] = []
    changes: list[Change] = []
    titles = added({one.source: one.title for one in store.blobs.get_lines(documents.items, Document)})
    for document in store.blobs.get_lines(documents.items, Document):
        made = list(chunks_of(document, config.chunk, titles.get(document.source, "")))
        chunks += made
        if not made:
            changes.append(Change(item=document.source, step="chunk", action="dropped", reason="empty"))
    counts = Counter(f"language/{chunk.language}" for chunk in chunks)
    return freeze("chunks", chunks, changes, dict(sorted(counts.items())), store, [documents.ref])


def chunks_of(document: Document, config: ChunkConfig, title: str = "") -> Iterator[Chunk]:
    """The passages of one document. `title` stands before headings that do not say it."""
    pages = document.meta.get("pages")
    meta = {name: value for name, value in document.meta.items() if name != "pages"}
    for section, start, end in _with_lone_headings(document, config):
        yield Chunk(
            source=document.source,
            path=under(title, section.path),
            start=start,
            end=end,
            text=document.text[start:end],
            language=document.language,
            meta=_with_page(meta, pages, start),
        )


_Piece = tuple[Section, int, int]


def _with_lone_headings(document: Document, config: ChunkConfig) -> Iterator[_Piece]:
    """The pieces of all sections. Headings with nothing under them stand at the beginning of the piece that follows, or
    else at the end of the one before; where neither has room for them, they are pieces themselves.
    """
    text = document.text
    sections = document.sections or (Section(path=(), start=0, end=len(text)),)
    lone: list[Section] = []
    last: _Piece | None = None  # held back: headings may join it
    for section, following in zip_longest(sections, sections[1:]):
        pieces = [(section, *span) for span in _spans(text, section, config)]
        if not pieces:
            if section.path and not (following and following.path[: len(section.path)] == section.path):
                lone.append(section)
            continue
        if lone and weigh(text[lone[0].start : pieces[0][2]]) > config.max_chars:
            pieces = _smaller(text, section, pieces, lone, config)
        if lone and weigh(text[lone[0].start : pieces[0][2]]) <= config.max_chars:
            pieces[0], lone = (section, lone[0].start, pieces[0][2]), []
        yield from _before(text, last, lone, config)
        lone = []
        yield from pieces[:-1]
        last = pieces[-1]
    yield from _before(text, last, lone, config)


def _smaller(
    text: str, section: Section, pieces: list[_Piece], lone: list[Section], config: ChunkConfig
) -> list[_Piece]:
    """The pieces of a section cut so that the headings before it have room, if these are short beside a chunk."""
    room = config.max_chars - weigh(text[lone[0].start : pieces[0][1]])
    if room < config.max_chars / 2:
        return pieces
    return [(section, *span) for span in _spans(text, section, config.model_copy(update={"max_chars": int(room)}))]


def _before(text: str, last: _Piece | None, lone: list[Section], config: ChunkConfig) -> Iterator[_Piece]:
    """The last piece with the headings that follow it, or these by themselves, under the first of them."""
    if last is not None and lone and weigh(text[last[1] : lone[-1].end]) <= config.max_chars:
        last, lone = (last[0], last[1], last[1] + len(text[last[1] : lone[-1].end].rstrip())), []
    if last is not None:
        yield last
    if lone:
        yield from ((lone[0], *span) for span in cut(text, (lone[0].start, lone[-1].end), config.max_chars))


def _spans(text: str, section: Section, config: ChunkConfig) -> Iterator[tuple[int, int]]:
    least = section.start
    if section.path:
        newline = text.find("\n", section.start, section.end)
        least = newline + 1 if newline >= 0 else section.end
    pieces = _balanced(text, (least, section.end), config)
    for number, (start, end) in enumerate(pieces):
        yield (before(text, start, pieces[number - 1][0], config.overlap) if number else start), end


def _balanced(text: str, span: tuple[int, int], config: ChunkConfig) -> list[tuple[int, int]]:
    """The pieces of a section; a last one below `min_chars` joins the one before where both fit."""
    pieces = cut(text, span, config.max_chars)
    while len(pieces) > 1 and weigh(text[slice(*pieces[-1])]) < config.min_chars:
        joined = (pieces[-2][0], pieces[-1][1])
        if weigh(text[slice(*joined)]) > config.max_chars:
            break
        pieces[-2:] = [joined]
    return pieces


def _with_page(meta: dict[str, Any], pages: Any, start: int) -> dict[str, Any]:
    """The document's meta, and for paged documents the page (from 1) on which the passage starts."""
    return {**meta, "page": max(1, bisect_right(pages, start))} if isinstance(pages, list) else meta
