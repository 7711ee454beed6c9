"""Which model name means what: the channel, a pinned release, a raw model. Owns the switch from one release to the
next: the new one is verified and loaded first, then new requests go to it, while old ones finish where they began.
"""

from __future__ import annotations

import asyncio
import logging
from time import monotonic

from slipway.core.candidate import Candidate, ModelPin
from slipway.core.protocols import Engine
from slipway.core.release import Release
from slipway.errors import NotFound, SlipwayError, nearest
from slipway.i18n import t
from slipway.serve.context import ServeContext
from slipway.serve.metrics import Metrics
from slipway.serve.refuse import Refused

log = logging.getLogger("slipway.serve")

LOOK_EVERY = 0.5
"""Seconds between two looks at where the channel points."""
TRY_AGAIN = 30.0
"""Seconds after which a release that could not serve is tried again: a model may have been pulled since."""
MAX_PINNED = 8


class Raw:
    """A model asked by its own name."""

    __slots__ = ("engine", "name", "pin")

    def __init__(self, name: str, pin: ModelPin, engine: Engine) -> None:
        self.name = name
        self.pin = pin
        self.engine = engine


class Served:
    """A release that was verified and whose models are loaded."""

    __slots__ = ("candidate", "channel", "digest", "name", "release")

    def __init__(self, name: str, channel: str, release: Release, candidate: Candidate) -> None:
        self.name = name
        self.channel = channel  # empty when asked by its digest
        self.release = release
        self.digest = release.digest
        self.candidate = candidate


class Router:
    """Resolves names. `current` is the release in service; `trouble` says why there is none, or no newer one."""

    def __init__(self, context: ServeContext, metrics: Metrics) -> None:
        self._context = context
        self._metrics = metrics
        self.current: Served | None = None
        self.trouble = t("the release is being verified and loaded")
        self._known: dict[str, Raw | Served] = {}
        self._pinned: dict[str, Served] = {}
        self._lock = asyncio.Lock()
        self._refused: tuple[str, float] = ("", 0.0)

    @property
    def channel_names(self) -> tuple[str, ...]:
        """The names that mean the channel: the project's and the channel's own."""
        return tuple(dict.fromkeys((self._context.project, self._context.config.channel)))

    def names(self) -> list[str]:
        """Every name that can be asked, the pinned form of the current release included."""
        served = [self._context.project, f"{self._context.project}@{self.current.digest}"] if self.current else []
        return [*served, *(name for name in self._context.models if name not in self.channel_names)]

    async def resolve(self, name: str) -> Raw | Served:
        """What answers to `name`. Raises Refused (404 with near names, 503 while nothing serves) or SlipwayError."""
        known = self._known.get(name)
        if known is not None:
            return known
        if name in self.channel_names:
            raise Refused(
                503,
                t("'{name}' has no release in service: {why}", name=name, why=self.trouble),
                t("`slipway run` makes one; `slipway release list` shows what there is"),
                code="not_ready",
                retry_after=2,
            )
        base, at, digest = name.partition("@")
        if at:
            return await self._pin(name, base, digest)
        if name in self._context.models:
            pin = self._context.models[name]
            raw = Raw(name, pin, await self._context.session.engine(pin))
            self._known[name] = raw
            return raw
        near = nearest(name, self.names())
        raise Refused(
            404,
            t("no model is called '{name}'", name=name[:100]),
            (t("did you mean '{near}'?", near=near) + " " if near else "")
            + t("known: {names}", names=", ".join(self.names()) or "-"),
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
        if base not in (release.name, *self.channel_names):
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
        await session.engine(candidate.model)
        if candidate.retrieve:
            await session.retriever(candidate.retrieve)
        if candidate.few_shot and candidate.few_shot.embedder:
            await session.engine(candidate.few_shot.embedder)
        return Served(name, channel, release, candidate)

    # -- the channel --------------------------------------------------------------------------------------------------

    async def follow(self) -> None:
        """Keep `current` where the channel points, for ever."""
        while True:
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 -- a catalog that cannot be read now must not end the watch
                log.error("channel not read", extra={"why": f"{type(error).__name__}: {error}"})
            await asyncio.sleep(LOOK_EVERY)

    async def look(self) -> None:
        """Look once; put the channel's release into service when it is another one."""
        channel = self._context.config.channel
        digest = (await asyncio.to_thread(self._context.store.catalog.channels)).get(channel)
        if digest is None:
            if self.current is None:
                self.trouble = t("the channel '{channel}' points at no release", channel=channel)
            return
        if self.current is not None and self.current.digest == digest:
            return
        if self._refused[0] == digest and monotonic() < self._refused[1]:
            return
        try:
            async with self._lock:
                release = self._context.store.catalog.release(digest)
                served = await self._load(release, self._context.project, channel)
        except SlipwayError as error:
            self._refuse(digest, error)
            return
        self._switch(served)

    def _switch(self, served: Served) -> None:
        before, self.current = self.current, served
        self._refused, self.trouble = ("", 0.0), ""
        for name in self.channel_names:
            self._known[name] = served
        if before is not None:
            self._metrics.release.remove(before.channel, before.digest)
        self._metrics.release.labels(served.channel, served.digest).set(1)
        log.info(
            "release in service",
            extra={"channel": served.channel, "release": served.digest, "before": before.digest if before else ""},
        )

    def _refuse(self, digest: str, error: SlipwayError) -> None:
        """The old release keeps serving; metric, log and /readyz tell."""
        channel = self._context.config.channel
        self.trouble = f"{error.message}. {error.hint}" if error.hint else error.message
        if self._refused[0] != digest:
            self._metrics.refused.labels(channel).inc()
            log.error(
                "release refused",
                extra={
                    "channel": channel,
                    "release": digest,
                    "why": self.trouble,
                    "still": self.current.digest if self.current else "",
                },
            )
        self._refused = (digest, monotonic() + TRY_AGAIN)
