"""A model, or what a tuner made of it, loaded by the engine that will serve it. Knows no training."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from slipway.core.artifact import ADAPTER, Made
from slipway.core.candidate import ModelPin
from slipway.core.message import Completion, GenerateRequest, Message
from slipway.core.protocols import Engine, TellsTokens, missing
from slipway.errors import ConfigError
from slipway.i18n import t
from slipway.plugins import Plugins, reporting
from slipway.runtime.respond import complete
from slipway.runtime.session import make_engine

T = TypeVar("T")
Wait = Callable[[Coroutine[Any, Any, Any]], Any]
_AT_ONCE = 8  # requests that are under way; an engine lets them wait in the order they came


class ServedModel:
    """`core.protocols.Served`. `adapters`: what each request is answered with."""

    def __init__(self, name: str, engine: Engine, adapters: Mapping[str, float], wait: Wait) -> None:
        self._name, self._engine, self._adapters, self._wait = name, engine, dict(adapters), wait

    def prompts(self, conversations: Sequence[Sequence[Message]]) -> list[list[int]]:
        """As the engine reads them."""
        engine = self._telling()
        requests = [GenerateRequest(messages=tuple(turns)) for turns in conversations]
        return self._each(requests, engine.prompt_ids)

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """As the engine reads them."""
        return self._each(texts, self._telling().token_ids)

    def texts(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """As the engine spells them."""
        return self._each(ids, self._telling().text_of)

    def answer_tokens(self, requests: Sequence[GenerateRequest]) -> list[list[int]]:
        """As the engine generates them."""
        return self._each(self._adapted(requests), self._telling().answer_ids)

    def answers(self, requests: Sequence[GenerateRequest]) -> list[Completion]:
        """All of them, some at once."""
        return self._each(self._adapted(requests), lambda request: complete(self._engine, request))

    def _adapted(self, requests: Sequence[GenerateRequest]) -> list[GenerateRequest]:
        return [msgspec.structs.replace(request, adapters=self._adapters) for request in requests]

    def _telling(self) -> TellsTokens:
        if isinstance(self._engine, TellsTokens):
            return self._engine
        raise missing(self._name, "tokenize")

    def _each(self, given: Sequence[Any], ask: Callable[[Any], Awaitable[T]]) -> list[T]:
        async def work() -> list[T]:
            slots = asyncio.Semaphore(_AT_ONCE)

            async def one(what: Any) -> T:
                async with slots:
                    return await ask(what)

            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(what)) for what in given]
            return [task.result() for task in tasks]

        try:
            return self._wait(work())
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from errors


@contextmanager
def serving(
    base: ModelPin | None,
    made: Made | None,
    locate: Callable[[ModelPin], Mapping[str, Path]],
    plugins: Plugins,
    wait: Wait,
) -> Generator[ServedModel]:
    """The engine of the base, or of what was made, started; ended with the context.

    Raises EngineError for what it cannot load, ConfigError without a base where one is needed.
    """
    pin, files, adapters = base, dict[str, Path](), dict[str, float]()
    if made is not None and made.kind == "model":
        named = base.name if base else made.engine
        pin, files = ModelPin(name=named, engine=made.engine, source="", options=made.options), dict(made.files)
    elif base is not None:
        files = {**locate(base), **(made.files if made else {})}
        adapters = {name.removesuffix(ADAPTER): 1.0 for name in (made.files if made else {})}
    if pin is None:
        raise ConfigError(t("the candidate names no model"), t("name the model that is to be tuned"))
    engine = make_engine(pin, files, None, plugins)
    try:
        with reporting("engines", pin.engine):
            wait(engine.start())
        yield ServedModel(pin.name, engine, adapters, wait)
    finally:
        wait(engine.close())
