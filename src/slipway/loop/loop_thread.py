"""The event loop of an open project, on a thread of its own: so the caller may have a running loop itself, or be any
thread. Knows no project.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


class LoopThread:
    """Runs asynchronous work for callers that wait. The thread starts with the first work.

    Children of engines live as long as this thread (prctl(2), PR_SET_PDEATHSIG): it ends with `close`, or with the
    process.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run work to its end and return what it returns, or raise what it raises.

        Ctrl-C while waiting cancels the work, waits until it has let go of what it held, and is raised again.
        """
        loop, done = self._running(), Future[T]()
        tasks: list[asyncio.Task[T]] = []

        def begin() -> None:
            tasks.append(loop.create_task(work))
            tasks[0].add_done_callback(lambda task: _tell(task, done))

        loop.call_soon_threadsafe(begin)
        try:
            return done.result()
        except KeyboardInterrupt:
            loop.call_soon_threadsafe(lambda: tasks[0].cancel())  # comes after `begin`
            with suppress(Exception):  # a second Ctrl-C does not wait
                done.result()
            raise

    def close(self) -> None:
        """End the loop; what still runs in it is cancelled. Idempotent."""
        loop, self._loop = self._loop, None
        thread, self._thread = self._thread, None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=_serve, args=(self._loop,), name="slipway-loop", daemon=True)
                self._thread.start()
            return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()


def _tell(task: asyncio.Task[T], done: Future[T]) -> None:
    """What became of a task, to the thread that waits for it."""
    if task.cancelled():
        done.set_exception(CancelledError())
    elif (error := task.exception()) is not None:
        done.set_exception(error)
    else:
        done.set_result(task.result())
