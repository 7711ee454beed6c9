"""The one way from an input to an answer. Evaluation and serving both call `respond`: what was measured is what ships.

The candidate's task says what the input is and what its model's text means, its strategy does the work. Here both are
called, and what it took is filled in.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import msgspec

from slipway.core.answer import Answer
from slipway.core.candidate import Candidate
from slipway.core.message import Delta
from slipway.core.protocols import Input, Task
from slipway.errors import EngineError
from slipway.i18n import say, t
from slipway.plugins import reporting
from slipway.runtime.session import Session
from slipway.runtime.working import AS_MEASURED, Overrides, Spent, Working, complete, generator, join

__all__ = ["AS_MEASURED", "Overrides", "Spent", "answer", "complete", "generator", "join", "respond"]


async def respond(
    candidate: Candidate, input: Input, session: Session, overrides: Overrides = AS_MEASURED, spent: Spent | None = None
) -> AsyncIterator[Delta | Answer]:
    """Answer one input: text deltas as they are made, then exactly one Answer.

    A candidate that votes or extracts says nothing before it is done, then everything in one delta. Closing the
    iterator frees the model at once. `spent` is told what it takes, also when it fails. Raises EngineError, or
    ConfigError for an input it cannot work with.
    """
    spent = spent or Spent()
    with reporting("tasks", candidate.task):
        work = Working(candidate, input, session, overrides, spent)
    await work.begin()
    first = 0.0
    async with aclosing(_told(session, work)) as stream:
        async for piece in stream:
            if isinstance(piece, Delta):
                if piece.text and not first:
                    first = spent.seconds
                yield piece
                continue
            with reporting("tasks", candidate.task):
                found = _meant(piece, work.task)
            yield _counted(found, candidate, session, spent, first)
            return
    raise _no_answer()


async def answer(
    candidate: Candidate, input: Input, session: Session, overrides: Overrides = AS_MEASURED, spent: Spent | None = None
) -> Answer:
    """`respond`, waited for."""
    async with aclosing(generator(respond(candidate, input, session, overrides, spent))) as stream:
        async for piece in stream:
            if isinstance(piece, Answer):
                return piece
    raise _no_answer()


async def _told(session: Session, work: Working) -> AsyncGenerator[Delta | Answer]:
    """What the strategy makes; its own defects as errors that name it."""
    name = work.candidate.strategy
    with reporting("strategies", name):
        async with aclosing(generator(session.strategy(work.candidate).respond(work))) as stream:
            async for piece in stream:
                yield piece


def _meant(made: Answer, task: Task) -> Answer:
    """The answer with what its text means in the task; what a strategy has said of it already stands."""
    if made.failed or made.label:
        return made
    try:
        output = task.output(made.text)
    except ValueError as error:
        why = say("the model's text is no output of the task: {why}", why=str(error))
        return msgspec.structs.replace(made, error=why)
    confidence = made.confidence if output.confidence is None else output.confidence
    return msgspec.structs.replace(
        made, text=output.text, label=output.label, abstained=output.abstained, confidence=confidence
    )


def _counted(made: Answer, candidate: Candidate, session: Session, spent: Spent, first: float) -> Answer:
    seconds = spent.seconds
    cost, currency = session.cost(candidate.model, spent.usage, seconds)
    return msgspec.structs.replace(
        made,
        usage=spent.usage,
        seconds=seconds,
        first_token_seconds=first or seconds,
        retrieve_seconds=spent.retrieve_seconds,
        cost=cost,
        currency=currency,
    )


def _no_answer() -> EngineError:
    return EngineError(t("the model stopped without an answer"), t("try again; if it stays so, run `slipway check`"))
