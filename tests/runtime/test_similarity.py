"""How near texts are to a question, as the embedder of a retrieval tells it; nothing where it cannot read the question."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.builtin.engines.echo import EchoEngine
from slipway.core.candidate import Retrieval
from slipway.core.material import Dataset
from slipway.core.protocols import Embeds
from slipway.runtime.retrieve import Retriever
from slipway.store.store import Store


class Illiterate(EchoEngine):
    """Knows no token of a text without ASCII."""

    async def out_of_vocabulary(self, text: str) -> float:
        return 0.0 if text.isascii() else 1.0


async def opened(folder: Path, embedder: Embeds | None) -> Retriever:
    store = Store(folder)
    dataset = Dataset(name="chunks", kind="chunks", items=store.blobs.put_lines([]), size=0)
    retrieval = Retrieval(chunks=store.catalog.put("dataset", "chunks", dataset), embedder=None, mode="lexical")
    return await Retriever.open(store, retrieval, embedder)


async def test_the_nearest_is_the_text_itself(tmp_path: Path) -> None:
    retriever = await opened(tmp_path, EchoEngine(EchoEngine.Config()))
    same, other = await retriever.similarity("the keel", ["the keel", "a mast of wood"]) or (0.0, 0.0)
    assert same == pytest.approx(1)
    assert other < same


async def test_none_without_an_embedder_or_for_a_question_that_it_cannot_read(tmp_path: Path) -> None:
    assert await (await opened(tmp_path / "a", None)).similarity("the keel", ["the keel"]) is None
    retriever = await opened(tmp_path / "b", Illiterate(Illiterate.Config()))
    assert await retriever.similarity("龙骨", ["the keel"]) is None
    assert await retriever.similarity("the keel", ["龙骨"]) is not None
