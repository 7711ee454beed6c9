"""One request: bounded in time, in headers and in bytes, unpacked within bounds too. Follows no redirect.

Every failure is a reason code with the facts; nothing is raised for what a server does.
"""

from __future__ import annotations

import asyncio
import ssl
import time
import zlib
from collections.abc import Callable, Mapping
from email.utils import mktime_tz, parsedate_tz
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from slipway.data.collect.web.reach import CheckedResolver, PrivateAddress, Reach

_PIECE = 1 << 16
_RATIO, _SMALL = 100, 10_000_000  # what unpacks to more than 10 MB may be at most a hundred times its size
_CONNECTIONS = 4


class Answer(msgspec.Struct, frozen=True):
    """What came back. `reason` is empty for 200 and 304; `passing`: asking again later may give another answer.

    `received`: bytes of the body on the wire.
    """

    status: int = 0
    body: bytes = b""
    content_type: str = ""
    etag: str = ""
    modified: str = ""
    location: str = ""
    robots: str = ""  # X-Robots-Tag
    wait: float = 0.0  # Retry-After, in seconds
    received: int = 0
    reason: str = ""
    detail: str = ""
    passing: bool = False


class _Stop(Exception):  # noqa: N818
    """The answer is not read further."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


def open_session(reach: Reach, agent: str, seconds: float) -> aiohttp.ClientSession:
    """Connections to allowed addresses only; no cookies, no proxy, certificates checked. `seconds`: for an answer."""
    connector = aiohttp.TCPConnector(resolver=CheckedResolver(reach), use_dns_cache=False, limit=_CONNECTIONS)
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=min(20.0, seconds)),
        headers={"User-Agent": agent, "Accept-Encoding": "gzip", "Accept": "text/html,*/*;q=0.5"},
        auto_decompress=False,
        trust_env=False,
    )


async def get(
    session: aiohttp.ClientSession,
    reach: Reach,
    url: str,
    most: int,
    headers: Mapping[str, str],
    wanted: Callable[[str], str],
) -> Answer:
    """Ask for an address. `most`: bytes of the body; `wanted(content type)`: why a body is not wanted, or empty."""
    target = URL(url, encoded=True)
    try:
        reach.check(target.host or "")
        async with session.get(target, allow_redirects=False, headers=headers) as response:
            return await _read(response, most, wanted)
    except (TimeoutError, OSError, aiohttp.ClientError, ValueError) as error:
        return _failed(error)


async def _read(response: aiohttp.ClientResponse, most: int, wanted: Callable[[str], str]) -> Answer:
    given = response.headers
    answer = Answer(
        status=response.status,
        content_type=given.get("Content-Type", "").partition(";")[0].strip().lower()[:200],
        etag=given.get("ETag", "")[:500],
        modified=given.get("Last-Modified", "")[:100],
        location=given.get("Location", ""),
        robots=given.get("X-Robots-Tag", "").lower(),
        wait=_wait(given.get("Retry-After", "")),
    )
    change: dict[str, Any] = {}
    if response.status == 200:
        tally = [0]
        try:
            if why := wanted(answer.content_type):
                raise _Stop("unsupported-type", why)
            change["body"] = await _body(response, most, tally)
        except _Stop as stop:
            change |= {"reason": stop.reason, "detail": stop.detail}
        change["received"] = tally[0]
    elif response.status != 304 and not (300 <= response.status < 400 and answer.location):
        passing = response.status in (408, 425, 429) or response.status >= 500
        reason = "server-error" if passing else "http-error"
        change |= {"reason": reason, "detail": f"HTTP {response.status}", "passing": passing}
    if response.status != 304 and "body" not in change:
        response.close()  # what else would come is not waited for
    return msgspec.structs.replace(answer, **change)


async def _body(response: aiohttp.ClientResponse, most: int, tally: list[int]) -> bytes:
    coding = response.headers.get("Content-Encoding", "").strip().lower()
    if coding not in ("", "identity", "gzip", "x-gzip"):
        raise _Stop("unsupported-type", f"it is packed with {coding[:40]}, which was not asked for")
    announced = response.headers.get("Content-Length", "")
    if announced.isdecimal() and int(announced) > most:
        raise _Stop("too-large", f"{int(announced):,} bytes, the limit is {most:,}")
    unpack = zlib.decompressobj(31) if "gzip" in coding else None
    pieces: list[bytes] = []
    size = 0
    async for piece in response.content.iter_chunked(_PIECE):
        tally[0] += len(piece)
        while piece:
            if unpack is None:
                plain, piece = piece, b""
            else:
                try:
                    plain, piece = unpack.decompress(piece, _PIECE), b""
                except zlib.error as error:
                    raise _Stop("corrupt", f"not gzip: {error}") from error
                piece = unpack.unconsumed_tail
            size += len(plain)
            if size > min(_SMALL, most) and size > _RATIO * tally[0]:
                raise _Stop("zip-bomb", f"{tally[0]:,} bytes unpack to more than {size:,}")
            if size > most:
                raise _Stop("too-large", f"more than {most:,} bytes")
            pieces.append(plain)
    if unpack is not None and not unpack.eof:
        raise _Stop("corrupt", "gzip that ends too early")
    return b"".join(pieces)


def _failed(error: Exception) -> Answer:
    private = next((one for one in _causes(error) if isinstance(one, PrivateAddress)), None)
    if private is not None:
        return Answer(reason="private-address", detail=str(private))
    if any(isinstance(one, ssl.SSLError) for one in _causes(error)):
        return Answer(reason="bad-certificate", detail=_said(error))
    if isinstance(error, asyncio.TimeoutError):
        return Answer(reason="too-slow", detail="no whole answer in time", passing=True)
    if isinstance(error, (aiohttp.ClientResponseError, ValueError)):  # what came is no HTTP
        return Answer(reason="bad-answer", detail=_said(error))
    return Answer(reason="no-answer", detail=_said(error), passing=True)


def _causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        inner = getattr(error, "os_error", None) or getattr(error, "certificate_error", None)
        error = inner if isinstance(inner, BaseException) else error.__cause__
    return found


def _said(error: Exception) -> str:
    text = getattr(error, "message", "") or str(error) or type(error).__name__
    return " ".join(str(text).split())[:200]


def _wait(value: str) -> float:
    """Retry-After: seconds, or a date (RFC 9110, section 10.2.3)."""
    if value.isdecimal() and len(value) < 10:
        return float(value)
    try:
        date = parsedate_tz(value)
        return max(0.0, mktime_tz(date) - time.time()) if date else 0.0
    except (ValueError, OverflowError, TypeError):
        return 0.0
