"""A project's state folder, opened: blobs and catalog together, and the lock that keeps two runs apart."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Generator
from pathlib import Path

from slipway.errors import Busy
from slipway.i18n import t
from slipway.store.blobs import Blobs
from slipway.store.catalog import Catalog
from slipway.store.failing import told


class Store:
    """`.slipway/` of one project. Reading and serving need no lock; what changes the project holds `lock`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with told(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self.blobs = Blobs(folder / "blobs")
        self.catalog = Catalog(folder / "catalog.db")

    def close(self) -> None:
        """Release files."""
        self.catalog.close()

    @property
    def scratch(self) -> Path:
        """A folder for what can be rebuilt at any time: loaded indexes."""
        folder = self.folder / "cache"
        with told(folder):
            folder.mkdir(exist_ok=True)
        return folder

    @contextlib.contextmanager
    def lock(self) -> Generator[None, None, None]:
        """Held by one process at a time; the kernel frees it when that process ends, however it ends.

        Raises Busy, naming the holder's process id, when someone else has it.
        """
        path = self.folder / "lock"
        with told(path):
            file = path.open("a+")
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                file.seek(0)
                raise Busy(
                    t("another slipway run is at work in this project (process {pid})", pid=file.read() or "?"),
                    t("wait for it to end, or stop it with Ctrl-C; what it has finished will not be done again"),
                ) from error
            with told(path):
                file.truncate(0)
                file.write(str(os.getpid()))
                file.flush()
                self.blobs.sweep()
            yield
