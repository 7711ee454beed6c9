"""A strategy: ask twice with different seeds, and abstain where the answers differ."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import ClassVar

import msgspec
from pydantic import BaseModel, ConfigDict

from slipway.core.answer import Answer, Step
from slipway.core.message import Completion, Delta, GenerateRequest
from slipway.core.protocols import Work


class TwiceConfig(BaseModel):
    """`abstain`: decline where the two differ; otherwise the first counts, with half the confidence."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    abstain: bool = True


class TwiceStrategy:
    """Both answers are steps."""

    Config: ClassVar[type[TwiceConfig]] = TwiceConfig

    def __init__(self, config: TwiceConfig) -> None:
        self.config = config

    async def respond(self, work: Work) -> AsyncIterator[Delta | Answer]:
        """The answer, when both are there."""
        text = work.task.text(work.input)
        passages = await work.passages(text)
        request = work.request(passages, await work.examples(text))
        first, second = await asyncio.gather(*(self._ask(work, request, n) for n in range(2)))
        said, other = work.extract(first.text), work.extract(second.text)
        same = said == other
        yield Delta(text=said)
        yield Answer(
            text=said,
            raw=first.text,
            citations=passages,
            finish=first.finish,
            confidence=1.0 if same else 0.5,
            abstained=not same and self.config.abstain,
            steps=(Step(name="first", output=said), Step(name="second", output=other)),
        )

    async def _ask(self, work: Work, request: GenerateRequest, n: int) -> Completion:
        sampling = msgspec.structs.replace(request.sampling, seed=(request.sampling.seed or 0) + n)
        return await work.complete(msgspec.structs.replace(request, sampling=sampling))
