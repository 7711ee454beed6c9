"""A project's state, opened: the folder with blobs, the catalog in it or on a server, and the lock that keeps two runs
apart.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import stat
import time
from collections.abc import Generator, Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile

from slipway.core.database import Address
from slipway.errors import Busy
from slipway.i18n import t
from slipway.store.blobs import Blobs
from slipway.store.catalog import Catalog
from slipway.store.database import Database
from slipway.store.failing import is_read_only, of_system, reporting
from slipway.store.sqlite import SQLite

WAIT = 10  # seconds for another command to end that deletes or reads all blobs


class Store:
    """`.slipway/` of one project. Reading and serving need no lock; what changes the project holds `lock`."""

    def __init__(self, folder: Path, address: Address | None = None) -> None:
        self.folder = folder
        with reporting(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.blobs = Blobs(folder / "blobs")
        _tighten(folder)
        self.catalog = Catalog(_database(folder, address), folder / "cache" / "traces")

    def close(self) -> None:
        """Release files."""
        self.catalog.close()

    @property
    def scratch(self) -> Path:
        """A folder for what can be rebuilt at any time: loaded indexes."""
        folder = self.folder / "cache"
        with reporting(folder):
            folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def named(self, files: Mapping[str, str]) -> dict[str, Path]:
        """Blobs under the names that engines know files by: name -> a link in `artifacts`, made when it is missing.

        Raises NotFound for a blob that is not here.
        """
        found: dict[str, Path] = {}
        for name, digest in files.items():
            blob, link = self.blobs.path(digest), self.folder / "artifacts" / digest / name
            if not blob.is_file():
                self.blobs.verify(digest)  # says so
            if not link.exists() or not link.samefile(blob):
                with reporting(link):
                    link.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                    link.unlink(missing_ok=True)
                    os.link(blob, link)
            found[name] = link
        return found

    @property
    def salt(self) -> bytes:
        """32 random bytes of this project, made once: what keys the hashes of personal data."""
        path = self.folder / "salt"
        if not path.exists():
            with reporting(path), NamedTemporaryFile(dir=self.folder, prefix=".salt-") as file:
                file.write(secrets.token_bytes(32))
                file.flush()
                os.fsync(file.fileno())
                with contextlib.suppress(FileExistsError):  # another process made it: that one counts
                    os.link(file.name, path)
        return path.read_bytes()

    @contextlib.contextmanager
    def sweeping(self, *, shared: bool = False) -> Generator[None]:
        """Held by the one who deletes blobs, and `shared` by those who need them all to stay.

        Raises Busy when another holds it for longer than `WAIT` seconds.
        """
        try:
            file = os.open(self.folder / "sweep.lock", os.O_RDONLY | os.O_CREAT, 0o600)
        except OSError as error:
            if shared and error.errno in (errno.EROFS, errno.ENOSPC, errno.EDQUOT):
                yield  # no one can delete anything either
                return
            raise of_system(error, self.folder) from error
        try:
            end = time.monotonic() + WAIT
            while not _locked(file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX):
                if time.monotonic() > end:
                    raise Busy(
                        t("a backup or a `slipway store gc` is at work in this project"),
                        t("wait for it to end, then run the same command again; nothing was changed"),
                    )
                time.sleep(0.05)
            yield
        finally:
            os.close(file)

    @contextlib.contextmanager
    def lock(self, *, sweep: bool = True) -> Generator[None, None, None]:
        """Held by one process at a time; the kernel frees it when that process ends, however it ends.

        `sweep`: delete what interrupted writes left aside.

        Raises Busy, naming the holder's process id, when someone else has it.
        """
        path = self.folder / "lock"
        with reporting(path):
            file = open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "a+")  # noqa: SIM115
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                file.seek(0)
                raise Busy(
                    t("another slipway run is at work in this project (process {pid})", pid=file.read() or "?"),
                    t("wait for it to end, or stop it with Ctrl-C; what it has finished will not be done again"),
                ) from error
            with reporting(path):
                file.truncate(0)
                file.write(str(os.getpid()))
                file.flush()
                if sweep:
                    self.blobs.sweep()
            yield


def _locked(file: int, how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _database(folder: Path, address: Address | None) -> Database:
    if address is None or not address.url:
        return SQLite(folder / "catalog.db")
    from slipway.store.postgres import Postgres

    return Postgres(address)


def _tighten(folder: Path) -> None:
    """Take away what others than the owner may do, where an older version gave it: once, for it takes a walk.

    The folder comes last, so that a walk that was stopped is made again.
    """
    if not stat.S_IMODE(folder.stat().st_mode) & 0o077 or is_read_only(folder):
        return
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(root, name)
            with contextlib.suppress(FileNotFoundError):  # another process may be at work here
                if not path.is_symlink():
                    path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o077)
    folder.chmod(stat.S_IMODE(folder.stat().st_mode) & ~0o077)
