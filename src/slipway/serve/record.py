"""Traces and feedback on their way to the catalog: many requests share one transaction and one sync to disk.

One thread writes. While it waits for the disk, new records gather, and the next transaction takes them all: under
load the batches grow by themselves, and alone a request waits for one sync only. Knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue

from slipway.core.trace import Feedback, Trace
from slipway.i18n import t
from slipway.serve.refuse import Refused
from slipway.store.catalog import Catalog

log = logging.getLogger("slipway.serve")

MAX_BATCH = 512
MAX_PENDING = 4096
"""Records that `relaxed` may acknowledge before they are on disk: what `kill -9` can lose at most."""

Record = Trace | Feedback
_Item = tuple[Record, "asyncio.Future[None] | None"]


class Recorder:
    """Writes records durably. `strict`: `write` returns when they would survive a power cut. `relaxed`: at once.

    `on_commit(records, seconds)` is called in the event loop after each transaction; `clean` in the writer's thread
    before it, and makes of a record what may be kept of it.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        strict: bool,
        on_commit: Callable[[int, float], None],
        clean: Callable[[Record], Record] = lambda record: record,
    ) -> None:
        self.strict = strict
        self.failed = 0  # records lost because the catalog could not be written; strict ones were refused to the client
        self._catalog = catalog
        self._on_commit = on_commit
        self._clean = clean
        self._queue: SimpleQueue[_Item | None] = SimpleQueue()
        self._pending: dict[str, int] = {}  # ids of traces not yet on disk
        self._thread: threading.Thread | None = None
        self._waiting = 0

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

    async def write(self, record: Record) -> None:
        """Record. Raises Refused (503) when it cannot be made durable: the disk is full, the catalog locked."""
        if not self.strict and self._waiting < MAX_PENDING:
            self.later(record)
            return
        done = self._loop.create_future()
        self._put(record, done)
        await done  # a caller that is cancelled cancels its own waiting only: the record is on its way

    def later(self, record: Record) -> None:
        """Record without waiting: for clients that left, and in `relaxed` mode. Failures are logged and counted."""
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
        while not closing:
            item = self._queue.get()
            batch: list[_Item] = []
            while True:
                if item is None:
                    closing = True
                else:
                    batch.append(item)
                if len(batch) >= MAX_BATCH:
                    break
                try:
                    item = self._queue.get_nowait()
                except Empty:
                    break
            if batch:
                self._commit(batch)

    def _commit(self, batch: Sequence[_Item]) -> None:
        started = self._loop.time()
        error = self._save([record for record, _ in batch])
        if error is not None and len(batch) > 1:  # one bad record must not take the others with it
            results = [(item, self._save([item[0]])) for item in batch]
        else:
            results = [(item, error) for item in batch]
        seconds = self._loop.time() - started
        try:
            self._loop.call_soon_threadsafe(self._done, results, seconds)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more

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
                done.set_exception(_not_durable())
        self._on_commit(len(results), seconds)


def _not_durable() -> Refused:
    return Refused(
        503,
        t("the answer was made, but its record could not be written to disk"),
        t("free space on the disk of the project's .slipway folder; the server's log has the reason"),
        code="not_durable",
        retry_after=5,
    )
