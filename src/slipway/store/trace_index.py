"""The index of traces: files beside the catalog, whatever database that is in, made again where they are missing.

Traces are numbered as they are written. Each `SIZE` numbers are a stretch; one in which nothing is written any more is
sealed: it gets a file (`segment`), made off the path of requests. What has no file is read from the catalog itself, so
nothing is missing from what is found, however far the files are behind, and no write waits for them.

Where a trace is deleted, the file of its stretch is deleted with it, and made again without it. Files of another
server on the same database cannot be reached from here: each server looks once a day whether its own still match.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from slipway.core.trace import Trace
from slipway.store import tables
from slipway.store.database import Database
from slipway.store.failing import reporting
from slipway.store.rows import decoded

if TYPE_CHECKING:  # numpy is needed by who looks into one, not by whoever opens a catalog
    from slipway.store.segment import Segment

log = logging.getLogger("slipway.store")

SIZE = 16_384
"""Sequence numbers of a stretch. Fewer: more files to look into; more: more to read of what is not sealed yet."""
OPENED = 96
"""Segments kept open: 0.5 MB each."""
SETTLED = 60.0
"""Seconds after which a server with many writers has no number of an older stretch under way."""
_BATCH = 256
_UNUSABLE = (sqlite3.Error, ValueError, KeyError, OSError)


class TraceIndex:
    """`folder`: where its files lie; None: there are none. Safe for several threads and processes."""

    def __init__(self, folder: Path | None, database: Database) -> None:
        self.folder = folder
        self._database = database
        self._open: OrderedDict[int, tuple[int, Segment]] = OrderedDict()  # stretch -> (which file, the segment)
        self._lock = threading.Lock()

    def segment(self, stretch: int) -> Segment | None:
        """The index of a stretch; None where there is none, or none that can be read."""
        if self.folder is None:
            return None
        path = self._path(stretch)
        try:
            this = path.stat().st_ino
            from slipway.store.segment import Segment

            with self._lock:
                known = self._open.get(stretch)
                if known is None or known[0] != this:
                    known = self._open[stretch] = this, Segment(path)
                self._open.move_to_end(stretch)
                while len(self._open) > OPENED:
                    self._open.popitem(last=False)
            return known[1]
        except FileNotFoundError:
            return None
        except _UNUSABLE as error:
            log.warning("index of traces not used", extra={"file": str(path), "why": str(error)})
            return None

    def stretches(self, top: int, bottom: int) -> Iterator[tuple[int, int, Segment | None]]:
        """(lowest, highest number, index) from `top` down to `bottom`; neighbours without an index are one."""
        high, low = top, top + 1
        for stretch in range(top // SIZE, bottom // SIZE - 1, -1):
            found = self.segment(stretch)
            if found is None:
                low = max(stretch * SIZE, bottom)
                continue
            if low <= high:
                yield low, high, None
            yield stretch * SIZE, min(high, (stretch + 1) * SIZE - 1), found
            high, low = stretch * SIZE - 1, stretch * SIZE
        if low <= high:
            yield low, high, None

    # keeping it in step --------------------------------------------------------------------------------------------
    def drop(self, seqs: Iterable[int]) -> None:
        """Delete the files in which traces with these numbers stand; called when those are deleted."""
        for stretch in {seq // SIZE for seq in seqs} if self.folder is not None else ():
            self._forget(stretch)

    def clear(self) -> None:
        """Delete all of it."""
        for stretch in self._there():
            self._forget(stretch)

    def keep_up(self, gone: Callable[[], bool] = lambda: False, pause: float = 0.0) -> int:
        """Index every sealed stretch that is not; returns how many files were made. `gone`: whether to stop.

        `pause`: seconds of rest for each second of work, for a server that answers meanwhile.
        """
        of, made = tables.traces.c, 0
        if self.folder is None:
            return 0
        with self._database.reader.connect() as connection:
            low, high = connection.execute(select(func.min(of.seq), func.max(of.seq))).one()
        if low is None:
            self.clear()
            return 0
        for stretch in range(high // SIZE - 1, low // SIZE - 1, -1):
            if gone():
                break
            if not self._path(stretch).exists() and self._settled(stretch):
                made += self._make(stretch, gone, pause)
        for stretch in [one for one in self._there() if not low // SIZE <= one < high // SIZE]:
            self._forget(stretch)
        return made

    def check(self) -> list[int]:
        """Delete files that do not match the catalog any more; returns their stretches."""
        found: list[int] = []
        for stretch in self._there():
            segment = self.segment(stretch)
            if segment is None or len(segment) != self._count(stretch):
                self._forget(stretch)
                found.append(stretch)
        return found

    def _make(self, stretch: int, gone: Callable[[], bool], pause: float) -> int:
        from slipway.store.segment import build

        path = self._path(stretch)
        with reporting(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                count = build(path, self._rows(stretch, gone, pause))
            except InterruptedError:
                return 0
        if not count or count != self._count(stretch):  # deleted meanwhile
            self._forget(stretch)
            return 0
        return 1

    def _rows(self, stretch: int, gone: Callable[[], bool], pause: float) -> Iterator[tuple[int, Trace]]:
        of, last = tables.traces.c, stretch * SIZE - 1
        while True:
            if gone():
                raise InterruptedError
            since = time.monotonic()
            query = select(of.seq, of.body).where(of.seq > last, of.seq < (stretch + 1) * SIZE)
            with self._database.reader.connect() as connection:
                rows = connection.execute(query.order_by(of.seq).limit(_BATCH)).all()
            if not rows:
                return
            for row in rows:
                yield row.seq, decoded("trace", row.seq, row.body, Trace)
            last = rows[-1].seq
            time.sleep(pause * (time.monotonic() - since))

    def _count(self, stretch: int) -> int:
        of = tables.traces.c
        query = select(func.count(of.seq)).where(of.seq.between(stretch * SIZE, (stretch + 1) * SIZE - 1))
        with self._database.reader.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def _settled(self, stretch: int) -> bool:
        """Whether no writer may still add to a stretch. SQLite has one writer; a server numbers before it commits."""
        if self._database.kind == "sqlite":
            return True
        of, limit = tables.traces.c, datetime.now(UTC) - timedelta(seconds=SETTLED)
        query = select(of.at).where(of.seq >= (stretch + 1) * SIZE).order_by(of.seq).limit(1)
        with self._database.reader.connect() as connection:
            after = connection.execute(query).scalar()
        return after is not None and after < limit.isoformat()

    def _there(self) -> list[int]:
        there = self.folder is not None and self.folder.is_dir()
        return [int(path.stem) for path in sorted(self._path(0).parent.glob("[0-9]*.db"))] if there else []

    def _path(self, stretch: int) -> Path:
        return (self.folder or Path()) / f"{stretch:08}.db"

    def _forget(self, stretch: int) -> None:
        with self._lock:
            self._open.pop(stretch, None)
            with reporting(self._path(stretch)):
                self._path(stretch).unlink(missing_ok=True)
