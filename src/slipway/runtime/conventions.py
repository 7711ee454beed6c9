"""What parts of a request are called, and which attributes they have: the one place that knows these names.

They follow the OpenTelemetry semantic conventions for generative AI, release v0.1.0 of their own repository (2026;
before it, v1.41 of the general conventions), whose status is `development`: they still change. What they have no name
for begins with `slipway.`. No attribute holds a text of a user, a document or a model.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Mapping
from contextlib import aclosing, contextmanager
from functools import lru_cache
from time import perf_counter
from typing import Self, cast
from urllib.parse import urlsplit

from slipway.core.candidate import ModelPin, Retrieval
from slipway.core.message import Delta, GenerateRequest, Usage
from slipway.core.spans import Value, span

OPERATION, PROVIDER, MODEL = "gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model"
INPUT, OUTPUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
FIRST = "gen_ai.response.time_to_first_chunk"
CHAT, COMPLETION, EMBEDDINGS, RETRIEVAL = "chat", "text_completion", "embeddings", "retrieval"


class generation(span):  # noqa: N801  # read as a verb, as `span`
    """A model asked once."""

    __slots__ = ("_asked", "_began")

    def __init__(self, pin: ModelPin | None, request: GenerateRequest, *, stream: bool = False) -> None:
        operation = CHAT if request.prompt is None else COMPLETION
        super().__init__(f"{operation} {model_name(pin)}", calls=True)
        self._began = perf_counter()
        self._asked = _asked(operation, pin, request, stream=stream) if self.on else {}

    def __enter__(self) -> Self:
        super().__enter__()
        self.note(self._asked)
        return self

    def over(self, stream: AsyncIterator[Delta]) -> AsyncIterator[Delta]:
        """A stream of the model; what it asks of others is part of this, and its first piece is timed."""
        return self._first(stream) if self.on else stream

    async def _first(self, stream: AsyncIterator[Delta]) -> AsyncGenerator[Delta]:
        async with aclosing(cast("AsyncGenerator[Delta]", stream)) as pieces:
            with self.inside():
                first = await anext(pieces, None)
            if first is None:
                return
            self.note({FIRST: perf_counter() - self._began})
            yield first
            async for piece in pieces:
                yield piece

    def made(self, finish: str, usage: Usage | None) -> None:
        """It has come to its end."""
        if self.on:
            self.note({"gen_ai.response.finish_reasons": (finish,)} if finish else {})
            self.note({INPUT: usage.prompt_tokens, OUTPUT: usage.completion_tokens} if usage else {})


@contextmanager
def embedding(pin: ModelPin) -> Generator[span]:
    """An embedder asked once."""
    with span(f"{EMBEDDINGS} {model_name(pin)}", calls=True) as part, part.inside():
        if part.on:
            part.note({OPERATION: EMBEDDINGS, **_of(pin)})
        yield part


def retrieval(asked: Retrieval, found: int) -> dict[str, Value]:
    """What a search was, and how many passages came of it."""
    return {
        OPERATION: RETRIEVAL,
        "gen_ai.data_source.id": asked.chunks.short,
        "gen_ai.retrieval.top_k": asked.top_k,
        "slipway.retrieval.mode": asked.mode,
        "slipway.retrieval.passages": found,
    }


def model_name(pin: ModelPin | None) -> str:
    """The model by the name that its server, or its maker, has for it."""
    if pin is None:
        return "none"
    named = pin.options.get("model")
    return named if isinstance(named, str) and named else pin.source or pin.name


def _asked(operation: str, pin: ModelPin | None, request: GenerateRequest, *, stream: bool) -> dict[str, Value]:
    sampling = request.sampling
    found: dict[str, Value] = {
        OPERATION: operation,
        "gen_ai.request.max_tokens": sampling.max_tokens,
        "gen_ai.request.temperature": sampling.temperature,
        "gen_ai.request.top_p": sampling.top_p,
        "gen_ai.request.stream": stream,
        "gen_ai.output.type": "json" if request.json_schema is not None else "text",
    }
    if sampling.seed is not None:
        found["gen_ai.request.seed"] = sampling.seed
    found.update(_of(pin) if pin else {PROVIDER: "slipway"})
    return found


def _of(pin: ModelPin) -> Mapping[str, Value]:
    address = pin.options.get("base_url")
    return _model(model_name(pin), pin.engine, pin.name, address if isinstance(address, str) else "")


@lru_cache(256)
def _model(model: str, engine: str, name: str, address: str) -> Mapping[str, Value]:
    """What is the same whenever a model is asked. An engine that is none of a known provider's is its own."""
    found: dict[str, Value] = {PROVIDER: engine, MODEL: model, "slipway.model": name}
    parts = urlsplit(address)
    if parts.hostname:
        found["server.address"] = parts.hostname
        found["server.port"] = parts.port or (443 if parts.scheme == "https" else 80)
    return found
