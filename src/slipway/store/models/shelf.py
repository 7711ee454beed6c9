"""How models lie on this machine: one folder each, with a manifest of what was hashed. Knows no source.

    <cache>/<key>/model.json      what the model is, and the sha256, size and time of each file when it was hashed
    <cache>/<key>/...             its files
    <cache>/.locks/<key>          held while a model is fetched or removed
    <cache>/.partial/<key>/       a fetch in progress; what it holds is never used as a model
    <cache>/.rejected/            files whose bytes were not the pinned ones, kept to be looked at

A folder appears under its key by one rename, when it is whole and on disk. A quantised model has a folder of its own,
keyed by the digest of the file it was made from.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from slipway.errors import IntegrityError, MissingPrerequisite
from slipway.files import UNDECODABLE, open_regular, replace_file, sync
from slipway.files import cache_folder as users_cache
from slipway.files import read as read_bounded
from slipway.files import why as why_of
from slipway.gguf_quantize import REVISION
from slipway.i18n import t
from slipway.store.failing import FULL, of_system
from slipway.store.models.content import hash_file, state_of

Progress = Callable[[str, int, "int | None"], None]
MANIFEST = "model.json"
_LARGEST = 10_000_000  # bytes of a manifest


@dataclass(frozen=True)
class Model:
    """A model in the cache. `files`, `sha256`: by name, relative to `folder`; `size` in bytes."""

    source: str
    folder: Path
    files: dict[str, Path]
    sha256: dict[str, str]
    size: int
    license: str = ""
    quantize: str | None = None


class _File(msgspec.Struct, frozen=True):
    sha256: str
    size: int
    mtime_ns: int
    ctime_ns: int = 0  # cannot be set by hand, unlike mtime
    inode: int = 0


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What `model.json` says of its folder."""

    source: str
    files: dict[str, _File]
    license: str = ""
    quantize: str | None = None
    pulled: str = ""  # RFC 3339, UTC
    origin: dict[str, tuple[int, int]] = {}  # local sources: path -> (size, mtime_ns) of what was copied
    slipway_models: int = 1


def cache_folder(cache: Path | None = None) -> Path:
    """`cache`, else $SLIPWAY_CACHE, else ~/.cache/slipway, and in it `models`."""
    return users_cache() / "models" if cache is None else cache


def source_key(source: str) -> str:
    """The folder name of a source: readable, safe on any file system, and its own."""
    identity = f"file:{Path(source[5:]).expanduser().resolve()}" if source.startswith("file:") else source
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", source).strip("-.")[-80:].strip("-.")
    return f"{readable}-{hashlib.sha256(identity.encode()).hexdigest()[:10]}"


def quantized_key(sha256: str, kind: str) -> str:
    """The folder name of what is made from a GGUF file of that digest."""
    return f"{kind}.{REVISION}-{sha256[:32]}"


@contextmanager
def locked(root: Path, key: str, waiting: Callable[[], None] | None = None) -> Generator[None]:
    """Hold the lock of one key; another process that wants it waits. It ends with its process, even a killed one."""
    try:
        (root / ".locks").mkdir(parents=True, exist_ok=True)
        file = (root / ".locks" / key).open("w")
    except OSError as error:
        if error.errno in FULL:
            raise of_system(error, root) from error
        raise MissingPrerequisite(
            t("the model cache {folder} cannot be written: {error}", folder=root, error=why_of(error)),
            t("set SLIPWAY_CACHE to a folder that can be written"),
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting:
                waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def partial_folder(root: Path, key: str) -> Path:
    """Where a fetch in progress is put; kept after a broken one, so that it can go on."""
    folder = root / ".partial" / key
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@dataclass(frozen=True)
class Arrival:
    """A model that has been fetched and hashed, not yet in its place. `files`: name -> where it lies now."""

    source: str
    files: Mapping[str, Path]
    sha256: Mapping[str, str]
    license: str = ""
    quantize: str | None = None
    origin: Mapping[str, tuple[int, int]] | None = None


def commit(root: Path, key: str, arrival: Arrival) -> None:
    """Move fetched files into their place as one model; the caller holds the lock. Replaces what was there."""
    aside = root / ".partial" / f"{key}.whole"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    entries: dict[str, _File] = {}
    for name, path in arrival.files.items():
        target = aside / name
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, target)
        sync(target)
        entries[name] = _entry(target, arrival.sha256[name])
    manifest = Manifest(
        source=arrival.source,
        files=entries,
        license=arrival.license,
        quantize=arrival.quantize,
        pulled=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        origin=dict(arrival.origin or {}),
    )
    (aside / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
    sync(aside / MANIFEST)
    sync(aside)
    discard(root, root / key)
    os.replace(aside, root / key)
    sync(root)
    shutil.rmtree(root / ".partial" / key, ignore_errors=True)


def _entry(path: Path, sha256: str) -> _File:
    state = state_of(path)
    return _File(sha256, state.size, state.mtime_ns, state.ctime_ns, state.inode)


def discard(root: Path, folder: Path) -> None:
    """Remove a model's folder: out of sight by one rename first, so that no half of it is ever found."""
    if folder.exists():
        aside = root / ".partial" / f"{folder.name}.{os.getpid()}.old"
        aside.parent.mkdir(parents=True, exist_ok=True)
        os.replace(folder, aside)
        shutil.rmtree(aside, ignore_errors=True)


def reject(root: Path, path: Path, sha256: str) -> Path:
    """Set a file with the wrong bytes aside, and say where it lies now."""
    target = root / ".rejected" / f"{sha256[:12]}-{path.name}"
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(path, target)
    return target


def read(root: Path, key: str) -> Model | None:
    """The model under a key, if its files are those that were hashed; the digest is taken again where a time differs.

    Raises IntegrityError when bytes changed, a file is missing, or the manifest cannot be read.
    """
    manifest = manifest_of(root / key)
    if manifest is None or _origin_changed(manifest):
        return None
    fresh = dict(manifest.files)
    for name, entry in manifest.files.items():
        path = root / key / name
        if not path.is_file():
            raise damaged(manifest.source, name, t("the file is gone"))
        now = _entry(path, entry.sha256)
        if now.size != entry.size or (now != entry and hash_file(path) != entry.sha256):
            raise damaged(manifest.source, name, t("its bytes are not those that were fetched"))
        fresh[name] = now
    if fresh != manifest.files:
        _rewrite(root / key, msgspec.structs.replace(manifest, files=fresh))
    return model_of(root / key, manifest)


def _rewrite(folder: Path, manifest: Manifest) -> None:
    """Remember the new file times, where the cache can be written; where not, the files are hashed again next time."""
    with suppress(OSError):
        replace_file(folder / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))


def manifest_of(folder: Path) -> Manifest | None:
    """The manifest of a model's folder, or None when there is none. Raises IntegrityError when it cannot be read."""
    try:
        raw = read_bounded(open_regular(folder / MANIFEST), _LARGEST)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return msgspec.json.decode(raw, type=Manifest)
    except UNDECODABLE as error:
        raise damaged(folder.name, MANIFEST, str(error)) from error


def damaged(source: str, name: str, why: str) -> IntegrityError:
    """What to raise when a cached file is not what was fetched."""
    return IntegrityError(
        t("the cached model {source} is damaged: {file}: {why}", source=source, file=name, why=why),
        t("fetch it again: slipway models pull '{source}'", source=source),
    )


def _origin_changed(manifest: Manifest) -> bool:
    """Whether a local file was edited since it was copied. One that is gone has not changed: the copy is used."""
    for path, (size, mtime_ns) in manifest.origin.items():
        try:
            stat = os.stat(path)
        except OSError:
            continue
        if (stat.st_size, stat.st_mtime_ns) != (size, mtime_ns):
            return True
    return False


def model_of(folder: Path, manifest: Manifest) -> Model:
    """A folder and its manifest as a Model."""
    return Model(
        source=manifest.source,
        folder=folder,
        files={name: folder / name for name in manifest.files},
        sha256={name: entry.sha256 for name, entry in manifest.files.items()},
        size=sum(entry.size for entry in manifest.files.values()),
        license=manifest.license,
        quantize=manifest.quantize,
    )
