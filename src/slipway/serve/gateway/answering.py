"""Ask what answers, a raw model or a release, whole or as a stream, in one shape for both. Knows no HTTP."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from time import monotonic
from typing import Any, TypeVar, cast

from slipway.core.answer import Answer
from slipway.core.asked import ModelCall
from slipway.core.message import Completion, Delta, GenerateRequest, TokenLogprob
from slipway.errors import EngineError
from slipway.i18n import t, told
from slipway.runtime import respond as runtime
from slipway.runtime.conventions import generation
from slipway.runtime.session import Session
from slipway.serve.gateway.router import Raw, Served

T = TypeVar("T")


@dataclass(slots=True)
class Job:
    """One request, checked: who answers, what is asked. `asked` goes into the trace."""

    target: Raw | Served
    asked: dict[str, Any]
    generation: GenerateRequest | None = None  # for a raw model
    input: dict[str, Any] | None = None  # for a release
    overrides: runtime.Overrides = runtime.AS_MEASURED
    stream: bool = False
    include_usage: bool = False
    logprobs: tuple[TokenLogprob, ...] = ()  # of the whole answer, once it is there
    spent: runtime.Spent | None = None  # of a release that was asked

    async def whole(self, session: Session) -> Answer:
        """The whole answer. Raises EngineError or ConfigError; cancelling frees the model."""
        if isinstance(self.target, Served):
            self.spent, one = runtime.Spent(), self.target.candidate
            return _made(await runtime.answer(one, self.input or {}, session, self.overrides, self.spent))
        started = monotonic()
        request = self.generation or GenerateRequest()
        with generation(self.target.pin, request) as part, part.inside():
            completion = await runtime.complete(self.target.engine, request)
            part.made(completion.finish, completion.usage)
        self.logprobs = completion.logprobs
        return _answer(completion, self.target, session, monotonic() - started)

    def pieces(self, session: Session) -> AsyncGenerator[Delta | Answer]:
        """Text deltas as they are made, then one Answer. Closing it frees the model."""
        if isinstance(self.target, Served):
            self.spent, one = runtime.Spent(), self.target.candidate
            return _checked(runtime.respond(one, self.input or {}, session, self.overrides, self.spent))
        return self._raw_pieces(self.target, session)

    def calls(self, answer: Answer | None) -> tuple[ModelCall, ...]:
        """What was sent to the model of a release for this answer, or before there was none."""
        if self.spent is None or not isinstance(self.target, Served):
            return ()
        return self.spent.calls.of(self.target.candidate, answer)

    async def _raw_pieces(self, target: Raw, session: Session) -> AsyncGenerator[Delta | Answer]:
        started, first = monotonic(), 0.0
        deltas: list[Delta] = []
        request = self.generation or GenerateRequest()
        with generation(target.pin, request, stream=True) as part:
            async with aclosing(_generator(part.over(target.engine.generate(request)))) as stream:
                async for delta in stream:
                    deltas.append(delta)
                    if delta.text:
                        first = first or monotonic() - started
                        yield delta
            completion = runtime.join(deltas)
            part.made(completion.finish, completion.usage)
        yield _answer(completion, target, session, monotonic() - started, first)


async def _checked(stream: AsyncIterator[Delta | Answer]) -> AsyncGenerator[Delta | Answer]:
    async with aclosing(_generator(stream)) as pieces:
        async for piece in pieces:
            yield _made(piece) if isinstance(piece, Answer) else piece


def _made(answer: Answer) -> Answer:
    """The answer. Raises EngineError for one that is none of the task: the client must not take its text for one."""
    if answer.error:
        raise EngineError(told(answer.error), t("try again, or ask another candidate"), status=502)
    return answer


def _answer(completion: Completion, target: Raw, session: Session, seconds: float, first: float = 0.0) -> Answer:
    cost, currency = session.cost(target.pin, completion.usage, seconds)
    return Answer(
        text=completion.text,
        raw=completion.text,
        usage=completion.usage,
        finish=completion.finish,
        seconds=seconds,
        first_token_seconds=first or seconds,
        cost=cost,
        currency=currency,
        tool_calls=completion.tool_calls,
    )


def _generator(stream: AsyncIterator[T]) -> AsyncGenerator[T]:
    return cast("AsyncGenerator[T]", stream)  # engines and `respond` are async generators: they have aclose()
