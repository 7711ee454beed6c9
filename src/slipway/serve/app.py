"""The ASGI application: who may ask, which function answers, headers and counts of every answer.

The endpoints where models answer are plain functions; the rest (`admin.routes`) is a FastAPI application behind them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from slipway.core.spans import answering, following
from slipway.core.trace import Feedback, Trace
from slipway.errors import NotFound, SlipwayError
from slipway.i18n import t
from slipway.privacy.redact import Redactor
from slipway.privacy.secrets import named
from slipway.serve.admin.routes import Inside, make_admin
from slipway.serve.auth.caller import NOBODY
from slipway.serve.auth.failed_sign_ins import Throttle
from slipway.serve.auth.keys import Keys
from slipway.serve.auth.origins import Origins
from slipway.serve.auth.sign_in import SignIn, check_same_origin
from slipway.serve.connection.call import Call, Receive, Scope, Send, preflight_headers
from slipway.serve.gateway.aside import Aside
from slipway.serve.gateway.concurrency import Slots
from slipway.serve.gateway.endpoints import Gateway
from slipway.serve.gateway.router import Router
from slipway.serve.prometheus import Metrics
from slipway.serve.recording.bodies import Bodies
from slipway.serve.recording.model_calls import as_kept
from slipway.serve.recording.recorder import Recorder
from slipway.serve.refuse import Refused, bad, draining, refusal, unexpected
from slipway.serve.resources import ServeContext
from slipway.serve.telemetry.telemetry import Telemetry

log = logging.getLogger("slipway.serve")

OPEN = frozenset(("/healthz", "/readyz", "/openapi.json", "/v1/sign-in"))
"""Paths that need no key: orchestrators ask the first two, the third says nothing about this server, and at the last
one a key is given."""
KEYS_EVERY = 1.0
SWITCH_INTERVAL = 0.0005
"""Seconds after which a busy thread lets another run: the writer of traces must not wait 5 ms, Python's default."""


class Application:
    """The ASGI callable. `start` and `stop` are called by the ASGI lifespan; `draining` refuses new work."""

    def __init__(self, context: ServeContext) -> None:
        config = context.config
        self.context = context
        self.metrics = Metrics()
        self._bodies = Bodies(config.bodies, context.store.salt if config.bodies < 1 else b"")
        self._redactor = redactor(context)
        self.slots = Slots(config.parallel, config.queue)
        self.recorder = Recorder(
            context.store.catalog,
            strict=config.durability == "strict",
            on_commit=self._committed,
            clean=self._clean,
        )
        self.metrics.free.set_function(lambda: self.recorder.room.free)
        self.telemetry = self._telemetry(context)
        self.router = Router(context, self.metrics)
        self.keys = Keys(context.store, config)
        self.origins = Origins(config)
        self.throttle = Throttle()
        self.sign_in = SignIn(lambda: context.store.salt, self.keys.hash_of)
        self.draining = False
        self._running: set[asyncio.Task[Any]] = set()
        self._cut: set[asyncio.Task[Any]] = set()
        self._failed_before = 0
        gateway = Gateway(context, self.router, self.slots, self.recorder, self.metrics, self._bodies)
        self._posts: dict[str, Callable[[Call], Awaitable[None]]] = {
            "/v1/chat/completions": gateway.chat,
            "/v1/completions": gateway.completions,
            "/v1/embeddings": gateway.embeddings,
            "/generate": gateway.generate,
            "/v1/feedback": gateway.feedback,
        }
        inside = Inside(
            context.store, self.router, self.slots, self.metrics, self.trouble, context.session.trouble,
            Redactor(own=context.session.own), self.keys, self.sign_in, self._refused_key,
            Aside(context.session, self.slots, config.deadline, lambda: self.draining), self.recorder, self.telemetry,
        )  # fmt: skip
        self._admin = make_admin(inside)
        self._console = context.console(inside) if context.console else None
        self._tasks: list[asyncio.Task[None]] = []

    # -- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the writer of traces, and begin to follow the channel."""
        sys.setswitchinterval(SWITCH_INTERVAL)
        self.recorder.start()
        if self.telemetry is not None:
            self.telemetry.start()
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self.router.follow()), loop.create_task(self._follow_keys())]

    async def stop(self) -> None:
        """Write what is pending, stop the engines. Idempotent."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.recorder.close()
        if self.telemetry is not None:
            await asyncio.to_thread(self.telemetry.close)
        await self.context.session.close()

    def _clean(self, record: Trace | Feedback) -> Trace | Feedback:
        """What may be kept of a record."""
        return self._clean_trace(record) if isinstance(record, Trace) else self._redactor.feedback(record)

    def _clean_trace(self, trace: Trace) -> Trace:
        return as_kept(self._bodies.trace(trace), self._redactor.trace)

    def _telemetry(self, context: ServeContext) -> Telemetry | None:
        config = context.config.telemetry
        if config.endpoint is None:
            return None
        context.session.own.learn(context.telemetry_headers.values())
        return Telemetry(context.project, config, context.telemetry_headers, self.metrics.sent, self._clean_trace)

    async def _follow_keys(self) -> None:
        while True:
            await asyncio.sleep(KEYS_EVERY)
            with contextlib.suppress(Exception):  # the keys known before stay in force
                await asyncio.to_thread(self.keys.refresh)

    @property
    def in_flight(self) -> int:
        """Requests that have not been answered yet."""
        return len(self._running)

    def cut(self) -> None:
        """End what runs: each client gets a clean 503, each trace is written. Called again, it leaves alone what is
        ending already: a second cancellation would reach the writing of the trace.
        """
        for task in self._running - self._cut:
            task.cancel()
        self._cut = set(self._running)

    def trouble(self) -> str:
        """Why this server is not ready; empty when it is."""
        if self.draining:
            return t("the server is shutting down")
        return self.recorder.trouble if self.router.current is not None else self.router.trouble

    def _committed(self, records: int, seconds: float) -> None:
        self.metrics.commit.observe(seconds)
        failed, self._failed_before = self.recorder.failed - self._failed_before, self.recorder.failed
        if failed:
            self.metrics.records.labels("failed").inc(failed)
        self.metrics.records.labels("written").inc(records - failed)

    # -- requests -----------------------------------------------------------------------------------------------------

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http":
            call = Call(scope, receive, send)
            task: Any = asyncio.current_task()
            self._running.add(task)
            try:
                await self._serve(call, scope)
            finally:
                self._running.discard(task)
            if call.endpoint in self._posts:
                self.metrics.request(call.endpoint, call.model, call.status, call.seconds)
                if call.began:
                    self.metrics.overhead.observe(call.overhead)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _serve(self, call: Call, scope: Scope) -> None:
        try:
            if await self._let_in(call):
                return
            handler = self._posts.get(call.path) if call.method == "POST" else None
            if handler is None:
                scope["caller"] = call.caller
                behind = self._console if self._console is not None and _for_console(call.path) else self._admin
                await behind(scope, call.receive, _marked(call))
                return
            call.caller.require("ask")
            call.endpoint = call.path
            if self.draining:
                raise draining()
            self.recorder.require()
            if call.parent:
                await self._own_trace(call)
            await self._handle(call, handler)
        except SlipwayError as error:
            refused = refusal(error)
            await call.answer(refused.status, refused.json(), extra=refused.headers)
        except asyncio.CancelledError:  # before the handler began, or after it ended
            if self.draining and not call.status:
                refused = draining()
                await call.answer(refused.status, refused.json(), extra=refused.headers)
            raise
        except Exception:
            log.exception("unexpected", extra={"trace": call.trace, "path": call.path[:200]})
            if not call.status:
                await call.answer(500, unexpected().json())

    async def _handle(self, call: Call, handler: Callable[[Call], Awaitable[None]]) -> None:
        answering(call.trace)
        if self.telemetry is None:
            await handler(call)
            return
        followed = self.telemetry.begin(call)
        try:
            with following(followed):
                await handler(call)
        finally:
            self.telemetry.finish(call, followed)

    async def _let_in(self, call: Call) -> bool:
        """Check Host, Origin and key; raises Refused. True when this was a preflight, and is answered."""
        if call.twice:
            raise bad(
                t("a header that may occur once occurs twice"),
                t("send one Host, one Authorization, one Origin, one Cookie"),
            )
        host = call.header(b"host")
        self.origins.check_host(host)
        if b"origin" in call.headers and self.origins.check_origin(call.header(b"origin"), host):
            call.cors = call.headers[b"origin"]
            if call.method == "OPTIONS" and b"access-control-request-method" in call.headers:
                await call.answer(204, b"", extra=preflight_headers())
                return True
        if self.keys.required:
            self._find_caller(call)
        return False

    def _find_caller(self, call: Call) -> None:
        """Find out who asks: by the key in its header, or by the cookie it got for one. Raises Refused: 401, 403 for a
        cookie on a page that is not ours, or 429 after many wrong keys from one address.
        """
        header = call.header(b"authorization")
        if not header and b"cookie" in call.headers:
            found = self.keys.caller(self.sign_in.key_of(call.header(b"cookie")))
            if found is not None:
                check_same_origin(call.method, call.header(b"origin"), call.header(b"host"))
                call.caller = found
                return
        if call.path in OPEN or (self._console is not None and _for_console(call.path) and not header):
            call.caller = NOBODY
            return
        try:
            call.caller = self.keys.check(header)
        except Refused as refused:
            raise self._refused_key(call.address, call.path, given=bool(header)) or refused from None

    def _refused_key(self, address: str, path: str, *, given: bool) -> Refused | None:
        """Count a key that was wrong, or missing; a refusal when the address has to wait."""
        slowed = self.throttle.failed(address, path) if given else None
        self.metrics.auth_failures.labels("throttled" if slowed else "invalid" if given else "missing").inc()
        return slowed

    async def _own_trace(self, call: Call) -> None:
        """A client may send several requests under one `traceparent`; only the first can have its trace id."""
        if not self.recorder.pending(call.trace):
            try:
                await asyncio.to_thread(self.context.store.catalog.trace, call.trace)
            except NotFound:
                return
        call.renew_trace()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self.start()
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return


def redactor(context: ServeContext) -> Redactor:
    """What this server keeps of requests and answers; it knows the secrets of every model."""
    own = context.session.own
    for pin in context.models.values():
        own.learn(named(pin.options))
    mode = context.config.redact
    return Redactor(mode, own, context.store.salt if mode == "hash" else b"")


def create_app(context: ServeContext) -> Application:
    """The ASGI application for a project. Raises MissingPrerequisite when it needs API keys and there are none."""
    application = Application(context)
    application.keys.check_start(context.config.host)
    return application


def _for_console(path: str) -> bool:
    """Pages for people; whoever has not signed in is asked to there."""
    return path == "/console" or path.startswith("/console/")


def _marked(call: Call) -> Send:
    """`send`, with our headers on the answer of the application behind."""

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            call.status = message["status"]
            message = {**message, "headers": [*message.get("headers", ()), *call.marks()]}
        await call.send(message)

    return send
