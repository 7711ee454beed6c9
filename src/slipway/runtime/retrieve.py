"""Passages for a question: vectors remembered in the store, indexes built from them, dense and lexical fused.

The truth is the frozen chunk set and the remembered vectors; an index is a cache (`kept`). Knows nothing of prompts or
answers.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import msgspec

from slipway.core.answer import Citation
from slipway.core.candidate import Retrieval
from slipway.core.material import Chunk, Dataset
from slipway.core.protocols import Embeds, Index, OutOfVocabulary, Ranks
from slipway.core.ref import digest_of
from slipway.core.spans import span
from slipway.plugins import Plugins, reporting
from slipway.runtime.excerpt import Similarity, excerpt
from slipway.runtime.fusion import reciprocal_rank_fusion
from slipway.runtime.kept_indexes import Kept, Made, kept
from slipway.runtime.kept_indexes import whole as index_whole
from slipway.runtime.rerank import by_model, rerank
from slipway.runtime.unrelated import unrelated
from slipway.runtime.vectors import (
    MAX_OUT_OF_VOCABULARY,
    Hear,
    Progress,
    embed_chunks,
    embed_question,
    embedder_key,
)
from slipway.store.store import Store

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from slipway.core.protocols import Vectors

FORMAT = "2"  # of the cached index folders; another number and they are built again
WORDS = "2"  # how words are cut and compared; another number and indexes of words are built again
DEPTH = 50  # how deep each ranking is read before fusion
_MOST_WINDOWS = 4  # so many times deeper the vectors are searched, at most, where passages have several


def indexes_key(retrieval: Retrieval) -> str:
    """Names what must be loaded for a retrieval: equal for those that can share it."""
    parts = [retrieval.index, retrieval.index_options, retrieval.lexical, retrieval.lexical_options]
    return digest_of([retrieval.chunks, retrieval.embedder, retrieval.mode == "lexical", *parts])


def index_names(store: Store, retrieval: Retrieval, plugins: Plugins) -> list[str]:
    """What the indexes of a retrieval are kept as."""
    cache, chunks = _Cache(store, plugins), retrieval.chunks.digest
    names = [cache.name(retrieval.lexical, retrieval.lexical_options, [chunks, WORDS])]
    if retrieval.embedder is not None and store.catalog.get("dataset", chunks, Dataset).size:
        names.append(cache.name(retrieval.index, retrieval.index_options, [chunks, embedder_key(retrieval.embedder)]))
    return names


def indexes_whole(store: Store, retrieval: Retrieval, plugins: Plugins) -> bool:
    """Whether all indexes of a retrieval are kept and undamaged, so that they can be loaded as they are."""
    return all(index_whole(store, name) for name in index_names(store, retrieval, plugins))


class Retriever:
    """One chunk set with its indexes, loaded. Made by `open`; searches are safe from concurrent tasks."""

    def __init__(
        self,
        chunks: Mapping[str, Chunk],
        dense: Kept | None,
        lexical: Kept,
        embedder: Embeds | None,
        whole: Mapping[str, str],
        floor: float = 0.0,
    ) -> None:
        self._chunks = chunks
        self._dense = dense
        self._lexical = lexical
        self._embedder = embedder
        self._floor = floor  # a cosine that says nothing
        self._whole = whole  # a part of a passage, as the dense index names it -> the passage
        self._windows = max(Counter(whole.values()).values(), default=1)

    @classmethod
    async def open(
        cls,
        store: Store,
        retrieval: Retrieval,
        embedder: Embeds | None,
        progress: Progress | None = None,
        plugins: Plugins | None = None,
        hear: Hear | None = None,
    ) -> Self:
        """Load the indexes of a retrieval, building what is missing; `progress` counts chunks embedded.

        `hear` is told before how long that will take.
        """
        import numpy as np

        dataset = store.catalog.get("dataset", retrieval.chunks.digest, Dataset)
        chunks = list(store.blobs.get_lines(dataset.items, Chunk))
        cache = _Cache(store, plugins or Plugins())
        words = (retrieval.lexical, retrieval.lexical_options)
        lexical = await asyncio.to_thread(cache.index, *words, [retrieval.chunks.digest, WORDS], chunks, None)
        dense: Kept | None = None
        floor = 0.0
        parts: list[list[Chunk]] = []
        if retrieval.embedder is not None and embedder is not None and chunks:
            vectors = await embed_chunks(store, chunks, retrieval.embedder, embedder, progress, hear)
            floor = await unrelated(store, retrieval.embedder, embedder)
            key = [retrieval.chunks.digest, embedder_key(retrieval.embedder)]
            asked = (retrieval.index, retrieval.index_options)
            parts = [[_part(c, n) for n in range(len(rows))] for c, rows in zip(chunks, vectors, strict=True)]
            added = [part for own in parts for part in own], np.concatenate(vectors)
            dense = await asyncio.to_thread(cache.index, *asked, key, *added)
        whole = {part.id: chunk.id for chunk, own in zip(chunks, parts, strict=True) for part in own} if parts else {}
        return cls({chunk.id: chunk for chunk in chunks}, dense, lexical, embedder, whole, floor)

    def sound(self) -> bool:
        """Whether the files its indexes were loaded from hold the same bytes."""
        return all(index is None or index.sound() for index in (self._dense, self._lexical))

    async def search(self, question: str, retrieval: Retrieval, reranker: Ranks | None = None) -> tuple[Citation, ...]:
        """The best passages, best first, at most `top_k` of them and `max_chars` characters (the first always).

        `reranker`: the loaded model of `retrieval.reranker`.
        """
        depth = max(DEPTH, retrieval.top_k, retrieval.rerank or 0)
        rankings: list[list[tuple[str, float]]] = []
        filters = retrieval.filters or None
        vector: Vectors | None = None
        dense = retrieval.mode != "lexical" and not (retrieval.mode == "fused" and await self._cannot_read(question))
        if dense and self._dense is not None and self._embedder is not None:
            vector = await embed_question(self._embedder, question)
            with reporting("indexes", retrieval.index):
                rankings.append(await self._nearest(question, vector, depth, filters))
        if retrieval.mode != "dense":
            with reporting("indexes", retrieval.lexical):
                rankings.append(await self._lexical.search(question, None, depth, filters))
        ids = [[id for id, _ in ranking] for ranking in rankings]
        ranked = rankings[0] if len(rankings) == 1 else reciprocal_rank_fusion(ids)
        first = retrieval.rerank or 0
        best = [_citation(self._chunks[id], score) for id, score in ranked[: max(retrieval.top_k, first)]]
        if first:
            with span("rerank") as part, part.inside():
                part.note({"slipway.rerank.passages": len(best[:first])})
                if reranker is None:
                    best[:first] = await rerank(question, best[:first], self._near(vector))
                else:
                    best[:first] = await by_model(question, best[:first], reranker)
        found = _within(best[: retrieval.top_k], retrieval.max_chars)
        if retrieval.excerpt_chars is None:
            return found
        return await excerpt(question, found, retrieval.excerpt_chars, self._near(vector))

    async def _nearest(
        self, question: str, vector: Vectors, depth: int, filters: Mapping[str, Any] | None
    ) -> list[tuple[str, float]]:
        """Passages by their nearest part."""
        assert self._dense is not None
        deeper = depth * min(self._windows, _MOST_WINDOWS)
        found: dict[str, float] = {}
        for part, score in await self._dense.search(question, vector, deeper, filters):
            found.setdefault(self._whole[part], score)
        return list(found.items())[:depth]

    async def similarity(self, text: str, others: Sequence[str]) -> list[float] | None:
        """How near the others are to a text, [len(others)]: 1 the same, 0 as near as texts that have nothing to do with
        each other, or less. None without an embedder that can read the text.
        """
        if self._embedder is None or await self._cannot_read(text):
            return None
        near = self._near(await embed_question(self._embedder, text))
        return list(map(float, await near(others))) if near else None

    def _near(self, vector: Vectors | None) -> Similarity | None:
        """As `similarity`, of sentences with what was embedded, [1, dimension]."""
        import numpy as np

        embedder = self._embedder
        if vector is None or embedder is None:
            return None

        async def near(texts: Sequence[str]) -> NDArray[np.float32]:
            cosines = (await embedder.embed(texts)) @ vector[0]
            return np.maximum(cosines - self._floor, 0) / (1 - self._floor)

        return near

    async def _cannot_read(self, question: str) -> bool:
        """Whether the embedder cannot read the question (its script is not in its vocabulary): words alone then rank.

        An English encoder knows a third of a Chinese question's tokens; its ranking would drag the fused one down
        (recall@3 on XQuAD zh 0.60 instead of 0.98). No English question there has an unknown token.
        """
        embedder = self._embedder
        if not isinstance(embedder, OutOfVocabulary):
            return False  # an engine that cannot tell is believed to read everything
        return await embedder.out_of_vocabulary(question) > MAX_OUT_OF_VOCABULARY


def _within(passages: list[Citation], max_chars: int) -> tuple[Citation, ...]:
    kept: list[Citation] = []
    for passage in passages:
        max_chars -= len(passage.text)
        if kept and max_chars < 0:
            break
        kept.append(passage)
    return tuple(kept)


def _citation(chunk: Chunk, score: float) -> Citation:
    return Citation(
        chunk=chunk.id, source=chunk.source, path=chunk.path, start=chunk.start, end=chunk.end, text=chunk.text,
        score=score,
    )  # fmt: skip


def _part(chunk: Chunk, number: int) -> Chunk:
    """How the dense index knows one of a passage's vectors: the first by the passage itself."""
    return chunk if number == 0 else msgspec.structs.replace(chunk, meta={**chunk.meta, "part": number})


class _Cache:
    """Indexes of a chunk set as folders, each named by all that goes into it."""

    def __init__(self, store: Store, plugins: Plugins) -> None:
        self._store = store
        self._plugins = plugins

    def name(self, plugin: str, options: Mapping[str, Any], key: list[str]) -> str:
        """Of the folder: by all that goes into the index."""
        made_of = [FORMAT, plugin, options, self._plugins.code("indexes", plugin), *key]
        return f"index-{digest_of(made_of)[:24]}"

    def index(
        self,
        plugin: str,
        options: Mapping[str, Any],
        key: list[str],
        chunks: Sequence[Chunk],
        vectors: NDArray[np.float32] | None,
    ) -> Kept:
        """The index, loaded; built where it is missing or damaged."""

        def fill(index: Index) -> None:
            with reporting("indexes", plugin):
                index.add(chunks, vectors)

        return kept(
            self._store,
            self.name(plugin, options, key),
            lambda: self._plugins.make("indexes", plugin, options, "retrieve.index"),
            fill,
            Made(plugin, dict(options)),
        )
