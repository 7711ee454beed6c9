"""Traces and feedback on their way to the catalog: many requests share one transaction and one sync to disk.

One thread writes. While it waits for the disk, new records gather, and the next transaction takes them all: under
load the batches grow by themselves, and alone a request waits for one sync only. Records that no one waits for are
held while the disk takes none, and written once it does. Knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from time import monotonic

from slipway.core.catalog import Records
from slipway.core.trace import Feedback, Trace
from slipway.errors import SlipwayError
from slipway.i18n import t
from slipway.serve.recording.disk_space import EVERY, Room
from slipway.serve.refuse import Refused

log = logging.getLogger("slipway.serve")

MAX_BATCH = 512
MAX_PENDING = 4096
"""Records that may be acknowledged before they are on disk: what `kill -9` can lose at most in `relaxed` mode."""

Record = Trace | Feedback
_Item = tuple[Record, "asyncio.Future[None] | None"]


class Recorder:
    """Writes records durably. `strict`: `write` returns when they would survive a power cut. `relaxed`: at once.

    `on_commit(records, seconds)` is called in the event loop after each transaction; `clean` in the writer's thread
    before it, and makes of a record what may be kept of it.
    """

    def __init__(
        self,
        catalog: Records,
        *,
        strict: bool,
        on_commit: Callable[[int, float], None],
        clean: Callable[[Record], Record] = lambda record: record,
    ) -> None:
        self.strict = strict
        self.failed = 0  # records lost because the catalog could not be written; strict ones were refused to the client
        self.room = Room(catalog)
        self._catalog = catalog
        self._on_commit = on_commit
        self._clean = clean
        self._queue: SimpleQueue[_Item | None] = SimpleQueue()
        self._pending: dict[str, int] = {}  # ids of traces not yet on disk
        self._thread: threading.Thread | None = None
        self._waiting = 0
        self._held: list[_Item] = []  # what no one waits for and the disk did not take; the writer's own

    def start(self) -> None:
        """Start the writer. Call it within the event loop that will call `write`."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, name="slipway-recorder", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Write what is pending and stop."""
        if self._thread is not None:
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)
            await asyncio.sleep(0)  # let the last acknowledgements run
            self._thread = None

    def require(self) -> None:
        """Raise Refused (503) when a record could not be kept anyway; called before a model is asked. O(1)."""
        if self.room.trouble is not None and (self.strict or self._waiting >= MAX_PENDING):
            raise _no_room(self.room.trouble)

    @property
    def trouble(self) -> str:
        """Why `require` would refuse; empty when it would not."""
        try:
            self.require()
        except Refused as refused:
            return f"{refused.message}. {refused.hint}"
        return ""

    async def write(self, record: Record) -> None:
        """Record. Raises Refused (503) when it cannot be made durable: the disk is full, the catalog locked.

        Feedback is durable when this returns, in either mode.
        """
        if not self.strict and isinstance(record, Trace) and self._waiting < MAX_PENDING:
            self.later(record)
            return
        done = self._loop.create_future()
        self._put(record, done)
        await done  # a caller that is cancelled cancels its own waiting only: the record is on its way

    def later(self, record: Record) -> None:
        """Record without waiting: for clients that left, and in `relaxed` mode. Held while the disk takes nothing."""
        self._put(record, None)

    def pending(self, trace: str) -> bool:
        """Whether a trace is on its way to disk."""
        return trace in self._pending

    def _put(self, record: Record, done: asyncio.Future[None] | None) -> None:
        self._waiting += 1
        if isinstance(record, Trace):
            self._pending[record.id] = 1
        self._queue.put((record, done))

    # -- in the writer's thread ---------------------------------------------------------------------------------------

    def _work(self) -> None:
        closing = False
        self.room.look()
        while not closing:
            batch, closing = self._gather()
            if batch or (closing and self._held):
                self._commit(batch, last=closing)
            self.room.look()
            if self._held and self.room.trouble is None:
                self._commit([], last=closing)

    def _gather(self) -> tuple[list[_Item], bool]:
        """The records that wait, at most a batch of them, once there is one; nothing after a second without any."""
        batch: list[_Item] = []
        closing = False
        with suppress(Empty):
            item = self._queue.get(timeout=EVERY)
            while True:
                if item is None:
                    closing = True
                else:
                    batch.append(item)
                if len(batch) >= MAX_BATCH:
                    break
                item = self._queue.get_nowait()
        return batch, closing

    def _commit(self, batch: Sequence[_Item], *, last: bool) -> None:
        started = monotonic()
        batch, self._held = [*self._held, *batch], []
        error = self._save([record for record, _ in batch])
        if error is not None and not isinstance(error, SlipwayError) and len(batch) > 1:
            results = [(item, self._save([item[0]])) for item in batch]  # one bad record must not take the others along
        else:
            results = [(item, error) for item in batch]
        kept: list[tuple[_Item, Exception | None]] = []
        for item, error in results:
            if isinstance(error, SlipwayError):
                self.room.refused(error)
                if item[1] is None and not last:
                    self._held.append(item)
                    continue
            kept.append((item, error))
        if not kept:
            return
        try:
            self._loop.call_soon_threadsafe(self._done, kept, monotonic() - started)
        except RuntimeError:
            return  # the loop is closed: no one waits any more

    def _save(self, records: Sequence[Record]) -> Exception | None:
        try:
            records = [self._clean(record) for record in records]
            self._catalog.add_traces(
                [record for record in records if isinstance(record, Trace)],
                [record for record in records if isinstance(record, Feedback)],
            )
        except Exception as error:  # noqa: BLE001 -- whatever it is, the clients that wait must hear of it
            return error
        return None

    # -- in the event loop --------------------------------------------------------------------------------------------

    def _done(self, results: Sequence[tuple[_Item, Exception | None]], seconds: float) -> None:
        self._waiting -= len(results)
        for (record, done), error in results:
            if isinstance(record, Trace):
                self._pending.pop(record.id, None)
            if error is not None:
                self.failed += 1
                log.error("record not written", extra={"record": record.id, "why": f"{type(error).__name__}: {error}"})
            if done is None or done.done():
                continue
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(_not_durable(error))
        self._on_commit(len(results), seconds)


def _not_durable(error: Exception) -> Refused:
    return Refused(
        503,
        t("the answer was made, but its record could not be written to disk"),
        error.hint if isinstance(error, SlipwayError) else t("the server's log has the reason"),
        code="not_durable",
        retry_after=5,
    )


def _no_room(error: SlipwayError) -> Refused:
    return Refused(
        503,
        t("no record of an answer could be kept now: {why}", why=error.message),
        error.hint,
        code="not_durable",
        retry_after=5,
    )
