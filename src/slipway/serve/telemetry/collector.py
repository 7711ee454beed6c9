"""One collector, asked over HTTP from one thread: what is sent to it, what it says, when it is asked again.

As the specification of OTLP/HTTP wants it: 429, 502, 503 and 504, and no answer at all, are tried again, not before
`Retry-After`, else ever more seldom; any other refusal is final. Redirects are not followed, no proxy is used.
"""

from __future__ import annotations

import http.client
import random
import ssl
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from time import monotonic, time
from typing import Literal
from urllib.parse import urlsplit

from slipway.i18n import Said, say
from slipway.serve.telemetry import wire

TIMEOUT = 10.0  # seconds for each of: to connect, to send, to get the answer
AGAIN = frozenset((429, 502, 503, 504))
FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0
LONGEST_ASKED = 300.0  # seconds that a Retry-After may put off
_READ = 64_000


class Collector:
    """Holds a connection. `trouble`: why nothing can be sent now; empty while all is well."""

    def __init__(self, endpoint: str, headers: Mapping[str, str]) -> None:
        parts = urlsplit(endpoint)
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname or "", parts.port
        self._path = parts.path.rstrip("/")
        self._headers = {"content-type": "application/x-protobuf", "user-agent": "slipway", **headers}
        self._connection: http.client.HTTPConnection | None = None
        self.trouble: Said | str = ""
        self.timeout = TIMEOUT

    def post(self, signal: Literal["traces", "metrics"], body: bytes) -> Reply:
        """Send one message. Never raises."""
        try:
            status, wait, answer = self._ask(f"{self._path}/v1/{signal}", body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            self.trouble = say("it cannot be reached: {why}", why=type(error).__name__)
            return Reply(again=True)
        if 200 <= status < 300:
            self.trouble = ""
            return Reply(rejected=wire.rejected(answer))
        self.trouble = say("it answered with status {status}", status=status)
        return Reply(again=status in AGAIN, wait=wait, refused=status not in AGAIN)

    def _ask(self, path: str, body: bytes) -> tuple[int, float, bytes]:
        """Status, seconds of its Retry-After, and the body. A connection that the other side closed is made anew."""
        fresh = self._connection is None
        connection = self._connection or self._open()
        try:
            connection.request("POST", path, body, self._headers)
            answer = connection.getresponse()
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            self.close()
            if fresh:
                raise
            return self._ask(path, body)
        said = answer.read(_READ)
        if answer.will_close or not answer.isclosed():
            self.close()
        return answer.status, _seconds(answer.getheader("retry-after", "")), said

    def _open(self) -> http.client.HTTPConnection:
        if self._secure:
            secure = ssl.create_default_context()
            self._connection = http.client.HTTPSConnection(self._host, self._port, timeout=self.timeout, context=secure)
        else:
            self._connection = http.client.HTTPConnection(self._host, self._port, timeout=self.timeout)
        return self._connection

    def close(self) -> None:
        """Close the connection; the next message opens one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class Reply:
    """What became of a message. `wait`: seconds before which it must not be sent again; `rejected`: spans that the
    collector left out of what it took.
    """

    __slots__ = ("again", "refused", "rejected", "wait")

    def __init__(self, *, again: bool = False, wait: float = 0.0, refused: bool = False, rejected: int = 0) -> None:
        self.again, self.wait, self.refused, self.rejected = again, wait, refused, rejected


class Pause:
    """When one kind of message may be sent again: after what was asked, else after ever longer, random times."""

    def __init__(self) -> None:
        self._until = 0.0
        self._longest = FIRST_WAIT

    @property
    def over(self) -> bool:
        """Whether it may be sent."""
        return monotonic() >= self._until

    def after(self, reply: Reply) -> None:
        """Take note of what became of the last one."""
        if not reply.again:
            self._until, self._longest = 0.0, FIRST_WAIT
            return
        wait = reply.wait or random.uniform(self._longest / 2, self._longest)
        self._until = monotonic() + min(wait, LONGEST_ASKED)
        self._longest = min(LONGEST_WAIT, self._longest * 2)


def _seconds(value: str) -> float:
    """What a Retry-After says (RFC 9110, 10.2.3: seconds or a date); 0 where it says nothing."""
    value = value.strip()
    if value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time())
    except (ValueError, OverflowError):
        return 0.0
