"""How many requests are answered at once, how many may wait, and when one has waited long enough. Knows no model."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from types import TracebackType
from typing import Literal, Self

from slipway.i18n import t
from slipway.serve.connection.call import ClientDisconnected, Receive
from slipway.serve.refuse import Refused

LOOK_AFTER = 0.02
"""Seconds after which a request begins to watch for its client leaving: most are answered before, and save a task."""


class Slots:
    """`parallel` requests run, `queue` wait in the order they came, and the next is refused at once (429)."""

    def __init__(self, parallel: int, queue: int) -> None:
        self.parallel = parallel
        self.queue = queue
        self.running = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._seconds = 1.0  # moving average of how long a slot is held

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._waiting)

    async def take(self) -> None:
        """Wait for a slot; raises Refused (429) when the queue is full. The caller that takes one gives it back."""
        if self.running < self.parallel:
            self.running += 1
            return
        if len(self._waiting) >= self.queue:
            raise Refused(
                429,
                t("{n} requests are being answered and {m} wait already", n=self.running, m=len(self._waiting)),
                t("try again after {s} s", s=self.retry_after),
                code="queue_full",
                retry_after=self.retry_after,
            )
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._waiting.remove(turn)
            else:
                self._pass_on()  # the slot came in the same instant
            raise

    def give(self, seconds: float) -> None:
        """Give a slot back, held for `seconds`."""
        self._seconds += 0.1 * (seconds - self._seconds)
        self._pass_on()

    def _pass_on(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.running -= 1

    @property
    def retry_after(self) -> int:
        """Whole seconds until the queue should have room, between 1 and 60."""
        return min(60, max(1, math.ceil(self._seconds * (len(self._waiting) + 1) / self.parallel)))


class Watch:
    """Ends what its block does when the client leaves (raises ClientDisconnected) or the deadline passes (Refused).

    It cancels the task that entered it, which closes generators on the way out, so that the engine stops at once.
    """

    def __init__(self, receive: Receive, seconds: float) -> None:
        self._receive = receive
        self._seconds = seconds
        self._why: Literal["left", "late"] | None = None
        self._listener: asyncio.Task[None] | None = None
        self._timers: list[asyncio.TimerHandle] = []

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._timers.append(asyncio.get_running_loop().call_later(self._seconds, self._stop, "late"))
        return self

    def listen(self) -> None:
        """From now on, notice when the client leaves. The body must have been read."""
        self._timers.append(asyncio.get_running_loop().call_later(LOOK_AFTER, self._look))

    def _look(self) -> None:
        self._listener = asyncio.get_running_loop().create_task(self._wait_gone())

    async def _wait_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._stop("left")

    def _stop(self, why: Literal["left", "late"]) -> None:
        if self._why is None:
            self._why = why
            self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for timer in self._timers:
            timer.cancel()
        if self._listener is not None:
            self._listener.cancel()
        if self._why is None or (kind is not None and kind is not asyncio.CancelledError):
            return
        if self._task.uncancel() == 0:  # else somebody else cancelled as well: the server is closing
            raise ClientDisconnected if self._why == "left" else late(self._seconds) from error


def late(seconds: float) -> Refused:
    """The deadline passed: 504."""
    return Refused(
        504,
        t("no answer within {s:g} s, the deadline of this server", s=seconds),
        t("ask for a shorter answer, try again when less is going on, or raise serve.deadline"),
        code="deadline",
    )
