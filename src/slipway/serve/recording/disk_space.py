"""Whether the disk takes records now: what the last write said, and how much is free. Knows no request.

`look` and the two outcomes are called by the one thread that writes; `trouble` is read by everybody, at no cost.
"""

from __future__ import annotations

from time import monotonic

from slipway.core.catalog import Records
from slipway.errors import MissingPrerequisite, SlipwayError
from slipway.i18n import t

LEAST_FREE = 16 << 20
LEAST_SHARE = 0.05
"""Bytes that must stay free, or this part of a small disk: SQLite's log grows to a few MB between two checkpoints."""
EVERY = 1.0
"""Seconds between two looks, and between two attempts to write after one failed."""


class Room:
    """`trouble`: why records cannot be written now, None when they can. `free`: bytes free at the last look."""

    def __init__(self, catalog: Records) -> None:
        self.trouble: SlipwayError | None = None
        self.free = -1
        self._catalog = catalog
        self._failed = True  # the last write; none yet, so the first look tries one
        self._looked = -EVERY

    def look(self) -> None:
        """Ask how much is free, at most once a second; after a failed write, try one."""
        if monotonic() - self._looked < EVERY:
            return
        low = self._low()
        if low is None and self._failed:
            try:
                self._catalog.try_writing()
            except SlipwayError as error:
                low = error
            else:
                self._failed = False
        self.trouble = low
        self._looked = monotonic()

    def refused(self, error: SlipwayError) -> None:
        """A write failed because of the disk."""
        self._failed, self.trouble, self._looked = True, error, monotonic()

    def _low(self) -> SlipwayError | None:
        try:
            room = self._catalog.room()
        except SlipwayError as error:
            return error
        if room is None:
            return None  # the next write will tell
        self.free, size = room
        least = min(LEAST_FREE, int(size * LEAST_SHARE))
        if self.free >= least:
            return None
        return MissingPrerequisite(
            t("the disk of {folder} has {free} MB left", folder=self._catalog.where, free=self.free // 1_000_000),
            t("free at least {n} MB; delete nothing in .slipway", n=-(-least // 1_000_000)),
        )
