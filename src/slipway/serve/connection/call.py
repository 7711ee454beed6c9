"""One HTTP request as the gateway sees it: headers, body, trace id, and the answer on its way out. Raw ASGI, because a
framework's routing and validation cost more than everything else here together. Knows no endpoint.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, MutableMapping
from time import perf_counter
from typing import Any

from slipway.core.spans import parent_of
from slipway.core.trace import Trace
from slipway.i18n import t
from slipway.serve.auth.caller import ANYONE
from slipway.serve.refuse import Headers, Refused

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

JSON = b"application/json"
EVENTS = b"text/event-stream; charset=utf-8"
_WANTED = frozenset(
    (
        b"host", b"origin", b"authorization", b"cookie", b"content-length", b"traceparent",
        b"access-control-request-method",
    )
)  # fmt: skip
_EXPOSED = b"x-slipway-release, x-slipway-trace, x-slipway-overhead-ms, x-slipway-ignored, retry-after"


class ClientDisconnected(Exception):
    """The client closed its connection; there is no one to answer."""


class Call:
    """A request being answered. `model_seconds`: time spent in models and queues, which is not Slipway's own."""

    __slots__ = (
        "address", "began", "caller", "cors", "endpoint", "first", "headers", "ignored", "method", "model",
        "model_seconds", "parent", "path", "queued", "receive", "recorded", "release", "send", "started", "status",
        "trace", "twice", "written",
    )  # fmt: skip

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.started = perf_counter()
        self.receive = receive
        self.send = send
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        wanted = [pair for pair in scope["headers"] if pair[0] in _WANTED]
        self.headers: dict[bytes, bytes] = dict(wanted)
        self.twice = len(self.headers) != len(wanted)  # which of the two would count is anybody's guess
        self.address: str = (scope.get("client") or ("", 0))[0]
        self.endpoint = self.model = self.release = ""
        self.caller = ANYONE
        self.ignored: tuple[str, ...] = ()
        self.cors = b""
        self.status = 0  # of the answer; 0 while nothing was sent
        self.model_seconds = 0.0
        self.began = False  # a model was asked
        self.recorded = False
        self.queued = self.first = 0.0  # seconds: waited for a slot; from the request to its first text
        self.written: Trace | None = None  # its record, as it goes to the catalog
        parent = self.headers.get(b"traceparent")
        self.parent = parent_of(parent.decode("latin-1")) if parent else None
        self.trace = self.parent.trace if self.parent else os.urandom(16).hex()

    def header(self, name: bytes) -> str:
        """One of the headers that matter here, as text; empty when absent."""
        return self.headers.get(name, b"").decode("latin-1")

    def renew_trace(self) -> None:
        """Take a trace id of our own."""
        self.trace = os.urandom(16).hex()

    @property
    def seconds(self) -> float:
        """Since the request came."""
        return perf_counter() - self.started

    @property
    def overhead(self) -> float:
        """Seconds of Slipway's own work so far."""
        return max(0.0, self.seconds - self.model_seconds)

    async def body(self, limit: int) -> bytes:
        """The whole body. Raises Refused (413) beyond `limit` bytes, before reading them if the client says so."""
        length = self.header(b"content-length")
        if length.isdigit() and int(length[:20]) > limit:
            raise _too_large(limit)
        pieces, size, more = list[bytes](), 0, True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnected  # half a body must not pass for a whole one
            piece: bytes = message.get("body", b"")
            size += len(piece)
            if size > limit:
                raise _too_large(limit)
            pieces.append(piece)
            more = message.get("more_body", False)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def answer(self, status: int, body: bytes, media_type: bytes = JSON, extra: Headers | None = None) -> None:
        """Send a whole answer."""
        headers = self._head(status, media_type)
        headers.append((b"content-length", str(len(body)).encode()))
        if extra:
            headers += extra
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    async def begin(self, media_type: bytes = EVENTS) -> None:
        """Begin an answer that comes in pieces."""
        headers = self._head(200, media_type)
        headers.append((b"cache-control", b"no-cache"))
        headers.append((b"x-accel-buffering", b"no"))
        await self.send({"type": "http.response.start", "status": 200, "headers": headers})

    async def piece(self, body: bytes, *, last: bool = False) -> None:
        """Send a piece of the answer."""
        await self.send({"type": "http.response.body", "body": body, "more_body": not last})

    def _head(self, status: int, media_type: bytes) -> Headers:
        self.status = status
        return [(b"content-type", media_type), *self.marks()]

    def marks(self) -> Headers:
        """The headers that every answer carries."""
        headers: Headers = [
            (b"x-slipway-trace", self.trace.encode()),
            (b"x-slipway-release", self.release.encode()),
            (b"x-slipway-overhead-ms", b"%.2f" % (self.overhead * 1000)),
        ]
        if self.ignored:
            headers.append((b"x-slipway-ignored", ", ".join(self.ignored).encode("latin-1", "replace")))
        if self.cors:
            headers += cors_headers(self.cors)
        return headers


def cors_headers(origin: bytes) -> Headers:
    """What lets an allowed page read the answer (Fetch standard, CORS protocol)."""
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-expose-headers", _EXPOSED),
        (b"vary", b"origin"),
    ]


def preflight_headers() -> Headers:
    """What lets an allowed page send the requests that this server answers."""
    return [
        (b"access-control-allow-methods", b"GET, POST"),
        (b"access-control-allow-headers", b"authorization, content-type, traceparent"),
        (b"access-control-max-age", b"600"),
    ]


def _too_large(limit: int) -> Refused:
    what, how = t("the body has more than {n} bytes", n=limit), t("send less, or raise serve.max_body")
    return Refused(413, what, how, code="body_too_large")
