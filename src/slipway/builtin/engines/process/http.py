"""Requests to an engine's child process over its unix socket. Owns what becomes of them when it dies or hangs.

Does not know what is asked; the life of the process is `supervisor`'s.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from slipway.builtin.engines.process.supervisor import EngineProcess
from slipway.errors import EngineError
from slipway.i18n import t

if TYPE_CHECKING:
    import aiohttp

RECONNECTS = 10


class ChildHttp:
    """Asks one child. `stall_seconds`: without a byte of an answer for so long, it hangs, and is killed."""

    def __init__(self, process: EngineProcess, stall_seconds: float) -> None:
        self.process = process
        self._stall_seconds = stall_seconds

    @asynccontextmanager
    async def respond(self, path: str, body: Mapping[str, Any]) -> AsyncGenerator[aiohttp.ClientResponse]:
        """Send, and have the response; leaving closes the connection, which stops the child's work on it.

        Raises EngineError: 503 when the child dies (it is started again), 504 when it hangs.
        """
        import aiohttp

        process, pid = self.process, self.process.pid
        try:
            async with await self._send(path, msgspec.json.encode(body)) as response:
                yield response
        except TimeoutError as error:
            process.kill()
            raise EngineError(
                t("{runtime} made no token of '{name}' for {s} s", s=self._stall_seconds, **process.settings.names),
                t("it is started again; if this comes back, the machine is too busy or the model too large for it"),
                retryable=True,
                status=504,
            ) from error
        except (aiohttp.ClientError, ConnectionError) as error:
            await process.left(pid)  # whoever gets this slot next must not meet the dying child
            raise self.died() from error

    async def _send(self, path: str, data: bytes) -> aiohttp.ClientResponse:
        """Post; a request that never reached a child that had just died goes to the next one."""
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=None, sock_read=self._stall_seconds)
        headers = {"content-type": "application/json"}
        for _ in range(RECONNECTS):
            session, pid = await self.process.session(), self.process.pid
            try:
                return await session.post(path, data=data, headers=headers, timeout=timeout)
            except aiohttp.ClientConnectorError:
                await self.process.left(pid)
        raise self.died()

    def died(self) -> EngineError:
        """The error of a request that the child did not survive."""
        return EngineError(
            t("{runtime} died while answering for '{name}'", **self.process.settings.names),
            t("it is being started again; try once more"),
            retryable=True,
            status=503,
        )
