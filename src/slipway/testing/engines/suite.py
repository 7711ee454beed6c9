"""The engine under test, and what a test class says of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, ClassVar

import pytest
import pytest_asyncio

from slipway.core.message import GenerateRequest
from slipway.errors import EngineError
from slipway.testing.engines.requests import ask, complete

if TYPE_CHECKING:
    from slipway.core.protocols import Capability, Engine


class EngineSuite:
    """What the parts of the contract share: the engine, and what the class says of it."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    can_score: ClassVar[bool] = True  # `score` works; else it is refused, or not there
    deterministic: ClassVar[bool] = True  # temperature 0, and a seed, give the same answer again
    likely: ClassVar[tuple[str, str, str]] = ("The capital of France is", " Paris", " banana purple of the")

    @classmethod
    def make_engine(cls, request: pytest.FixtureRequest) -> Engine:
        """A new engine, not started."""
        raise NotImplementedError

    @pytest_asyncio.fixture(scope="class", loop_scope="class")
    @classmethod
    async def engine(cls, request: pytest.FixtureRequest) -> AsyncIterator[Engine]:
        """The engine under test, started once for the class."""
        engine = cls.make_engine(request)
        await engine.start()
        yield engine
        await engine.close()

    def need(self, *capabilities: Capability) -> None:
        """Skip the test when the engine under test does not claim these."""
        lacking = [name for name in capabilities if name not in self.capabilities]
        if lacking:
            pytest.skip(f"the engine does not claim {', '.join(lacking)}")

    async def refused(self, engine: Engine, request: GenerateRequest) -> None:
        """The request must fail as the caller's mistake, and the engine must live on."""
        with pytest.raises(EngineError) as caught:
            await complete(engine, request)
        assert caught.value.status == 400
        assert not caught.value.retryable
        assert caught.value.message
        if "generate" in self.capabilities:
            assert (await complete(engine, ask("Hello", max_tokens=1))).usage.completion_tokens == 1
