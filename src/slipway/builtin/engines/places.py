"""Where a request of a local engine is worked on: its first child, or the second one that is set aside for requests
which could hold others up. Owns slots and turns of each, the life of both, and the second one's share of the time.

The second is started when it is first needed and ended when no one has needed it for a while. When it dies, hangs or
gives up, only its own requests notice. Which requests go there is for the engine to say; what they ask is its affair.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any

from slipway.builtin.engines.compiling import Compiling, Turn
from slipway.builtin.engines.process.http import ChildHttp
from slipway.builtin.engines.process.limits import cpu_seconds, waited_seconds
from slipway.builtin.engines.process.supervisor import ChildSettings, EngineProcess, closed
from slipway.core.message import GenerateRequest
from slipway.core.protocols import OnEvent
from slipway.core.ref import digest_of
from slipway.errors import EngineError

ASIDE_PARALLEL = 2  # requests that the second child works on at once
IDLE_SECONDS = 300.0  # without a request the second child is ended
AGAIN_SECONDS = 60.0  # after it could not be started, until the next try
LOOK_SECONDS = 0.5  # between looks at what processor time the second child got
SHARE = 0.1  # of the time in which the first child stands still, where the second got less than that of a processor


class Place:
    """A running child with its slots and the grammars that it knows. `bad`: grammars that no child may meet again."""

    def __init__(self, process: EngineProcess, stall_seconds: float, parallel: int, bad: dict[str, str]) -> None:
        self.http = ChildHttp(process, stall_seconds)
        self.parallel = parallel
        self._compiling = Compiling(bad)
        self._slots = asyncio.Semaphore(parallel)
        self._taking = asyncio.Lock()  # who takes several slots does it alone: two with half of them would wait

    @property
    def process(self) -> EngineProcess:
        """Of the child."""
        return self.http.process

    @asynccontextmanager
    async def room(self, *, alone: bool = False) -> AsyncGenerator[None]:
        """Hold one of the slots, or all of them."""
        held, wanted = 0, self.parallel if alone else 1
        try:
            async with self._taking:
                while held < wanted:
                    await self._slots.acquire()
                    held += 1
            yield
        finally:
            for _ in range(held):
                self._slots.release()

    async def turn(self, request: GenerateRequest) -> Turn | None:
        """To bring the request's grammar to the child; None without one."""
        if request.json_schema is None and not request.choices:
            return None
        return await self._compiling.turn(digest_of([request.json_schema, request.choices]), self.process.pid)


class Aside:
    """The second child. `settings` says what it is started with; raises EngineError when there is no memory for it."""

    def __init__(
        self, settings: Callable[[], ChildSettings], bad: dict[str, str], on_event: OnEvent | None = None
    ) -> None:
        self._settings = settings
        self._bad = bad
        self._on_event = on_event
        self._place: Place | None = None
        self._starting: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._users = 0
        self._next = 0.0  # when a start may be tried again

    @property
    def pid(self) -> int | None:
        """Process id of the running child, None when there is none."""
        return self._place.process.pid if self._place else None

    @asynccontextmanager
    async def use(self, first: Place) -> AsyncGenerator[Place]:
        """The second child, started if need be; `first` where it cannot be."""
        self._users += 1
        try:
            if self._ending is not None and self._place is not None:
                self._ending.cancel()
            if self._place is None and time.monotonic() >= self._next:
                if self._starting is None or self._starting.done():
                    self._starting = asyncio.create_task(self._start())
                await asyncio.wait([self._starting])  # who leaves meanwhile does not stop it
            if self._place is not None and (self._watching is None or self._watching.done()):
                self._watching = asyncio.create_task(self._watch(first))
            yield self._place or first
        finally:
            self._users -= 1
            if self._users == 0 and self._place is not None:
                self._ending = asyncio.create_task(self._end_idle())

    async def close(self) -> None:
        """End the child; nothing of it is left when this returns."""
        tasks = [task for task in (self._starting, self._ending, self._watching) if task is not None]
        for task in (self._starting, self._watching):
            if task is not None:
                task.cancel()
        if self._ending is not None and self._place is not None:
            self._ending.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._stop()

    async def _start(self) -> None:
        try:
            settings = await asyncio.to_thread(self._settings)
            process = EngineProcess(settings, self._tell)
            await process.start()
        except (EngineError, OSError) as error:
            self._next = time.monotonic() + AGAIN_SECONDS
            self._tell("engine.not_started", {"error": str(error)})
        else:
            self._place = Place(process, settings.limits.stall_seconds, ASIDE_PARALLEL, self._bad)

    async def _watch(self, first: Place) -> None:
        """While somebody uses the second child, see to it that it gets a share of the processors. It takes only what
        the first leaves, so on a full machine that would be nothing.
        """
        while self._users:
            waited, used = self._time()
            await asyncio.sleep(LOOK_SECONDS)
            now_waited, now_used = self._time()
            starves = now_used - used < SHARE * LOOK_SECONDS and now_waited - waited > LOOK_SECONDS / 2
            if starves and (pid := first.process.pid) is not None:
                await asyncio.to_thread(_pause, pid, SHARE * LOOK_SECONDS)

    def _time(self) -> tuple[float, float]:
        """Seconds for which the second child waited for a processor, and had one."""
        pid = self.pid or 0
        return waited_seconds(pid), cpu_seconds(pid)

    async def _end_idle(self) -> None:
        await asyncio.sleep(IDLE_SECONDS)
        await self._stop()

    async def _stop(self) -> None:
        place, self._place = self._place, None
        if place is not None:
            await place.process.stop()

    def _tell(self, event: str, details: Mapping[str, Any]) -> None:
        if self._on_event is not None:
            self._on_event(event, {**details, "aside": True})


class Places:
    """Both children of one engine: started, asked after and ended together. `name`: of the model."""

    def __init__(self, name: str, on_event: OnEvent | None = None) -> None:
        self._name = name
        self._on_event = on_event
        self._first: Place | None = None
        self._aside: Aside | None = None
        self._lock = asyncio.Lock()

    @property
    def first(self) -> Place:
        """The first child; raises EngineError when it was not started."""
        if self._first is None:
            raise closed(self._name)
        return self._first

    @property
    def pid(self) -> int | None:
        """Process id of the running first child, None when there is none."""
        return self._first.process.pid if self._first else None

    @property
    def second_pid(self) -> int | None:
        """Process id of the second child, None when there is none."""
        return self._aside.pid if self._aside else None

    async def start(
        self,
        settings: Callable[[], Awaitable[ChildSettings]],
        parallel: int,
        aside: Callable[[], ChildSettings] | None = None,
    ) -> bool:
        """Start the first child; False when it runs already. `aside`: what the second one would be started with, None
        for no second one. Raises EngineError when the model cannot be loaded.
        """
        async with self._lock:
            if self._first is not None:
                return False
            bad: dict[str, str] = {}
            chosen = await settings()
            process = EngineProcess(chosen, self._on_event)
            await process.start()
            self._first = Place(process, chosen.limits.stall_seconds, parallel, bad)
            self._aside = Aside(aside, bad, self._on_event) if aside is not None else None
            return True

    async def close(self) -> None:
        """End the child processes; nothing of them is left when this returns."""
        async with self._lock:
            first, self._first = self._first, None
            aside, self._aside = self._aside, None
            if aside is not None:
                await aside.close()
            if first is not None:
                await first.process.stop()

    async def trouble(self) -> str:
        """Why the first child cannot answer now; empty when it can, however busy it is. The second does not count."""
        return await self._first.process.trouble() if self._first else closed(self._name).message

    def place(self, *, quick: bool) -> AbstractAsyncContextManager[Place]:
        """The child for a request: the second one for what could hold others up, that is, what is not `quick`."""
        return nullcontext(self.first) if quick or self._aside is None else self._aside.use(self.first)


def _pause(pid: int, seconds: float) -> None:
    """Stop a process for a moment. In a thread, so that a busy event loop does not make it longer."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            os.kill(pid, signal.SIGCONT)
