"""The contract that every strategy passes, over a real session and an engine that echoes. Subclass it in a test file:

class TestMyStrategy(StrategyContract):
    strategy = "mine"  # an installed plug-in, or ./file.py:Class with `folder`
"""

# ruff: noqa: D102 -- the name of a test says what it tests

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest
import pytest_asyncio

from slipway.core.answer import Answer
from slipway.core.candidate import Candidate, ModelPin, Retrieval, ToolPin
from slipway.core.material import Chunk, Dataset
from slipway.core.message import Delta, Sampling
from slipway.core.protocols import asks_model
from slipway.errors import ConfigError, EngineError
from slipway.plugins import Plugins
from slipway.runtime.respond import Overrides, answer, respond
from slipway.runtime.session import Session
from slipway.store.store import Store

QUESTIONS = tuple(f"What is the number of ship {n}? 第{n}号" for n in range(12))


def _indexed(store: Store, documents: tuple[str, ...]) -> Retrieval:
    chunks = [
        Chunk(source=f"{n}.md", path=(f"Document {n}",), start=0, end=len(text), text=text, language="en")
        for n, text in enumerate(documents)
    ]
    dataset = Dataset(name="chunks", kind="chunks", items=store.blobs.put_lines(chunks), size=len(chunks))
    return Retrieval(chunks=store.catalog.put("dataset", "chunks", dataset), embedder=None, mode="lexical")


@pytest.mark.asyncio
class StrategyContract:
    """What every strategy does alike. Override `strategy`, and `options`, `tools`, `documents`, `folder` where needed.

    `documents`: texts that the candidate retrieves from by their words. One that asks no model gets none.
    """

    strategy: ClassVar[str] = ""
    options: ClassVar[dict[str, Any]] = {}
    tools: ClassVar[tuple[ToolPin, ...]] = ()
    documents: ClassVar[tuple[str, ...]] = ()
    files: ClassVar[dict[str, bytes]] = {}  # what the candidate's strategy reads, as a tuner made it
    folder: ClassVar[Path | None] = None

    @pytest_asyncio.fixture
    async def session(self, tmp_path: Path) -> AsyncIterator[Session]:
        session = Session(Store(tmp_path / "state"), lambda pin: {}, plugins=Plugins(self.folder))
        self.retrieve = _indexed(session.store, self.documents) if self.documents else None
        self.held = {name: session.store.blobs.put(data) for name, data in self.files.items()}
        self.asks_model = asks_model(session.plugins.load("strategies", self.strategy))
        yield session
        await session.close()

    def candidate(self, **engine: Any) -> Candidate:
        """One that uses the strategy, on an echo engine with these options where it asks a model."""
        return Candidate(
            name="candidate",
            task="answer",
            model=ModelPin(name="writer", engine="echo", source="", options=engine) if self.asks_model else None,
            prompt="{{ question }}" if self.asks_model else "",
            retrieve=self.retrieve,
            strategy=self.strategy,
            strategy_options=self.options,
            files=self.held,
            tools=self.tools,
            sampling=Sampling(max_tokens=64, temperature=0.0, seed=1),
        )

    async def pieces(self, session: Session, text: str, **engine: Any) -> list[Delta | Answer]:
        stream = cast("AsyncGenerator[Delta | Answer]", respond(self.candidate(**engine), {"question": text}, session))
        async with aclosing(stream):
            return [piece async for piece in stream]

    async def test_deltas_and_then_one_answer(self, session: Session) -> None:
        found = await self.pieces(session, QUESTIONS[0])
        assert [isinstance(piece, Answer) for piece in found] == [False] * (len(found) - 1) + [True]
        said = "".join(piece.text for piece in found if isinstance(piece, Delta))
        last = found[-1]
        assert isinstance(last, Answer)
        assert last.text.strip() in said or not last.text

    async def test_tokens_and_time_are_counted(self, session: Session) -> None:
        found = await answer(self.candidate(), {"question": QUESTIONS[0]}, session)
        assert found.seconds >= found.first_token_seconds >= 0
        assert found.usage.completion_tokens >= 0
        assert found.confidence is None or 0 <= found.confidence <= 1

    async def test_the_same_streamed_and_whole_and_again(self, session: Session) -> None:
        whole = [
            await answer(self.candidate(), {"question": QUESTIONS[0]}, session, Overrides(whole=True)) for _ in "ab"
        ]
        last = (await self.pieces(session, QUESTIONS[0]))[-1]
        assert isinstance(last, Answer)
        assert last.text == whole[0].text == whole[1].text
        assert last.abstained == whole[0].abstained

    async def test_many_at_once_do_not_mix(self, session: Session) -> None:
        candidate = self.candidate()
        alone = [(await answer(candidate, {"question": text}, session)).text for text in QUESTIONS]
        together = await asyncio.gather(*(answer(candidate, {"question": text}, session) for text in QUESTIONS))
        assert [one.text for one in together] == alone

    async def test_an_engine_that_fails_is_told(self, session: Session) -> None:
        if not self.asks_model:
            pytest.skip("it asks no model")
        with pytest.raises(EngineError, match="out of order"):
            await answer(self.candidate(fail="out of order"), {"question": "x"}, session)

    async def test_who_leaves_frees_the_model(self, session: Session) -> None:
        candidate = self.candidate(delay=30)
        engine: Any = await session.model(candidate)
        if engine is None:
            pytest.skip("it asks no model")
        task = asyncio.ensure_future(answer(candidate, {"question": "x"}, session))
        async with asyncio.timeout(20):
            while not engine.active and not task.done():
                await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert engine.active == 0

    async def test_what_is_no_input_is_refused(self, session: Session) -> None:
        with pytest.raises(ConfigError):
            await answer(self.candidate(), {}, session)

    async def test_options_that_do_not_exist_are_refused(self, session: Session) -> None:
        with pytest.raises(ConfigError):
            session.plugins.config("strategies", self.strategy, {"no such option": 1}, "here")
