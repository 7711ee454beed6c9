"""Which model name means what: a channel, a pinned release, a raw model. Owns the switch from one release to the
next: the new one is verified and loaded first, then new requests go to it, while old ones finish where they began.
Each channel is followed by itself: one that cannot load its release holds up no other.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from time import monotonic

from slipway.core.candidate import Candidate, ModelPin
from slipway.core.protocols import Engine
from slipway.core.release import Release, check_channel
from slipway.errors import ConfigError, NotFound, SlipwayError, instead
from slipway.i18n import t
from slipway.serve.prometheus import Metrics
from slipway.serve.refuse import Refused
from slipway.serve.resources import ServeContext

log = logging.getLogger("slipway.serve")

LOOK_EVERY = 0.5
"""Seconds between two looks at where the channel points."""
TRY_AGAIN = 30.0
"""Seconds after which a release that could not serve is tried again: a model may have been pulled since."""
MAX_PINNED = 8
_DIGEST = re.compile(r"[0-9a-fA-F]{8,64}")


class Raw:
    """A model asked by its own name."""

    __slots__ = ("_engine", "name", "pin")

    def __init__(self, name: str, pin: ModelPin, engine: Callable[[], Engine]) -> None:
        self.name = name
        self.pin = pin
        self._engine = engine

    @property
    def engine(self) -> Engine:
        """What answers now."""
        return self._engine()


class Served:
    """A release that was verified and whose models are loaded."""

    __slots__ = ("candidate", "channel", "digest", "name", "release")

    def __init__(self, name: str, channel: str, release: Release, candidate: Candidate) -> None:
        self.name = name
        self.channel = channel  # empty when asked by its digest
        self.release = release
        self.digest = release.digest
        self.candidate = candidate


class Channel:
    """A channel as it is followed: the release in service, and why there is none, or no newer one."""

    __slots__ = ("current", "name", "refused", "task", "trouble")

    def __init__(self, name: str) -> None:
        self.name = name
        self.current: Served | None = None
        self.trouble = t("the release is being verified and loaded")
        self.refused: tuple[str, float] = ("", 0.0)  # a release that could not serve, and when it is tried again
        self.task: asyncio.Task[None] | None = None  # loading a release

    @property
    def loading(self) -> bool:
        """Whether a release is on its way into service."""
        return self.task is not None and not self.task.done()


class Router:
    """Resolves names. The project's name means the channel of `serve.channel`, `project@channel` means any other."""

    def __init__(self, context: ServeContext, metrics: Metrics) -> None:
        self._context = context
        self._metrics = metrics
        self._own = Channel(context.config.channel)
        metrics.refused.labels(self._own.name)  # 0 from the start
        self._channels = {self._own.name: self._own}
        self._known: dict[str, Raw | Served] = {}  # what is asked often, by every name it has
        self._pinned: dict[str, Served] = {}
        self._lock = asyncio.Lock()

    @property
    def current(self) -> Served | None:
        """The release in service on `serve.channel`."""
        return self._own.current

    @property
    def trouble(self) -> str:
        """Why `serve.channel` has no release in service, or no newer one; empty when all is well."""
        return self._own.trouble

    def names(self) -> list[str]:
        """Every name that can be asked, the pinned form of the current release included."""
        project, current = self._context.project, self._own.current
        served = [project, f"{project}@{current.digest}"] if current else []
        served += [f"{project}@{name}" for name, one in self._channels.items() if one.current]
        return [*served, *(name for name in self._context.models if name not in self._names_of(self._own))]

    def _names_of(self, channel: Channel) -> tuple[str, ...]:
        """The names that mean a channel; that of `serve.channel` is also meant by the project's name and its own."""
        project = self._context.project
        own = (project, channel.name) if channel is self._own else ()
        return tuple(dict.fromkeys((*own, f"{project}@{channel.name}")))

    async def resolve(self, name: str) -> Raw | Served:
        """What answers to `name`. Raises Refused (404 with near names, 503 while nothing serves) or SlipwayError."""
        known = self._known.get(name)
        if known is not None:
            return known
        for channel in self._channels.values():
            if name in self._names_of(channel):
                raise Refused(
                    503,
                    t("'{name}' has no release in service: {why}", name=name, why=channel.trouble),
                    t("it takes some seconds: ask again")
                    if channel.loading
                    else t("`slipway run` makes one; `slipway release list` shows what there is"),
                    code="not_ready",
                    retry_after=2,
                )
        base, _, digest = name.partition("@")
        if _DIGEST.fullmatch(digest):
            return await self._pin(name, base, digest)
        if name in self._context.models:
            pin = self._context.models[name]
            raw = Raw(name, pin, await self._context.session.following(pin))
            self._known[name] = raw
            return raw
        raise Refused(
            404,
            t("no model is called '{name}'", name=name[:100]),
            instead(name, self.names()),
            param="model",
            code="model_not_found",
        )

    async def _pin(self, name: str, base: str, digest: str) -> Served:
        """A release asked by name and digest (8 characters or more); verified and loaded on first use."""
        pinned = self._pinned.get(name)
        if pinned is not None:
            return pinned
        async with self._lock:
            release = self._find(base, digest)
            served = await self._load(release, name, "")
            while len(self._pinned) >= MAX_PINNED:
                self._pinned.pop(next(iter(self._pinned)))
            self._pinned[name] = served
            return served

    def _find(self, base: str, digest: str) -> Release:
        hint = t("`slipway release list` shows what there is")
        try:
            release = self._context.store.catalog.release(digest)
        except NotFound as error:
            raise Refused(
                404,
                t("no release of '{name}' has the digest '{digest}'", name=base[:64], digest=digest[:64]),
                hint,
                param="model",
                code="model_not_found",
            ) from error
        if base not in (release.name, self._context.project, self._own.name):
            raise Refused(
                404,
                t("release {digest} belongs to '{name}'", digest=digest[:12], name=release.name),
                hint,
                param="model",
                code="model_not_found",
            )
        return release

    async def _load(self, release: Release, name: str, channel: str) -> Served:
        """Verify every byte, then start what the candidate needs. Raises SlipwayError."""
        await asyncio.to_thread(self._context.verify, release)
        catalog, session = self._context.store.catalog, self._context.session
        candidate = catalog.get("candidate", release.candidate.digest, Candidate)
        await session.model(candidate)
        if candidate.retrieve:
            await session.retriever(candidate.retrieve)
            if candidate.retrieve.reranker:
                await session.ranker(candidate.retrieve.reranker)
        if candidate.few_shot and candidate.few_shot.embedder:
            await session.engine(candidate.few_shot.embedder)
        return Served(name, channel, release, candidate)

    # -- the channels -------------------------------------------------------------------------------------------------

    async def follow(self) -> None:
        """Keep every channel's release where the channel points, until cancelled."""
        try:
            while True:
                try:
                    await self._watch_files()
                    await self.look()
                except Exception as error:  # noqa: BLE001 -- a catalog that cannot be read now must not end the watch
                    log.error("channels not read", extra={"why": f"{type(error).__name__}: {error}"})
                await asyncio.sleep(LOOK_EVERY)
        finally:
            tasks = [channel.task for channel in self._channels.values() if channel.task]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch_files(self) -> None:
        """When a model's files were changed under it, end its service; `look` verifies and loads again."""
        lost = await self._context.session.recheck()
        if lost is None:
            return
        log.error("model files changed", extra={"why": lost.message})
        self._known.clear()
        self._pinned.clear()
        for channel in self._channels.values():
            before, channel.current, channel.trouble = channel.current, None, lost.message
            if before is not None:
                self._metrics.release.remove(before.channel, before.digest)

    async def look(self) -> None:
        """Look once; begin to load the releases of channels that point at another one than is in service."""
        found = await asyncio.to_thread(self._context.store.catalog.channels)
        if self._own.name not in found and self._own.current is None:
            self._own.trouble = t("the channel '{channel}' points at no release", channel=self._own.name)
        for name, digest in sorted(found.items(), key=lambda one: one[0] != self._own.name):
            channel = self._channels.get(name)
            if channel is None:
                if not _is_name(name):  # from before names were checked
                    continue
                channel = self._channels[name] = Channel(name)
            if self._due(channel, digest):
                channel.task = asyncio.ensure_future(self._follow_to(channel, digest))

    def _due(self, channel: Channel, digest: str) -> bool:
        """Whether a channel should load the release that it points at now."""
        if channel.task is not None and not channel.task.done():
            return False
        if channel.current is not None and channel.current.digest == digest:
            channel.refused, channel.trouble = ("", 0.0), ""  # back from a release that could not serve
            return False
        return channel.refused[0] != digest or monotonic() >= channel.refused[1]

    async def _follow_to(self, channel: Channel, digest: str) -> None:
        project = self._context.project
        try:
            release = await asyncio.to_thread(self._context.store.catalog.release, digest)
            name = project if channel is self._own else f"{project}@{channel.name}"
            served = await self._load(release, name, channel.name)
        except SlipwayError as error:
            self._refuse(channel, digest, f"{error.message}. {error.hint}" if error.hint else error.message)
        except Exception as error:  # a plug-in may fail in any way: the old release keeps serving
            log.exception("release not loaded", extra={"channel": channel.name, "release": digest})
            self._refuse(channel, digest, f"{type(error).__name__}: {error}")
        else:
            self._switch(channel, served)

    def _switch(self, channel: Channel, served: Served) -> None:
        before, channel.current = channel.current, served
        channel.refused, channel.trouble = ("", 0.0), ""
        for name in self._names_of(channel):
            self._known[name] = served
        if before is not None:
            self._metrics.release.remove(before.channel, before.digest)
        self._metrics.release.labels(served.channel, served.digest).set(1)
        log.info(
            "release in service",
            extra={"channel": served.channel, "release": served.digest, "before": before.digest if before else ""},
        )

    def _refuse(self, channel: Channel, digest: str, why: str) -> None:
        """The old release keeps serving; metric, log and /readyz tell."""
        channel.trouble = why
        if channel.refused[0] != digest:
            self._metrics.refused.labels(channel.name).inc()
            log.error(
                "release refused",
                extra={
                    "channel": channel.name,
                    "release": digest,
                    "why": why,
                    "still": channel.current.digest if channel.current else "",
                },
            )
        channel.refused = (digest, monotonic() + TRY_AGAIN)


def _is_name(name: str) -> bool:
    try:
        return bool(check_channel(name))
    except ConfigError:
        return False
