"""Whether files changed: the digest of each by its content, read only when its size or times differ from last time."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from slipway.core.ref import digest_of
from slipway.files import open_regular, sha256_of
from slipway.store.store import Store


def fingerprint(files: Iterable[tuple[str, Path]], store: Store) -> str:
    """One digest over (name, content) of the files. A file that cannot be read counts as its error's name.

    Size, inode, and the times of change and modification to the nanosecond stand for content already read, as in git.
    """
    keys: dict[str, tuple[str, Path]] = {}
    found: dict[str, str] = {}
    for name, path in files:
        try:
            stat = path.stat()
        except OSError as error:
            found[name] = error.strerror or "unreadable"
            continue
        state = [os.fsencode(path).hex(), stat.st_size, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns]
        keys[digest_of(state)] = (name, path)
    known = store.catalog.recall("file", keys)
    fresh: dict[str, bytes] = {}
    for key, (name, path) in keys.items():
        if key not in known:
            fresh[key] = _sha256(path).encode()
        found[name] = (known.get(key) or fresh[key]).decode()
    store.catalog.remember("file", fresh)
    return digest_of(found)


def _sha256(path: Path) -> str:
    try:
        with open_regular(path) as file:
            return sha256_of(file)
    except OSError as error:
        return error.strerror or "unreadable"
