"""Requests to an engine's child process over its unix socket. Owns what becomes of them when it dies or hangs.

Does not know what is asked; the life of the process is `supervisor`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from slipway.builtin.engines.process.supervisor import EngineProcess, closed
from slipway.errors import EngineError
from slipway.i18n import t

if TYPE_CHECKING:
    import aiohttp

RECONNECTS = 10
COME_BACK_SECONDS = 30.0  # for a child whose client has left a request that may not end


class ChildLost(EngineError):
    """The child is gone, and the request with it. `limit`: it was killed for this; empty: it died by itself."""

    def __init__(self, message: str, hint: str, limit: str = "") -> None:
        super().__init__(message, hint, retryable=True, status=503)
        self.limit = limit


class ChildHttp:
    """Asks one child. `stall_seconds`: without a byte of an answer for so long, it hangs, and is killed."""

    def __init__(self, process: EngineProcess, stall_seconds: float) -> None:
        self.process = process
        self._stall_seconds = stall_seconds

    @asynccontextmanager
    async def respond(
        self, path: str, body: Mapping[str, Any], *, risky: bool = False
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        """Send, and have the response; leaving closes the connection, which stops the child's work on it. Where the
        request is `risky` and is left early, the child must show that it did stop, or is killed.

        Raises EngineError: ChildLost (503) when the child dies (it is started again), 504 when it hangs.
        """
        import aiohttp

        process, pid = self.process, self.process.pid
        try:
            sent, pid = await self._send(path, msgspec.json.encode(body))
            async with sent as response:
                yield response
        except TimeoutError as error:
            why = t(
                "{runtime} made no token of '{name}' for {s} s", s=f"{self._stall_seconds:g}", **process.settings.names
            )
            process.kill(why)
            raise EngineError(
                why,
                t("it is started again; if this comes back, the machine is too busy or the model too large for it"),
                retryable=True,
                status=504,
            ) from error
        except (aiohttp.ClientError, ConnectionError) as error:
            if process.stopped:
                raise closed(process.settings.name) from error
            await process.left(pid)  # the next request in this slot must not meet the dying child
            raise self.died(pid) from error
        except (asyncio.CancelledError, GeneratorExit):
            if risky and process.pid == pid:
                process.check_back(COME_BACK_SECONDS)
            raise

    async def _send(self, path: str, data: bytes) -> tuple[aiohttp.ClientResponse, int | None]:
        """Post; a request that never reached a child that had just died goes to the next one. With the pid of the one
        that it reached.
        """
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=None, sock_read=self._stall_seconds)
        headers = {"content-type": "application/json"}
        for _ in range(RECONNECTS):
            session, pid = await self.process.session(), self.process.pid
            try:
                return await session.post(path, data=data, headers=headers, timeout=timeout), pid
            except aiohttp.ClientConnectorError:
                await self.process.left(pid)
        raise self.died()

    def died(self, pid: int | None = None) -> ChildLost:
        """The error of a request that the child `pid` did not survive."""
        killed, why = self.process.killed
        limit = why if killed and killed == pid else ""
        died = t("{runtime} died while answering for '{name}'", **self.process.settings.names)
        return ChildLost(limit or died, t("it is being started again; try once more"), limit)
