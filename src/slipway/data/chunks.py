"""`make_chunks`: documents cut into the passages that are indexed, retrieved and cited.

A chunk never crosses a heading: its path is then the whole truth about where it stands, which citations and
`retrieval_recall` rely on. So a short section is a short chunk; `min_chars` only keeps a long section from leaving a
short rest. The heading line itself is in the path, not in the text (`Chunk.passage` joins them for indexes); only a
heading with nothing under it, which would be a chunk of its own, stands in the text of the chunk that follows.
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
from slipway.project.schema import ChunkConfig, DataConfig
from slipway.store.store import Store
from slipway.text.words import weigh


def make_chunks(config: DataConfig, documents: Dataset, store: Store) -> Dataset:
    """The passages of every document, in order. `text == document.text[start:end]` holds for each of them."""
    chunks: list[Chunk] = []
    changes: list[Change] = []
    for document in store.blobs.get_lines(documents.items, Document):
        made = list(chunks_of(document, config.chunk))
        chunks += made
        if not made:
            changes.append(Change(item=document.source, step="chunk", action="dropped", reason="empty"))
    counts = Counter(f"language/{chunk.language}" for chunk in chunks)
    return freeze("chunks", chunks, changes, dict(sorted(counts.items())), store, [documents.ref])


def chunks_of(document: Document, config: ChunkConfig) -> Iterator[Chunk]:
    """The passages of one document."""
    pages = document.meta.get("pages")
    meta = {name: value for name, value in document.meta.items() if name != "pages"}
    for section, start, end in _with_lone_headings(document, config):
        yield Chunk(
            source=document.source,
            path=section.path,
            start=start,
            end=end,
            text=document.text[start:end],
            language=document.language,
            meta=_with_page(meta, pages, start),
        )


_Piece = tuple[Section, int, int]


def _with_lone_headings(document: Document, config: ChunkConfig) -> Iterator[_Piece]:
    """The pieces of all sections. A heading with nothing under it stands at the beginning of the piece that follows, or
    at the end of the last one; where it does not fit, and in a text of headings alone, headings are pieces themselves.
    """
    text = document.text
    sections = document.sections or (Section(path=(), start=0, end=len(text)),)
    lone: list[Section] = []
    last: _Piece | None = None  # held back: headings at the end of the text join it
    for section, following in zip_longest(sections, sections[1:]):
        pieces = list(_spans(text, section, config))
        if not pieces:
            if section.path and not (following and following.path[: len(section.path)] == section.path):
                lone.append(section)
            continue
        if last is not None:
            yield last
        if lone:
            if weigh(text[lone[0].start : pieces[0][1]]) <= config.max_chars:
                pieces[0] = (lone[0].start, pieces[0][1])
            else:
                yield from _alone(text, lone, config)
            lone = []
        yield from ((section, start, end) for start, end in pieces[:-1])
        last = (section, *pieces[-1])
    if lone and last is not None and weigh(text[last[1] : lone[-1].end]) <= config.max_chars:
        last, lone = (last[0], last[1], cut(text, (last[1], lone[-1].end), config.max_chars)[-1][1]), []
    if last is not None:
        yield last
    yield from _alone(text, lone, config)


def _alone(text: str, lone: list[Section], config: ChunkConfig) -> Iterator[_Piece]:
    """Headings that follow each other, with nothing under them, as pieces under the first of them."""
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
