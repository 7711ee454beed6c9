"""What a child does at this moment, in a few bytes that it shares with its parent. Knows nothing of what the work is.

Native code may hold the child's only thread for seconds, and then the child can answer no one; the parent still sees
since when it works on what, and so tells a long prompt from a hang. Writing costs the child about a microsecond.
"""

from __future__ import annotations

import mmap
import struct
import time
from pathlib import Path
from typing import NamedTuple

_FORMAT = struct.Struct("=dddd")  # each is written whole: 8 bytes, aligned
_SIZE = 4096
FILE = "pulse"


class Beat(NamedTuple):
    """`since`: when the present piece of work began (monotonic seconds, 0: idle); `cpu`: seconds of processor time the
    child had used by then; `risky`: 1 while it may not come back, a grammar being compiled; `slowest`: seconds that the
    longest piece so far took, the risky ones left out.
    """

    since: float
    cpu: float
    risky: float
    slowest: float


class Pulse:
    """The child's side. `folder`: where its socket is."""

    def __init__(self, folder: Path) -> None:
        with (folder / FILE).open("w+b") as file:
            file.truncate(_SIZE)
            self._shared = mmap.mmap(file.fileno(), _SIZE)
        self._began = self._slowest = 0.0
        self._risky = False

    def enter(self, *, risky: bool) -> None:
        """A piece of work begins."""
        self._began, self._risky = time.monotonic(), risky
        _FORMAT.pack_into(self._shared, 0, self._began, time.process_time(), float(risky), self._slowest)

    def leave(self) -> float:
        """It is done; the seconds that it took."""
        seconds = time.monotonic() - self._began
        if not self._risky:
            self._slowest = max(self._slowest, seconds)
        _FORMAT.pack_into(self._shared, 0, 0.0, 0.0, 0.0, self._slowest)
        return seconds


class Watcher:
    """The parent's side. A child without a pulse looks idle."""

    def __init__(self, folder: Path) -> None:
        self._shared: mmap.mmap | None = None
        path = folder / FILE
        if path.exists():
            with path.open("rb") as file:
                self._shared = mmap.mmap(file.fileno(), _SIZE, access=mmap.ACCESS_READ)

    def beat(self) -> Beat:
        """What the child does now."""
        return Beat(*_FORMAT.unpack_from(self._shared)) if self._shared is not None else Beat(0.0, 0.0, 0.0, 0.0)
