"""Indexes kept under `.slipway/cache`, so that they are built once. A cache: what is missing, damaged or not ours is
built again, and where the disk takes nothing the index is used from memory.

The store remembers the digest of every folder it wrote (its seal). A folder is loaded only under a known seal, and
looked at while it is in use, since an index may be mapped into memory. Knows nothing of embedding or of questions.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from slipway.core.protocols import Elsewhere, Index
from slipway.core.ref import digest_of
from slipway.errors import EngineError, IntegrityError, MissingPrerequisite, SlipwayError
from slipway.files import UNDECODABLE
from slipway.store.models.content import State, changed, hash_file, state_of
from slipway.store.store import Store

if TYPE_CHECKING:
    from slipway.core.protocols import Vectors

log = logging.getLogger("slipway.runtime")

_SEALS = "index"


@dataclass
class Kept:
    """An index in use. `seal` is empty when it lives in memory only."""

    index: Index
    folder: Path
    seal: str = ""
    states: dict[Path, State] = field(default_factory=dict[Path, State])

    async def search(
        self, text: str, vector: Vectors | None, k: int, filters: Mapping[str, Any] | None
    ) -> list[tuple[str, float]]:
        """See `Index.search`. One that waits for another program holds up nobody else."""
        if isinstance(self.index, Elsewhere):
            return await asyncio.to_thread(self.index.search, text, vector, k, filters)
        return self.index.search(text, vector, k, filters)

    def sound(self) -> bool:
        """Whether what it was loaded from holds the same bytes. Files are read only when they may not."""
        if isinstance(self.index, Elsewhere) and not self.index.sound():
            return False
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


class Made(msgspec.Struct, frozen=True):
    """The plug-in that an index was made with, and its options."""

    plugin: str
    options: dict[str, Any] = {}


def kept(store: Store, name: str, empty: Callable[[], Index], fill: Callable[[Index], None], made: Made) -> Kept:
    """The index called `name`: loaded, or filled and saved. `empty` makes one, `fill` puts the passages in."""
    folder = store.scratch / name
    found = _load(store, folder, empty())
    if found is not None:
        return found
    index = empty()
    fill(index)
    try:
        seal = _save(index, folder)
        store.catalog.remember(_SEALS, {f"{name}:{seal}": msgspec.json.encode(made)})
        return Kept(index, folder, seal, _states(folder))
    except (EngineError, MissingPrerequisite):
        raise  # another program that holds the passages does not: there is nothing to search
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


def unneeded(
    store: Store, needed: Collection[str], make: Callable[[Made], Index], *, grace: float, dry_run: bool
) -> Unneeded:
    """Delete kept indexes that are not `needed` and older than `grace` seconds, with what other programs hold of them.

    What another program holds stays while a needed index uses it, too. A program that does not answer is told of, and
    asked again the next time.
    """
    found, used, old = Unneeded(), set[str](), list[tuple[Path, Made | None]]()
    for folder in sorted(store.scratch.glob("index-*")):
        made = _made(store, folder)
        if folder.name in needed or folder.stat().st_mtime > time.time() - grace:
            with contextlib.suppress(SlipwayError):  # its plug-in is not there; then it can delete nothing either
                used.update(_places(folder, made, make))
        else:
            old.append((folder, made))
    for folder, made in old:
        try:
            if not dry_run:
                _forget(folder, made, make, used)
        except SlipwayError as error:
            found.left.append(error)
            continue
        found.count += 1
        found.bytes += sum(path.stat().st_size for path in _files(folder))
        if not dry_run:
            shutil.rmtree(folder, ignore_errors=True)
    return found


@dataclass
class Unneeded:
    """How many indexes went, their bytes here, and why some could not be deleted."""

    count: int = 0
    bytes: int = 0
    left: list[SlipwayError] = field(default_factory=list[SlipwayError])


def _made(store: Store, folder: Path) -> Made | None:
    """What made it; None where that is not known."""
    try:
        key = f"{folder.name}:{_seal(folder)}"
        return msgspec.json.decode(store.catalog.recall(_SEALS, [key]).get(key, b""), type=Made)
    except (OSError, SlipwayError, *UNDECODABLE):
        return None


def _places(folder: Path, made: Made | None, make: Callable[[Made], Index]) -> Sequence[str]:
    index = make(made) if made else None
    try:
        return index.places(str(folder)) if isinstance(index, Elsewhere) else ()
    except IntegrityError:
        return ()  # nobody knows any more where they are


def _forget(folder: Path, made: Made | None, make: Callable[[Made], Index], used: set[str]) -> None:
    places = _places(folder, made, make)
    if not made or not places:
        return
    index = make(made)
    assert isinstance(index, Elsewhere)
    for place in set(places) - used:
        index.forget(place)


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
