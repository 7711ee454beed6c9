"""What answering needs, loaded once and shared: engines by model, indexes by dataset. Knows no task and no stage."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec

from slipway.core.artifact import ADAPTER
from slipway.core.candidate import Candidate, FewShot, ModelPin, Retrieval
from slipway.core.message import Usage
from slipway.core.protocols import Embeds, Engine, OnEvent, Ranks, Strategy, Task, TellsTrouble, Tool, missing
from slipway.core.ref import digest_of
from slipway.errors import IntegrityError, SlipwayError
from slipway.i18n import t
from slipway.plugins import Plugins, reporting
from slipway.privacy import secrets
from slipway.runtime.guard import Guarded
from slipway.runtime.retrieve import Retriever, indexes_key
from slipway.store.models.content import State, changed, check_loaded
from slipway.store.store import Store

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RETIRED_SECONDS = 130.0
"""After which an engine that was replaced is closed: longer than a request may take (`serve.deadline` is 120 s)."""
Locate = Callable[[ModelPin], Mapping[str, Path]]
"""Where a model's files lie on this machine; raises MissingPrerequisite (not pulled) or IntegrityError."""

Cost = Callable[[ModelPin | None, Usage, float], tuple[float, str]]
"""(model or None, tokens, seconds) -> (amount, ISO 4217 currency); the currency is empty when nothing has a price."""


class Session:
    """Engines and retrievers, started on first use, shared by concurrent requests, closed together.

    Belongs to one event loop. `on_event` hears what a person may want to know: an engine that was restarted, ...
    `own` holds the secrets that engines were given.
    """

    def __init__(
        self,
        store: Store,
        locate: Locate,
        cost: Cost = lambda pin, usage, seconds: (0.0, ""),
        on_event: OnEvent | None = None,
        plugins: Plugins | None = None,
    ) -> None:
        self.plugins = plugins or Plugins()
        self.store = store
        self.cost = cost
        self.own = secrets.Own(secrets.of_environment())
        self._locate = locate
        self._on_event = on_event
        self._engines: dict[str, Engine] = {}
        self._loaded: dict[str, tuple[Mapping[str, Path], ModelPin, dict[Path, State]]] = {}
        self._retrievers: dict[str, Retriever] = {}
        self._adapters: dict[str, dict[str, str]] = {}  # of each base, all that were asked for
        self._held: dict[str, frozenset[str]] = {}  # those that its engine has
        self._files: dict[str, Mapping[str, Path]] = {}
        self._retired: set[asyncio.Task[None]] = set()
        self._plugged: dict[tuple[str, str, str], Any] = {}
        self._pools: dict[str, NDArray[np.float32]] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._asking: asyncio.Future[str] | None = None

    def expect(self, candidates: Iterable[Candidate]) -> None:
        """These will be asked: adapters on one base are loaded together, when the first of them is needed."""
        for candidate in candidates:
            if candidate.model is None:
                continue
            self._adapters.setdefault(_key(candidate.model), {}).update(candidate.adapter_files)

    async def engine(self, pin: ModelPin, adapters: Mapping[str, str] | None = None) -> Engine:
        """The started engine for a model, with these adapters (name -> sha256) among others. Two pins that differ only
        in name share one engine, and so do those that differ in adapters: where one comes that the engine does not
        hold, another engine that holds all of them takes its place, and what it is doing is let finish.
        """
        key, adapters = _key(pin), adapters or {}
        if key not in self._engines or not adapters.keys() <= self._held[key]:
            async with self._locks.setdefault(key, asyncio.Lock()):
                if key not in self._engines or not adapters.keys() <= self._held[key]:
                    wanted = self._adapters.setdefault(key, {})
                    wanted.update(adapters)
                    engine = await self._load(key, pin, dict(wanted))
                    before, self._engines[key] = self._engines.get(key), engine
                    self._held[key] = frozenset(wanted)
                    if before is not None:
                        self._retire(before)
        return self._engines[key]

    async def model(self, candidate: Candidate) -> Engine | None:
        """The started engine that a candidate asks; None for one that answers without a model. Its encoder and its
        files are made ready, too.
        """
        if candidate.encoder:
            await self.engine(candidate.encoder)
        if candidate.files:
            await self.files(candidate)
        return await self.engine(candidate.model, candidate.adapter_files) if candidate.model else None

    async def files(self, candidate: Candidate) -> Mapping[str, Path]:
        """What the candidate's strategy reads; every byte is checked once. Raises IntegrityError."""
        key = digest_of(candidate.files)
        if key not in self._files:

            def read() -> Mapping[str, Path]:
                found = self.store.named(candidate.files)
                check_loaded(found, candidate.files)
                return found

            self._files[key] = await asyncio.to_thread(read)
        return self._files[key]

    async def following(self, pin: ModelPin) -> Callable[[], Engine]:
        """Load a model; what is returned gives the engine that answers for it, whichever that is by then."""
        await self.engine(pin)
        key = _key(pin)
        return lambda: self._engines[key]

    def _retire(self, engine: Engine) -> None:
        """Close an engine that another one replaced, once no request can still be answered by it."""

        async def close() -> None:
            try:
                await asyncio.sleep(RETIRED_SECONDS)
            finally:
                await asyncio.shield(engine.close())

        task = asyncio.create_task(close())
        self._retired.add(task)
        task.add_done_callback(self._retired.discard)

    def task(self, candidate: Candidate) -> Task:
        """What the candidate does, made from its plug-in once."""
        return self._made("tasks", candidate.task, candidate.task_options)

    def strategy(self, candidate: Candidate) -> Strategy:
        """How it does it."""
        return self._made("strategies", candidate.strategy, candidate.strategy_options)

    def tools(self, candidate: Candidate) -> dict[str, Tool]:
        """What its model may call, by the names that the tools give themselves."""
        made = [self._made("tools", pin.tool, pin.options) for pin in candidate.tools]
        return {tool.name: tool for tool in made}

    def _made(self, kind: str, name: str, options: Mapping[str, Any]) -> Any:
        key = (kind, name, digest_of(options) if options else "")
        if key not in self._plugged:
            self._plugged[key] = self.plugins.make(kind, name, options, name)
        return self._plugged[key]

    async def embedder(self, pin: ModelPin) -> Embeds:
        """`engine`, for vectors. Raises EngineError when its engine makes none."""
        engine = await self.engine(pin)
        if isinstance(engine, Embeds):
            return engine
        raise missing(pin.name, "embed")

    async def ranker(self, pin: ModelPin) -> Ranks:
        """`engine`, to order texts. Raises EngineError when its engine ranks nothing."""
        engine = await self.engine(pin)
        if isinstance(engine, Ranks):
            return engine
        raise missing(pin.name, "rank")

    async def _load(self, key: str, pin: ModelPin, adapters: Mapping[str, str]) -> Engine:
        """Read every byte of the model's files, then load it. Raises IntegrityError for bytes that are not pinned."""
        more = {f"{name}{ADAPTER}": sha256 for name, sha256 in adapters.items()}
        model, pin = pin, msgspec.structs.replace(pin, files={**pin.files, **more})

        def read() -> tuple[Mapping[str, Path], dict[Path, State]]:
            files = {**self._locate(model), **(self.store.named(more) if more else {})}
            return files, check_loaded(files, pin.files)

        files, states = await asyncio.to_thread(read)
        engine = self._guarded(pin, make_engine(pin, files, self._on_event, self.plugins))
        try:
            with reporting("engines", pin.engine):
                await engine.start()
            if changed(states):  # between being read here and being loaded by a process of its own
                raise IntegrityError(
                    t("the files of '{name}' were changed while it was loaded", name=pin.name),
                    t("run the same command again"),
                )
        except BaseException:
            await engine.close()
            raise
        self._loaded[key] = (files, pin, states)
        return engine

    def _guarded(self, pin: ModelPin, engine: Engine) -> Engine:
        given = secrets.named(pin.options)
        self.own.learn(given)
        return cast("Engine", Guarded(engine, self.own)) if given else engine

    async def recheck(self) -> SlipwayError | None:
        """Look at the files of every loaded model; end an engine whose files changed to other bytes, and say why.

        A changed index is built again. A model file is mapped into memory, and read again when a child process is
        restarted: what changes on disk would change answers.
        """
        for key, retriever in list(self._retrievers.items()):
            if not await asyncio.to_thread(retriever.sound):
                self._retrievers.pop(key, None)  # a cache: the next question builds it again
        lost: SlipwayError | None = None
        for key, (files, pin, states) in list(self._loaded.items()):
            if not changed(states):
                continue
            try:
                states = await asyncio.to_thread(check_loaded, files, pin.files)
                self._loaded[key] = (files, pin, states)
            except SlipwayError as error:
                lost = error
                del self._loaded[key]
                engine = self._engines.pop(key)
                self._retrievers.clear()
                await engine.close()
        return lost

    async def retriever(self, retrieval: Retrieval) -> Retriever:
        """The loaded passages and indexes that a candidate retrieves from."""
        embedder = await self.embedder(retrieval.embedder) if retrieval.embedder else None
        key = indexes_key(retrieval)
        if key not in self._retrievers:
            async with self._locks.setdefault(key, asyncio.Lock()):
                if key not in self._retrievers:
                    self._retrievers[key] = await Retriever.open(self.store, retrieval, embedder, plugins=self.plugins)
        return self._retrievers[key]

    async def nearest_examples(self, few_shot: FewShot, text: str, task: Task) -> list[dict[str, Any]]:
        """The `k` examples of the pool most like a text, the most like it last: next to where the input stands."""
        assert few_shot.embedder is not None
        engine = await self.embedder(few_shot.embedder)
        key = digest_of(few_shot)
        if key not in self._pools:
            self._pools[key] = await engine.embed([task.text(e) for e in few_shot.examples])
        similarity = self._pools[key] @ (await engine.embed([text]))[0]
        chosen = similarity.argsort(kind="stable")[::-1][: few_shot.k]
        return [few_shot.examples[int(i)] for i in reversed(chosen)]

    async def trouble(self) -> str:
        """Why an engine that was started cannot answer now; empty when all can. Takes about a second at most, and asks
        once for all who want to know at the same time.
        """
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(self._ask())
        return await asyncio.shield(self._asking)

    async def _ask(self) -> str:
        able = [engine for engine in self._engines.values() if isinstance(engine, TellsTrouble)]
        return next(filter(None, await asyncio.gather(*(engine.trouble() for engine in able))), "")

    async def close(self) -> None:
        """Stop every engine; child processes are gone when this returns."""
        engines, self._engines, self._retrievers, self._loaded = list(self._engines.values()), {}, {}, {}
        retired = list(self._retired)
        for task in retired:
            task.cancel()
        await asyncio.gather(*(engine.close() for engine in engines))
        await asyncio.gather(*retired, return_exceptions=True)


def _key(pin: ModelPin) -> str:
    return digest_of(msgspec.structs.replace(pin, name=""))


def make_engine(
    pin: ModelPin,
    files: Mapping[str, Path],
    on_event: OnEvent | None = None,
    plugins: Plugins | None = None,
) -> Engine:
    """An engine, not yet started, from its plug-in and its typed options. Raises ConfigError for a wrong option."""
    more = {"name": pin.name, "files": dict(files), "on_event": on_event}
    return (plugins or Plugins()).make("engines", pin.engine, pin.options, f"models.{pin.name}", **more)


def engine_config(model: str, engine: str, options: Mapping[str, Any], plugins: Plugins | None = None) -> Any:
    """The engine's own options, checked by its Config. Raises ConfigError naming each wrong key."""
    return (plugins or Plugins()).config("engines", engine, options, f"models.{model}")
