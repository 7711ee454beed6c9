"""The server process: socket, signals, drain. Knows no endpoint; `app` has them."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import logging
import signal
import socket
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

from slipway.errors import MissingPrerequisite
from slipway.files import why
from slipway.i18n import t
from slipway.serve.app import Application, create_app
from slipway.serve.logs import log_as_json
from slipway.serve.resources import ServeContext

if TYPE_CHECKING:
    import uvicorn

log = logging.getLogger("slipway.serve")

LATER = 2.0
"""Seconds after a request's deadline at which its connection is closed if its body still has not come."""


YOUNG = 10_000
"""Objects that may become more before Python looks for cycles among the new ones. Of its default, 700, the requests
that are being answered are many times as many: it would look through all of them again and again."""


def run(context: ServeContext, on_ready: Callable[[str], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT; returns after the drain. Call it from the main thread.

    `on_ready` is called with the address once requests are accepted (the release may still be loading: /readyz).
    Raises MissingPrerequisite: the port is taken, or keys are needed and there are none; and what `on_ready` raises.
    """
    import uvloop

    log_as_json(context.session.own)
    uvloop.run(serve(context, on_ready))


async def serve(context: ServeContext, on_ready: Callable[[str], None] | None = None) -> None:
    """`run`, in the event loop that is running."""
    application = create_app(context)
    listener = bind(context.config.host, context.config.port)
    server = make_server(application)
    drain = asyncio.ensure_future(_drain_on_signal(application, server, context.config.drain))
    begun = asyncio.ensure_future(_tell(server, listener, on_ready))
    try:
        await server.serve(sockets=[listener])
    finally:
        for task in (drain, begun):
            task.cancel()
        _, told = await asyncio.gather(drain, begun, return_exceptions=True)
        await application.stop()  # again, for a server that was told twice to end and did not get there
        listener.close()
    if isinstance(told, Exception):  # of `on_ready`, which is the caller's
        raise told


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises MissingPrerequisite when it cannot be had."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, proto)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise MissingPrerequisite(
                t("port {port} of {host} is already in use", port=port, host=host),
                t("stop what uses the port, or choose another with --port (0 takes a free one)"),
            ) from error
        raise MissingPrerequisite(
            t("cannot listen on {host}:{port}: {why}", host=host, port=port, why=why(error)),
            t("stop what uses the port, or choose another with --port (0 takes a free one)"),
        ) from error
    listener.setblocking(False)
    return listener


def address_of(listener: socket.socket) -> str:
    """The address as a URL."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def make_server(application: Application) -> uvicorn.Server:
    """A uvicorn server that leaves signals and logs to us."""
    import uvicorn

    from slipway.serve.connection.http_protocol import bounded

    limits = application.context.config

    class Server(uvicorn.Server):
        """Signals are ours: see `_drain_on_signal`."""

        @contextlib.contextmanager
        def capture_signals(self) -> Generator[None, None, None]:
            yield

    config = uvicorn.Config(
        application,  # pyright: ignore[reportArgumentType]  # ASGI's types differ in what a mapping is
        http=bounded(limits.connections, limits.deadline + LATER),
        ws="none",
        lifespan="on",
        access_log=False,
        proxy_headers=False,
        log_config=None,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=2,
        backlog=2048,
    )
    return Server(config)


async def _tell(server: uvicorn.Server, listener: socket.socket, on_ready: Callable[[str], None] | None) -> None:
    while not server.started:
        await asyncio.sleep(0.01)
    log.info("listening", extra={"address": address_of(listener)})
    gc.collect()
    gc.freeze()  # modules and routes stay for good: collections need not look through them again and again
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
    try:
        if on_ready is not None:
            on_ready(address_of(listener))
    except Exception:
        server.should_exit = True
        raise


async def _drain_on_signal(application: Application, server: uvicorn.Server, seconds: float) -> None:
    """On the first signal refuse new work and wait for what runs, `seconds` at most; the second ends what runs.

    Either way traces are written and engines closed: leaving that out would leave nothing but a traceback.
    """
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()

    def on_signal() -> None:
        if asked.is_set():
            server.should_exit = True
            application.cut()
        asked.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):  # not in the main thread
            loop.add_signal_handler(number, on_signal)
    await asked.wait()
    await drain(application, seconds, lambda: server.should_exit)
    server.should_exit = True


async def drain(application: Application, seconds: float, hurry: Callable[[], bool] = lambda: False) -> None:
    """Refuse new work, and return when what runs has ended; what still runs after `seconds` is ended with a 503."""
    application.draining = True
    log.info("draining", extra={"in_flight": application.in_flight, "seconds": seconds})
    await _until_idle(application, seconds, hurry)
    if application.in_flight:
        log.warning("drain ended with requests in flight", extra={"in_flight": application.in_flight})
        application.cut()
        await _until_idle(application, 2.0, hurry)


async def _until_idle(application: Application, seconds: float, hurry: Callable[[], bool]) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while application.in_flight and loop.time() < end and not hurry():
        await asyncio.sleep(0.02)
