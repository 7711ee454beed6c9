"""Engines whose model is loaded when it is first asked for."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

from pydantic import BaseModel

from slipway.builtin.engines.checks import check_request, missing
from slipway.builtin.engines.made import Made
from slipway.core.message import Delta, GenerateRequest
from slipway.core.protocols import Capability

C = TypeVar("C", bound=BaseModel)
L = TypeVar("L")


class Lazy(Made[C], Generic[C, L]):
    """`load` is called once, in a thread, by the first who asks for what is loaded; after `close`, once again."""

    def prepare(self) -> None:
        """Nothing is loaded yet."""
        self._loading = asyncio.Lock()
        self._held: L | None = None

    @abstractmethod
    def load(self) -> L:
        """The model in memory. Raises EngineError, or MissingPrerequisite; who asks next tries again."""

    def let_go(self, loaded: L) -> None:
        """Close what was loaded."""

    async def loaded(self) -> L:
        """The model, loaded by now."""
        async with self._loading:
            if self._held is None:
                self._held = await asyncio.to_thread(self.load)
            return self._held

    async def start(self) -> None:
        """Load the model. The first time files may have to be converted: some seconds, for `static` up to a minute."""
        await self.loaded()

    async def close(self) -> None:
        """Forget the model; its memory goes, and its threads end, when the runs in progress have ended."""
        async with self._loading:
            held, self._held = self._held, None
            if held is not None:
                self.let_go(held)


class Encoder(Lazy[C, L]):
    """One that makes vectors or ranks, and makes no text."""

    capabilities: frozenset[Capability]

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Delta]:
        """Refused: an encoder makes no text."""
        check_request(request, self.name, self.capabilities)
        raise missing(self.name, "generate")
        yield Delta()  # pragma: no cover -- makes this an iterator
