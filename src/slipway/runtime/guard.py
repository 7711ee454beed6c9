"""An engine that was given a secret, such as the key of another server, whose answers and errors never hold it.

Such a server may echo what it was sent, in an answer, a stream or an error. What this engine says is cleaned before
anything else sees it: clients, traces, reports. Engines without a secret are not wrapped and cost nothing.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Generator
from contextlib import aclosing, contextmanager
from typing import Any, ParamSpec, TypeVar, cast

import msgspec

from slipway.core.message import Completion, Delta, GenerateRequest, TokenLogprob, ToolCall
from slipway.core.protocols import (
    Capability,
    Completes,
    CountsTokens,
    Embeds,
    Engine,
    OutOfVocabulary,
    Scores,
    ScoresAnswers,
    TellsTrouble,
    Windows,
)
from slipway.errors import EngineError, SlipwayError
from slipway.i18n import Said
from slipway.privacy.redact import clean_said
from slipway.privacy.secrets import SECRET, SHORTEST, Own

P = ParamSpec("P")
T = TypeVar("T")


_NO_TEXT = {
    Embeds: "embed", Scores: "score", ScoresAnswers: "likelihoods", CountsTokens: "count_tokens",
    OutOfVocabulary: "out_of_vocabulary", Windows: "windows",
}  # fmt: skip
"""The methods that return no text of the server: only their errors are cleaned."""


class Guarded:
    """What `engine` says, without the secrets in `own`. Everything else of the engine is as it was."""

    def __init__(self, engine: Engine, own: Own) -> None:
        self._engine = engine
        self._own = own
        # It has the methods that the engine has and no others: that is how they are asked for.
        if isinstance(engine, Completes):
            self.complete = self._cleaned(engine.complete, self._whole)
        if isinstance(engine, TellsTrouble):
            self.trouble = self._cleaned(engine.trouble, own.scrub)
        for protocol, method in _NO_TEXT.items():
            if isinstance(engine, protocol):
                setattr(self, method, self._cleaned(getattr(engine, method)))

    @property
    def capabilities(self) -> frozenset[Capability]:
        """As the engine."""
        return self._engine.capabilities

    async def start(self) -> None:
        """As the engine."""
        with self._clean():
            await self._engine.start()

    async def close(self) -> None:
        """As the engine."""
        await self._engine.close()

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Delta]:
        """Deltas; what may be the beginning of a secret waits for what follows."""
        held = _Held(self._own)
        with self._clean():
            async with aclosing(cast("AsyncGenerator[Delta]", self._engine.generate(request))) as stream:
                async for delta in stream:
                    if (made := held.feed(delta)) is not None:
                        yield made

    def _whole(self, found: Completion) -> Completion:
        text, calls = _ended(self._own, self._own.scrub(found.text)), _calls(self._own, found.tool_calls)
        logprobs = found.logprobs if text == found.text else ()
        return msgspec.structs.replace(found, text=text, logprobs=logprobs, tool_calls=calls)

    def _cleaned(
        self, ask: Callable[P, Awaitable[T]], clean: Callable[[T], T] | None = None
    ) -> Callable[P, Coroutine[Any, Any, T]]:
        """A method of the engine whose errors, and answers where they are text, hold no secret."""

        async def asked(*args: P.args, **more: P.kwargs) -> T:
            with self._clean():
                found = await ask(*args, **more)
            return clean(found) if clean else found

        return asked

    @contextmanager
    def _clean(self) -> Generator[None]:
        try:
            yield
        except SlipwayError as error:
            error.message, error.hint = self._own.scrub(error.message), self._own.scrub(error.hint)
            error.args = (error.message,)
            error.said = cast("Said", clean_said(error.said, self._own.scrub))
            if isinstance(error, EngineError):
                error.__cause__ = None  # the library's own error, which a traceback would show
            raise


class _Held:
    """A stream of deltas on its way out."""

    def __init__(self, own: Own) -> None:
        self._own = own
        self._text = ""
        self._logprobs: list[TokenLogprob] = []

    def feed(self, delta: Delta) -> Delta | None:
        """What may be said now, or nothing. The last delta brings the rest."""
        self._logprobs += delta.logprobs
        text = self._text + delta.text
        clean = self._own.scrub(text)
        wait = self._own.begun(clean)
        if delta.finish is not None:
            clean, wait = _ended(self._own, clean), 0
        if not clean.startswith(text[: len(clean)]) or len(clean) != len(text):
            self._logprobs = []  # they spell the secret token by token
        cut = len(clean) - wait
        self._text = clean[cut:]
        if cut == 0 and delta.finish is None and delta.usage is None and not delta.tool_calls:
            return None
        logprobs = () if wait else tuple(self._logprobs)
        if not wait:
            self._logprobs = []
        calls = _calls(self._own, delta.tool_calls)
        return msgspec.structs.replace(delta, text=clean[:cut], logprobs=logprobs, tool_calls=calls)


def _calls(own: Own, calls: tuple[ToolCall, ...]) -> tuple[ToolCall, ...]:
    return tuple(ToolCall(own.scrub(c.id), own.scrub(c.name), _ended(own, own.scrub(c.arguments))) for c in calls)


def _ended(own: Own, text: str) -> str:
    """`text`, at whose end a secret may have been cut off (by max_tokens)."""
    begun = own.begun(text)
    return text[: len(text) - begun] + SECRET if begun >= SHORTEST else text
