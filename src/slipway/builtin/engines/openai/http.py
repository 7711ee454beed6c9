"""One HTTP connection pool to an OpenAI-compatible server: keys, timeouts, retries, and what to say when it fails.

Knows nothing of tokens. Redirects are not followed, proxies of the environment are not used, and the key is in no
message: what a server says is shown with the key cut out of it, and for 401 and 403 not at all.
"""

from __future__ import annotations

import asyncio
import os
import random
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from time import time
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from slipway.builtin.engines.openai.config import OpenAIConfig
from slipway.core.spans import traceparent
from slipway.errors import ConfigError, EngineError, MissingPrerequisite
from slipway.files import UNDECODABLE
from slipway.i18n import t

RETRIED = frozenset((429, 500, 502, 503, 504))
_SHOWN = 300  # characters of a server's message that are passed on


class Server:
    """A pool of keep-alive connections to `base_url`. Belongs to one event loop."""

    def __init__(self, config: OpenAIConfig, name: str) -> None:
        self.config = config
        self.name = name
        self._key = ""
        self._session: aiohttp.ClientSession | None = None
        parts = urlsplit(config.base_url)
        self._root = f"{parts.scheme}://{parts.netloc}"
        self._shown = self._root + parts.path

    async def open(self) -> None:
        """Read the key and make the pool; connects to nothing yet. Raises MissingPrerequisite without the key."""
        if self._session is not None:
            return
        self._key = read_key(self.config)
        headers = {"content-type": "application/json", "accept": "*/*", "accept-encoding": "identity"}
        headers |= self.config.headers
        if self._key:
            headers["authorization"] = f"Bearer {self._key}"
        secure: ssl.SSLContext | bool = True
        if self.config.ca_file:
            secure = _trust(self.config.ca_file)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self.config.connections, ssl=secure, keepalive_timeout=60),
            headers=headers,
            auto_decompress=False,  # a few bytes may unfold to gigabytes
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )

    async def close(self) -> None:
        """Close every connection."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    @asynccontextmanager
    async def post(
        self, path: str, body: bytes, *, stream: bool = False, root: bool = False
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        """An answered request with status 200; `root`: the path is not under base_url but beside it.

        Tried again, as the config says, until the status line is here. Leaving the block with an error, or before
        the body was read, closes the connection, so that the server stops working for no one.
        """
        url = (self._root if root else self.config.base_url.rstrip("/")) + path
        response = await self._answered(url, body, stream=stream)
        try:
            yield response
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._broken(error) from error
        except UNDECODABLE as error:
            raise self._unreadable(error) from error
        finally:
            if response.content.at_eof():
                response.release()
            else:
                response.close()

    async def read(self, response: aiohttp.ClientResponse) -> bytes:
        """The whole body, within the limit of the config. Raises EngineError (502) beyond it."""
        return b"".join([data async for data in self.pieces(response)])

    async def pieces(self, response: aiohttp.ClientResponse) -> AsyncGenerator[bytes]:
        """The body as it comes. Raises EngineError (502) when it is compressed or passes the limit of the config."""
        encoding = response.headers.get("content-encoding", "identity")
        if encoding.strip().lower() not in ("", "identity"):
            raise EngineError(
                t("the server of '{name}' compressed its answer, which it was asked not to", name=self.name),
                t("switch compression off in the server, or in the proxy before it"),
            )
        left = self.config.max_answer_mb << 20
        async for data in response.content.iter_any():
            left -= len(data)
            if left < 0:
                raise EngineError(
                    t("the server of '{name}' sent more than {n} MB", name=self.name, n=self.config.max_answer_mb),
                    t("ask for less at once, or raise max_answer_mb in the model's options"),
                )
            yield data

    async def _answered(self, url: str, body: bytes, *, stream: bool) -> aiohttp.ClientResponse:
        """The first answer that need not be tried again, with status 200; else raises EngineError."""
        for attempt in range(self.config.retries + 1):
            wait: float | None = None
            try:
                response = await self._send(url, body, stream=stream)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                failure = self._broken(error)
            else:
                if response.status == 200:
                    return response
                wait = retry_after(response.headers.get("retry-after", ""))
                failure = await self._refusal(response)
            if not failure.retryable or attempt == self.config.retries or (wait or 0) > self.config.max_backoff:
                raise failure
            limit = min(self.config.max_backoff, self.config.backoff * 2**attempt)
            await asyncio.sleep(max(wait or 0.0, random.uniform(0, limit)))  # full jitter (Brooker 2015)
        raise AssertionError  # the last attempt returns or raises

    async def _send(self, url: str, body: bytes, *, stream: bool) -> aiohttp.ClientResponse:
        if self._session is None:
            raise EngineError(t("the model '{name}' is not started", name=self.name), status=503)
        config = self.config
        timeout = aiohttp.ClientTimeout(
            total=config.timeout,
            sock_connect=config.connect_timeout,
            sock_read=config.first_token_timeout if stream else None,
        )
        headers = {"traceparent": parent} if (parent := traceparent()) else {}
        return await self._session.post(url, data=body, headers=headers, timeout=timeout, allow_redirects=False)

    async def _refusal(self, response: aiohttp.ClientResponse) -> EngineError:
        """What a status other than 200 means, in words; the connection is given back or closed."""
        status = response.status
        try:
            said = self.clean(await response.content.read(20_000))
        except (aiohttp.ClientError, TimeoutError, OSError):
            said = ""
        response.close()
        where = t("the server {url} of the model '{name}'", url=self._shown, name=self.name)
        if status in (401, 403):
            return EngineError(
                t("{where} refused the API key (status {status})", where=where, status=status), self._key_hint()
            )
        if status == 404:
            return EngineError(
                t("{where} knows no such model or path (status 404): {said}", where=where, said=said),
                t("check `model` and `base_url` of the model; base_url usually ends in /v1"),
            )
        if 300 <= status < 400:
            return EngineError(
                t(
                    "{where} answered with a redirect (status {status}), which is not followed",
                    where=where,
                    status=status,
                ),
                t("put the address it points at into base_url"),
            )
        message = t("{where} answered with status {status}: {said}", where=where, status=status, said=said)
        if status == 429:
            return EngineError(
                message, t("it is asked more often than it allows; try again later"), retryable=True, status=429
            )
        if status in RETRIED:
            return EngineError(message, t("its own log should say more; try again later"), retryable=True)
        if status in (400, 413, 422):
            return EngineError(message, t("change the request as the message says"), status=400)
        return EngineError(message, t("check base_url: is this an OpenAI-compatible server?"))

    def _key_hint(self) -> str:
        if self.config.api_key_env:
            return t("put a valid key into the environment variable {name}", name=self.config.api_key_env)
        if self.config.api_key_file:
            return t("put a valid key into the file {name}", name=self.config.api_key_file)
        return t("name the environment variable that holds its key: `api_key_env` of the model")

    def _broken(self, error: Exception) -> EngineError:
        """What a connection that failed or broke means, in words."""
        where = t("the server {url} of the model '{name}'", url=self._shown, name=self.name)
        if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError | ssl.SSLError):
            return EngineError(
                t("{where} could not prove who it is (TLS): {why}", where=where, why=self.clean(str(error).encode())),
                t("correct its certificate, or name the authority that signed it: `ca_file` of the model"),
            )
        if isinstance(error, aiohttp.ClientConnectorDNSError):
            return EngineError(
                t("{where} has a host name that cannot be resolved", where=where),
                t("correct base_url, or the machine's DNS"),
                retryable=True,
                status=503,
            )
        if isinstance(error, TimeoutError):
            return EngineError(
                t("{where} did not answer in time", where=where),
                t("raise first_token_timeout or timeout of the model, or check whether the server is overloaded"),
                retryable=isinstance(error, aiohttp.ConnectionTimeoutError),
                status=504,
            )
        if isinstance(error, aiohttp.ClientConnectorError):
            return EngineError(
                t("{where} cannot be reached: {why}", where=where, why=error.os_error.strerror or error.os_error),
                t("start it, or correct base_url of the model"),
                retryable=True,
                status=503,
            )
        return EngineError(
            t("{where} broke the connection: {why}", where=where, why=type(error).__name__),
            t("its own log should say why; try again"),
            retryable=True,
        )

    def _unreadable(self, error: Exception) -> EngineError:
        return EngineError(
            t(
                "the server {url} of the model '{name}' sent something that is no OpenAI answer: {why}",
                url=self._shown,
                name=self.name,
                why=self.clean(str(error).encode()),
            ),
            t("check base_url: is this an OpenAI-compatible server?"),
        )

    def clean(self, data: bytes) -> str:
        """What a server said, fit for a message: its `error.message` if it has one, short, and without the key."""
        text = data.decode("utf-8", "replace")
        try:
            found = msgspec.json.decode(data)
        except UNDECODABLE:
            found = None
        text = error_message(found) or text
        if self._key:
            text = text.replace(self._key, "***")
        text = " ".join(text.split())
        return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def error_message(found: Any) -> str:
    """The message in an error of OpenAI's shape (`{"error": {"message": ...}}`) or of its relatives."""
    if not isinstance(found, dict):
        return ""
    inner = found.get("error", found)
    if isinstance(inner, dict):
        inner = inner.get("message") or inner.get("detail") or ""
    return inner if isinstance(inner, str) else ""


def read_key(config: OpenAIConfig) -> str:
    """The API key from the environment or its file; empty when the config names neither."""
    if config.api_key_env:
        key = os.environ.get(config.api_key_env, "").strip()
        if not key:
            raise MissingPrerequisite(
                t(
                    "the environment variable {name}, which should hold the API key, is not set",
                    name=config.api_key_env,
                ),
                f"export {config.api_key_env}=...",
            )
    elif config.api_key_file:
        try:
            key = Path(config.api_key_file).expanduser().read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise MissingPrerequisite(
                t("the file {name}, which should hold the API key, cannot be read", name=config.api_key_file),
                t("write the key into it, readable only by you (chmod 600)"),
            ) from error
    else:
        return ""
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError(t("the API key holds characters that no header can carry"), t("copy it again, in one line"))
    return key


def _trust(ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(Path(ca_file).expanduser()))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            t("ca_file {path} cannot be read as certificates: {why}", path=ca_file, why=error),
            t("it must be a PEM file of the authority that signed the server's certificate"),
        ) from error


def retry_after(value: str) -> float | None:
    """Seconds that a Retry-After header asks for (RFC 9110, 10.2.3: seconds or a date); None without a usable one."""
    value = value.strip()
    if value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time())
    except ValueError:
        return None
