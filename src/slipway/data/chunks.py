"""`make_chunks`: documents cut into the passages that are indexed, retrieved and cited.

A chunk never crosses a heading: its path is then the whole truth about where it stands, which citations and
`retrieval_recall` rely on. So a short section is a short chunk; `min_chars` only keeps a long section from leaving a
short rest. The heading line itself is in the path, not in the text (`Chunk.passage` joins them for indexes).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
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
    sections = document.sections or (Section(path=(), start=0, end=len(document.text)),)
    pages = document.meta.get("pages")
    meta = {name: value for name, value in document.meta.items() if name != "pages"}
    for number, section in enumerate(sections):
        following = sections[number + 1] if number + 1 < len(sections) else None
        for start, end in _spans(document.text, section, following, config):
            yield Chunk(
                source=document.source,
                path=section.path,
                start=start,
                end=end,
                text=document.text[start:end],
                language=document.language,
                meta=_with_page(meta, pages, start),
            )


def _spans(text: str, section: Section, following: Section | None, config: ChunkConfig) -> Iterator[tuple[int, int]]:
    least = section.start
    if section.path:
        newline = text.find("\n", section.start, section.end)
        least = newline + 1 if newline >= 0 else section.end
    pieces = _balanced(text, (least, section.end), config)
    if not pieces and section.path and not (following and following.path[: len(section.path)] == section.path):
        pieces = cut(text, (section.start, section.end), config.max_chars)  # a heading with nothing under it
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
