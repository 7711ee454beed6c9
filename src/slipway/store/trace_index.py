"""The index of traces: files beside the catalog, whatever database that is in, made again where they are missing.

Traces are numbered as they are written. Each 16,384 numbers are a stretch; one in which nothing is written any more is
sealed: it gets a file (`segment`), made off the path of requests. Until then its sealed parts of 1,024 have one each.
What has no file is read from the catalog itself, so nothing is missing from what is found, however far the files are
behind, and no write waits for them.

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

from slipway.core.trace import Trace, Wanted
from slipway.store import tables
from slipway.store.database import Database
from slipway.store.failing import reporting
from slipway.store.rows import decoded

if TYPE_CHECKING:  # numpy is needed by who looks into one, not by whoever opens a catalog
    from slipway.store.segment import Segment

log = logging.getLogger("slipway.store")

SIZES = (16_384, 1_024)
"""Sequence numbers of a stretch: of most, and of those in the newest of these, which is not sealed as a whole yet."""
OPENED = 128
"""Segments kept open: 0.5 MB each at most."""
SETTLED = 60.0
"""Seconds after which a server with many writers has no number of an older stretch under way."""
_BATCH = 256
_UNUSABLE = (sqlite3.Error, ValueError, KeyError, OSError)
Stretch = tuple[int, int]
"""How many numbers it has, and which of that size it is."""


class TraceIndex:
    """`folder`: where its files lie; None: there are none. Safe for several threads and processes."""

    def __init__(self, folder: Path | None, database: Database) -> None:
        self.folder = folder
        self._database = database
        self._open: OrderedDict[Stretch, tuple[int, Segment]] = OrderedDict()  # -> (which file, the segment)
        self._lock = threading.Lock()

    def segment(self, stretch: Stretch) -> Segment | None:
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
        for start, end, segment in self._pieces(top, bottom):
            if segment is None:
                low = start
                continue
            if low <= high:
                yield low, high, None
            yield start, end, segment
            high, low = start - 1, start
        if low <= high:
            yield low, high, None

    def _pieces(self, top: int, bottom: int, level: int = 0) -> Iterator[tuple[int, int, Segment | None]]:
        """Whole stretches where they have a file, else their parts."""
        size = SIZES[level]
        for number in range(top // size, bottom // size - 1, -1):
            start, end = max(number * size, bottom), min((number + 1) * size - 1, top)
            segment = self.segment((size, number))
            if segment is None and level + 1 < len(SIZES):
                yield from self._pieces(end, start, level + 1)
            else:
                yield start, end, segment

    def found(self, segment: Segment, wanted: Wanted) -> list[int] | None:
        """Numbers of what may be wanted, newest first; None where the file turns out to be damaged: it is deleted."""
        try:
            return segment.found(wanted)
        except _UNUSABLE as error:
            log.warning("index of traces deleted", extra={"why": str(error)})
            with self._lock:
                broken = [stretch for stretch, (_, known) in self._open.items() if known is segment]
            for stretch in broken:
                self._forget(stretch)
            return None

    # keeping it in step --------------------------------------------------------------------------------------------
    def drop(self, seqs: Iterable[int]) -> None:
        """Delete the files in which traces with these numbers stand; called when those are deleted."""
        if self.folder is not None:
            for stretch in {(size, seq // size) for seq in seqs for size in SIZES}:
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
        wanted = self._wanted(low, high) if low is not None else []
        for stretch in wanted:
            if gone():
                return made
            if not self._path(stretch).exists() and self._settled(stretch):
                made += self._make(stretch, gone, pause)
        for stretch in set(self._there()).difference(wanted):
            self._forget(stretch)
        return made

    def _wanted(self, low: int, high: int) -> list[Stretch]:
        """The sealed stretches, the newest first: whole ones, and the parts of the last, which is not whole."""
        whole, part = SIZES
        found = [(part, number) for number in range(high // part - 1, high // whole * whole // part - 1, -1)]
        return [*found, *((whole, number) for number in range(high // whole - 1, low // whole - 1, -1))]

    def check(self) -> list[Stretch]:
        """Delete files that do not match the catalog any more; returns their stretches."""
        found: list[Stretch] = []
        for stretch in self._there():
            segment = self.segment(stretch)
            if segment is None or len(segment) != self._count(stretch):
                self._forget(stretch)
                found.append(stretch)
        return found

    def _make(self, stretch: Stretch, gone: Callable[[], bool], pause: float) -> int:
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

    def _rows(self, stretch: Stretch, gone: Callable[[], bool], pause: float) -> Iterator[tuple[int, Trace]]:
        of, (first, last) = tables.traces.c, _ends(stretch)
        while True:
            if gone():
                raise InterruptedError
            since = time.monotonic()
            query = select(of.seq, of.body).where(of.seq.between(first, last)).order_by(of.seq).limit(_BATCH)
            with self._database.reader.connect() as connection:
                rows = connection.execute(query).all()
            if not rows:
                return
            for row in rows:
                yield row.seq, decoded("trace", row.seq, row.body, Trace)
            first = rows[-1].seq + 1
            time.sleep(pause * (time.monotonic() - since))

    def _count(self, stretch: Stretch) -> int:
        query = select(func.count(tables.traces.c.seq)).where(tables.traces.c.seq.between(*_ends(stretch)))
        with self._database.reader.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def _settled(self, stretch: Stretch) -> bool:
        """Whether no writer may still add to a stretch. SQLite has one writer; a server numbers before it commits."""
        if self._database.kind == "sqlite":
            return True
        of, limit = tables.traces.c, datetime.now(UTC) - timedelta(seconds=SETTLED)
        query = select(of.at).where(of.seq > _ends(stretch)[1]).order_by(of.seq).limit(1)
        with self._database.reader.connect() as connection:
            after = connection.execute(query).scalar()
        return after is not None and after < limit.isoformat()

    def _there(self) -> list[Stretch]:
        if self.folder is None or not self.folder.is_dir():
            return []
        found = (path.stem.split("-") for path in sorted(self.folder.glob("[0-9]*-[0-9]*.db")))
        return [(int(size), int(number)) for size, number in found]

    def _path(self, stretch: Stretch) -> Path:
        return (self.folder or Path()) / f"{stretch[0]}-{stretch[1]:08}.db"

    def _forget(self, stretch: Stretch) -> None:
        with self._lock:
            self._open.pop(stretch, None)
            with reporting(self._path(stretch)):
                self._path(stretch).unlink(missing_ok=True)


def _ends(stretch: Stretch) -> tuple[int, int]:
    """Its first and its last number."""
    size, number = stretch
    return number * size, (number + 1) * size - 1
