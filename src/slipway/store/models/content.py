"""Whether a file still holds the bytes that its digest names. Asked of every file of a model before it is loaded.

A file is hashed once by each process that loads it, and again when its state (device, inode, size, times of
modification and of change) is another one: the time of change cannot be set by hand. Nothing that another process
found is believed, so that a disk that rots is noticed at the next start. Knows no model.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from slipway.errors import IntegrityError
from slipway.i18n import t
from slipway.store.failing import reporting

Progress = Callable[[str, int, "int | None"], None]
SETTLED = 2.0
"""Seconds after its last change from which a file's times are believed: a change within one tick of the clock is not
seen in them."""
_CHUNK = 1 << 20
_known: dict[Path, tuple[State, str]] = {}
_lock = threading.Lock()


class State(NamedTuple):
    """What changes whenever a file's bytes are changed through the file system."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


def state_of(path: Path) -> State:
    """The present state. Raises IntegrityError when the file is gone."""
    try:
        with reporting(path):
            stat = path.stat()
    except FileNotFoundError as error:
        raise _gone(path) from error
    return State(stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


def hash_file(path: Path, progress: Progress | None = None, name: str = "") -> str:
    """SHA-256 of a file, 64 hex characters, read a megabyte at a time."""
    digest, done, total = hashlib.sha256(), 0, path.stat().st_size
    with path.open("rb") as file:
        while block := file.read(_CHUNK):
            digest.update(block)
            done += len(block)
            if progress:
                progress(name or path.name, done, total)
    return digest.hexdigest()


def check_file(path: Path, sha256: str) -> State:
    """Read the whole file and compare; returns the state it was in. Raises IntegrityError for other bytes."""
    before = state_of(path)
    try:
        with reporting(path):
            found = hash_file(path)
    except FileNotFoundError as error:
        raise _gone(path) from error
    if found != sha256 or state_of(path) != before:
        raise IntegrityError(
            t("{path} does not match its digest: the file was changed or the disk is failing", path=path),
            t("remove it with `slipway models rm`, then `slipway models pull`"),
        )
    if abs(time.time_ns() - before.ctime_ns) > SETTLED * 1e9:
        with _lock:
            _known[path] = (before, sha256)
    return before


def check_loaded(files: Mapping[str, Path], digests: Mapping[str, str]) -> dict[Path, State]:
    """`check_file` for each file with a digest, save those that this process has read in the state they are in."""
    states: dict[Path, State] = {}
    for name, path in files.items():
        sha256 = digests.get(name)
        if sha256 is not None:
            state = state_of(path)
            states[path] = state if _known.get(path) == (state, sha256) else check_file(path, sha256)
    return states


def changed(states: Mapping[Path, State]) -> bool:
    """Whether any of the files may hold other bytes than in these states. A look at each, no reading."""
    for path, state in states.items():
        try:
            stat = os.stat(path)
        except OSError:
            return True
        if State(stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns) != state:
            return True
    return False


def _gone(path: Path) -> IntegrityError:
    return IntegrityError(
        t("the model file {path} does not exist", path=path), t("fetch it again with `slipway models pull`")
    )
