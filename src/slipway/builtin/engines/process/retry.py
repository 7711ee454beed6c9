"""A request that lost its child because another request took too much is asked again. Knows no engine."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import cast

from slipway.builtin.engines.process.http import ChildLost
from slipway.core.message import Completion, Delta, Usage

TRIES = 3

Ask = Callable[[], AsyncIterator[Delta]]


async def streamed(ask: Ask) -> AsyncGenerator[Delta]:
    """The answer as it comes; asked again only while nothing of it was passed on."""
    for attempt in range(1, TRIES + 1):
        begun = False
        try:
            async with aclosing(cast("AsyncGenerator[Delta]", ask())) as deltas:
                async for delta in deltas:
                    begun = True
                    yield delta
            return
        except ChildLost as lost:
            if begun or not lost.limit or attempt == TRIES:
                raise


async def whole(ask: Ask) -> Completion:
    """The answer at its end: no one has seen any of it before, so it may be begun again."""
    for attempt in range(1, TRIES + 1):
        try:
            async with aclosing(cast("AsyncGenerator[Delta]", ask())) as stream:
                deltas = [delta async for delta in stream]
            return Completion(
                text="".join(delta.text for delta in deltas),
                finish=deltas[-1].finish or "stop",
                usage=deltas[-1].usage or Usage(),
                logprobs=tuple(logprob for delta in deltas for logprob in delta.logprobs),
            )
        except ChildLost as lost:
            if not lost.limit or attempt == TRIES:
                raise
    raise AssertionError  # the last attempt returns or raises
