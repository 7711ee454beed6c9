"""Indexes kept under `.slipway/cache`, so that they are built once. A cache: what is missing, damaged or not ours is
built again, and where the disk takes nothing the index is used from memory.

The store remembers the digest of every folder it wrote (its seal). A folder is loaded only under a known seal, and
looked at while it is in use, since an index may be mapped into memory. Knows nothing of embedding or of questions.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from slipway.core.protocols import Index
from slipway.core.ref import digest_of
from slipway.errors import IntegrityError, SlipwayError
from slipway.store.models.content import State, changed, hash_file, state_of
from slipway.store.store import Store

log = logging.getLogger("slipway.runtime")

_SEALS = "index"


@dataclass
class Kept:
    """An index in use. `seal` is empty when it lives in memory only."""

    index: Index
    folder: Path
    seal: str = ""
    states: dict[Path, State] = field(default_factory=dict[Path, State])

    def sound(self) -> bool:
        """Whether the files it was loaded from hold the same bytes. Read only when they may not."""
        if not self.seal or not changed(self.states):
            return True
        try:
            states = _states(self.folder)
            if _seal(self.folder) != self.seal:
                return False
        except (OSError, IntegrityError):
            return not self.folder.is_dir()  # a cache that was cleared; what is loaded stays as it is
        self.states = states
        return True


def kept(store: Store, name: str, empty: Callable[[], Index], fill: Callable[[Index], None]) -> Kept:
    """The index called `name`: loaded, or filled and saved. `empty` makes one, `fill` puts the passages in."""
    folder = store.scratch / name
    found = _load(store, folder, empty())
    if found is not None:
        return found
    index = empty()
    fill(index)
    try:
        seal = _save(index, folder)
        store.catalog.remember(_SEALS, {f"{name}:{seal}": b""})
        return Kept(index, folder, seal, _states(folder))
    except (OSError, ValueError, RuntimeError, SlipwayError) as error:  # libraries have no errors of their own for it
        log.warning("index not saved", extra={"folder": str(folder), "why": str(error)})
        return Kept(index, folder)


def whole(store: Store, name: str) -> bool:
    """Whether the index called `name` is kept and its files hold the bytes that were written; reads all of them."""
    folder = store.scratch / name
    try:
        return folder.is_dir() and bool(store.catalog.recall(_SEALS, [f"{name}:{_seal(folder)}"]))
    except (OSError, SlipwayError):
        return False


def _load(store: Store, folder: Path, index: Index) -> Kept | None:
    if not folder.is_dir():
        return None
    try:
        seal = _seal(folder)
        if not store.catalog.recall(_SEALS, [f"{folder.name}:{seal}"]):
            return None
        index.load(str(folder))
        return Kept(index, folder, seal, _states(folder))
    except (OSError, IntegrityError) as error:
        log.warning("index built again", extra={"folder": str(folder), "why": str(error)})
        return None


def _seal(folder: Path) -> str:
    """Digest of the names and bytes of all files."""
    return digest_of({path.relative_to(folder).as_posix(): hash_file(path) for path in _files(folder)})


def _states(folder: Path) -> dict[Path, State]:
    return {path: state_of(path) for path in _files(folder)}


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _save(index: Index, folder: Path) -> str:
    """Write it aside, put it in its place; returns the seal. Someone else's of the same name is replaced."""
    aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".building-"))
    try:
        index.save(str(aside))
        for path in aside.rglob("*"):  # it holds what the documents say, and an index sets no rights
            path.chmod(0o700 if path.is_dir() else 0o600)
        seal = _seal(aside)
        if folder.is_dir():
            os.rename(folder, aside.with_name(f"{aside.name}-old"))
        os.rename(aside, folder)
        return seal
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        shutil.rmtree(aside.with_name(f"{aside.name}-old"), ignore_errors=True)
