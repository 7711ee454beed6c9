"""What a disk says when it refuses, as an error a person can act on; `sqlite` and `postgres` do so for databases.

Every hint loses nothing: what was stored stays where it is. Knows neither what was being written nor who asked.
"""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from slipway.errors import IntegrityError, MissingPrerequisite, SlipwayError
from slipway.files import is_limited, raise_limit, why
from slipway.i18n import t

FULL = frozenset((errno.ENOSPC, errno.EDQUOT))
ROOM = 1 << 20  # bytes; with less than this free, a failed write is put down to the full disk


@contextmanager
def reporting(path: Path) -> Generator[None]:
    """Turn an OSError of what is done inside into the SlipwayError that says what to do; `path` is shown.

    A missing file is the caller's matter and passes.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise of_system(error, path) from error


def of_system(error: OSError, path: Path | str) -> SlipwayError:
    """The error for a failed system call on `path`."""
    if error.errno in FULL:
        return full(path)
    if is_limited(error):
        return limited(path)
    if error.errno == errno.EROFS:
        return read_only(path)
    if error.errno in (errno.EACCES, errno.EPERM):
        return forbidden(path)
    if error.errno == errno.EIO:
        return broken_disk(path)
    if error.errno in (errno.EEXIST, errno.ENOTDIR, errno.EISDIR):
        return in_the_way(error, path)
    return SlipwayError(t("the system said: {why}", why=error), t("check disk space and permissions"))


def full(path: Path | str, todo: str = "") -> MissingPrerequisite:
    """The disk, or this user's share of it, is full. `todo`: what to do where the disk is another machine's."""
    own = t("free some space, then run the same command again; what was finished is kept, delete nothing in .slipway")
    return MissingPrerequisite(t("the disk of {folder} is full", folder=path), todo or own)


def limited(path: Path | str) -> MissingPrerequisite:
    """A limit on the size of files (RLIMIT_FSIZE) stopped the write."""
    return MissingPrerequisite(t("{path} is as large as a file may become here", path=path), raise_limit())


def at_limit(*paths: Path) -> bool:
    """Whether one of these files is nearly as large as this process may make a file."""
    most, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    return most != resource.RLIM_INFINITY and any(p.exists() and p.stat().st_size + ROOM > most for p in paths)


def read_only(path: Path | str) -> MissingPrerequisite:
    """The file system does not take writes."""
    return MissingPrerequisite(
        t("{path} is on a file system that is read-only", path=path),
        t("what is there can be read and served; to change it, mount the file system writable (see dmesg for why not)"),
    )


def forbidden(path: Path | str) -> MissingPrerequisite:
    """The file or its folder belongs to somebody else."""
    return MissingPrerequisite(
        t("this user may not read or write {path}", path=path),
        t("run as the owner of the project's folder, or give this user the right to write there"),
    )


def in_the_way(error: OSError, path: Path | str) -> MissingPrerequisite:
    """A file lies where a folder has to be, or a folder where a file has to be."""
    place = error.filename2 or error.filename or path
    told = t("it is no folder") if error.errno == errno.EEXIST else why(error)  # a folder was to be made
    return MissingPrerequisite(
        t("{path} cannot be written: {why}", path=place, why=told),
        t("move what lies there to another place, then run the same command again"),
    )


def broken_disk(path: Path | str, todo: str = "") -> IntegrityError:
    """The disk answers with an error of its own. `todo`: as for `full`."""
    own = t("stop, copy the project's folder to another disk, and look at the system's log (dmesg)")
    return IntegrityError(t("the disk of {path} reports errors", path=path), todo or own)


def damaged(path: Path, why: str) -> IntegrityError:
    """Pages of the database are not what SQLite wrote."""
    return IntegrityError(
        t("{path} cannot be read as a catalog: {why}", path=path, why=why),
        t(
            "stop what runs in this project and copy the folder {folder}; then restore a backup, or recover into a new "
            "file: sqlite3 catalog.db .recover | sqlite3 new.db",
            folder=path.parent.name,
        ),
    )


def free_bytes(folder: Path) -> int:
    """Bytes that this user may still write there; a large number where the system does not say."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return 1 << 62
    return found.f_bavail * found.f_frsize


def is_read_only(folder: Path) -> bool:
    """Whether the file system of a folder is mounted read-only."""
    try:
        return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
    except OSError:
        return False
