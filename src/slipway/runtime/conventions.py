"""What parts of a request are called, and which attributes they have: the one place that knows these names.

They follow the OpenTelemetry semantic conventions for generative AI, release v0.1.0 of their own repository (2026;
before it, v1.41 of the general conventions), whose status is `development`: they still change. What they have no name
for begins with `slipway.`. No attribute holds a text of a user, a document or a model.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Mapping
from contextlib import aclosing, contextmanager
from functools import lru_cache
from typing import Self, cast
from urllib.parse import urlsplit

from slipway.core.candidate import ModelPin, Retrieval
from slipway.core.message import Delta, GenerateRequest, Usage
from slipway.core.spans import Shared, Value, span

OPERATION, PROVIDER, MODEL = "gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model"
INPUT, OUTPUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
FIRST = "gen_ai.response.time_to_first_chunk"
CHAT, COMPLETION, EMBEDDINGS, RETRIEVAL = "chat", "text_completion", "embeddings", "retrieval"

Of = tuple[str, str, str, str]  # a model: by the name its server has for it, its engine, its name here, its address


class generation(span):  # noqa: N801  # read as a verb, as `span`
    """A model asked once."""

    __slots__ = ("_asked",)

    def __init__(self, pin: ModelPin | None, request: GenerateRequest, *, stream: bool = False) -> None:
        super().__init__("generation", calls=True)
        self._asked = (pin, request, stream) if self.on else None

    def __enter__(self) -> Self:
        super().__enter__()
        if self._asked is not None:
            self.name, self.shares = _asked(*self._asked)
            seed = self._asked[1].sampling.seed
            if seed is not None:
                self.attributes["gen_ai.request.seed"] = seed
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
            self.note({FIRST: self.seconds})
            yield first
            async for piece in pieces:
                yield piece

    def made(self, finish: str, usage: Usage | None) -> None:
        """It has come to its end."""
        if self.on:
            found = self.attributes
            if finish:
                found["gen_ai.response.finish_reasons"] = (finish,)
            if usage:
                found[INPUT], found[OUTPUT] = usage.prompt_tokens, usage.completion_tokens


@contextmanager
def embedding(pin: ModelPin) -> Generator[span]:
    """An embedder asked once."""
    with span("embedding", calls=True) as part, part.inside():
        if part.on:
            part.name, part.shares = _embedding(_of(pin))
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


def _asked(pin: ModelPin | None, request: GenerateRequest, stream: bool) -> tuple[str, Shared]:  # noqa: FBT001
    """Name and attributes of a generation, as far as the next one may have them alike."""
    sampling = request.sampling
    operation = CHAT if request.prompt is None else COMPLETION
    limits = sampling.max_tokens, sampling.temperature, sampling.top_p
    return _generation(operation, *limits, stream, request.json_schema is not None, _of(pin) if pin else None)


@lru_cache(512, typed=True)
def _generation(  # noqa: PLR0913
    operation: str, most: int, temperature: float, top_p: float, stream: bool, json: bool, of: Of | None
) -> tuple[str, Shared]:
    found: dict[str, Value] = {
        OPERATION: operation,
        "gen_ai.request.max_tokens": most,
        "gen_ai.request.temperature": temperature,
        "gen_ai.request.top_p": top_p,
        "gen_ai.request.stream": stream,
        "gen_ai.output.type": "json" if json else "text",
        **(_model(of) if of else {PROVIDER: "slipway"}),
    }
    return f"{operation} {of[0] if of else 'none'}", Shared(found)


@lru_cache(256)
def _embedding(of: Of) -> tuple[str, Shared]:
    return f"{EMBEDDINGS} {of[0]}", Shared({OPERATION: EMBEDDINGS, **_model(of)})


def _of(pin: ModelPin) -> Of:
    address = pin.options.get("base_url")
    return model_name(pin), pin.engine, pin.name, address if isinstance(address, str) else ""


def _model(of: Of) -> Mapping[str, Value]:
    """What is the same whenever a model is asked. An engine that is none of a known provider's is its own."""
    model, engine, name, address = of
    found: dict[str, Value] = {PROVIDER: engine, MODEL: model, "slipway.model": name}
    parts = urlsplit(address)
    if parts.hostname:
        found["server.address"] = parts.hostname
        found["server.port"] = parts.port or (443 if parts.scheme == "https" else 80)
    return found
