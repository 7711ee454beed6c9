"""How requests come off the wire: what a head may be, how long it may take, and how many connections there may be.

uvicorn's protocol reads HTTP with httptools, which refuses what is ambiguous (two lengths, a length and chunks, spaces
before a colon). It has no limit on time, on the size of a head, or on connections that say nothing: these are here.
Knows no endpoint.
"""

from __future__ import annotations

import contextlib
import resource
from time import monotonic
from typing import TYPE_CHECKING, Literal, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from slipway.i18n import t
from slipway.serve.refuse import Refused, bad

if TYPE_CHECKING:
    from asyncio import TimerHandle, Transport

HEAD_WITHIN = 10.0
"""Seconds for a connection's first request head, and for each later one from its first byte."""
READ_WITHIN = 60.0
"""Seconds for a client to read some of an answer that no buffer holds any more."""
MAX_HEAD = 64 * 1024
FIELD = 32
"""Bytes that each field counts in addition to its own: what it takes here (HTTP/2 counts so, RFC 9113, 6.5.2)."""
SPARE_FILES = 256
"""File descriptors kept for everything but connections: the catalog, blobs, engines."""

Phase = Literal["idle", "head", "body"]


class Protocol(HttpToolsProtocol):
    """One connection. `most` connections at once; a body must be whole `body_within` seconds after its head."""

    most = 1000
    body_within = 120.0

    def connection_made(self, transport: Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """A client is here: make room for it, and give it its time."""
        super().connection_made(transport)
        self._phase: Phase = "idle"
        self._armed: Phase | None = None
        self._timer: TimerHandle | None = None
        self._stuck: TimerHandle | None = None
        self._head = 0  # bytes of the fields read
        self._pieces = 0  # bytes of a head that comes in pieces
        self._refusal: Refused | None = None
        self._since = monotonic()
        if len(self.connections) > self.most and not self._make_room():
            self._refuse(too_many(self.most))
            return
        self._arm("head", HEAD_WITHIN)

    def _make_room(self) -> bool:
        """Close the connection that has been without a whole request for longest; False when all have one."""
        others = cast("set[Protocol]", self.connections - {self})
        waiting = [one for one in others if one._phase != "idle" or not one._answering()]
        if not waiting:
            return False
        oldest = min(waiting, key=lambda one: one._since)
        self.connections.discard(oldest)
        oldest.transport.abort()
        return True

    def _answering(self) -> bool:
        cycle = cast("RequestResponseCycle | None", self.cycle)  # None before the first request
        return cycle is not None and not cycle.response_complete

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._disarm()
        self._unstick()
        super().connection_lost(exc)

    # -- time ---------------------------------------------------------------------------------------------------------

    def _arm(self, phase: Phase, seconds: float) -> None:
        self._disarm()
        self._armed = phase
        self._timer = self.loop.call_later(seconds, self._late)

    def _disarm(self) -> None:
        self._armed = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        if self.transport.is_closing():
            return
        self._refuse(Refused(408, t("the request did not come in time"), t("send it at once"), code="too_slow"))

    def pause_writing(self) -> None:
        """The client does not read: not without limit."""
        super().pause_writing()
        self._unstick()
        self._stuck = self.loop.call_later(READ_WITHIN, self.transport.abort)

    def resume_writing(self) -> None:
        """It does again."""
        self._unstick()
        super().resume_writing()

    def _unstick(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None

    # -- reading ------------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Most requests come whole, and need no timer."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        phase = self._phase
        if phase == "head":
            self._pieces += len(data)
            if self._pieces > MAX_HEAD:
                self._refuse(too_large_head())
                return
        if phase == "idle":
            if self._armed is not None:
                self._disarm()
        elif phase != self._armed:
            self._arm(phase, HEAD_WITHIN if phase == "head" else self.body_within)

    def on_message_begin(self) -> None:
        """A head begins."""
        self._phase = "head"
        self._head = self._pieces = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the head."""
        self._head += len(name) + len(value) + FIELD
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole: refuse what no client of ours sends."""
        if self._head + len(self.url) > MAX_HEAD:
            self._refusal = too_large_head()
        elif not self.url.startswith(b"/"):
            self._refusal = bad(t("the request's target is not a path"), t("send GET /path, not a whole URL"))
        if self._refusal is not None:
            raise ValueError  # httptools stops there, and uvicorn calls `send_400_response`
        self._phase = "body"
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._phase = "idle"
        self._since = monotonic()
        super().on_message_complete()

    # -- refusals -----------------------------------------------------------------------------------------------------

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP, or not for us."""
        self._refuse(self._refusal or bad(t("this is no HTTP request"), t("send HTTP/1.1")))

    def _refuse(self, refused: Refused) -> None:
        """Answer and close; nothing is said into the middle of another answer, or after the one to this request."""
        self._disarm()
        cycle = cast("RequestResponseCycle | None", self.cycle)
        begun = self._phase == "body" and cycle is not None and cycle.response_started
        if begun or (self._phase != "body" and self._answering()):
            self.transport.close()
            return
        if self._phase == "body" and cycle is not None:  # the handler learns that the client disconnected
            cycle.disconnected = True
            cycle.message_event.set()
        body = refused.json()
        self.transport.write(
            STATUS_LINE[refused.status]
            + b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n" % len(body)
            + b"".join(b"%s: %s\r\n" % pair for pair in refused.headers)
            + b"\r\n"
            + body
        )
        self.transport.close()


def bounded(connections: int, body_within: float) -> type[Protocol]:
    """The protocol with its limits: as many connections as asked for, or as files can be open."""
    return type(
        "Bounded", (Protocol,), {"most": min(connections, open_files() - SPARE_FILES), "body_within": body_within}
    )


def open_files() -> int:
    """How many files this process may have open, after asking for as many as it can get."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or soft < hard:
        wanted = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def too_many(n: int) -> Refused:
    """No room for another connection: 503."""
    return Refused(
        503, t("{n} connections are being answered", n=n), t("try again"), code="too_many_connections", retry_after=1
    )


def too_large_head() -> Refused:
    """The request's head is too large: 431."""
    return Refused(
        431, t("the request's head has more than {n} bytes", n=MAX_HEAD), t("send less"), code="head_too_large"
    )
