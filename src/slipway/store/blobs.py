"""Bytes by their SHA-256, as files. Knows nothing of what the bytes mean.

A blob is written aside, synced and renamed, so a reader sees all of it or nothing, also after `kill -9`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, TypeVar

from slipway.core.ref import canonical, decoder_of
from slipway.errors import IntegrityError, NotFound
from slipway.files import sha256_of, sync
from slipway.i18n import t
from slipway.store.failing import reporting

T = TypeVar("T")


class Blobs:
    """A folder of blobs: `ab/abcdef...`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._aside = folder / "aside"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._aside.mkdir(mode=0o700, exist_ok=True)

    def path(self, digest: str) -> Path:
        """Where the blob lies, whether or not it exists."""
        return self.folder / digest[:2] / digest

    def has(self, digest: str) -> bool:
        """Whether the blob is here; its bytes are not checked (`sound` does)."""
        return self.path(digest).is_file()

    def put(self, data: bytes) -> str:
        """Store bytes durably; returns their digest. Storing the same bytes again costs two hashes, and mends a blob
        that was damaged.
        """
        return self.put_pieces([data])

    def put_pieces(self, pieces: Iterable[bytes]) -> str:
        """Store a stream of bytes without holding it in memory; returns the digest of the whole."""
        digest = hashlib.sha256()
        with reporting(self.folder), _aside(self._aside) as file:
            for piece in pieces:
                digest.update(piece)
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
            name = digest.hexdigest()
            target = self.path(name)
            if not self.sound(name):
                target.parent.mkdir(mode=0o700, exist_ok=True)
                os.chmod(file.name, 0o400)
                os.replace(file.name, target)
                sync(target.parent)
            else:
                with suppress(OSError):
                    os.utime(target)  # `gc` lets what is young be
        return name

    def take(self, path: Path) -> str:
        """Move a file into the store; returns its digest. It is not held in memory, and not copied on one disk."""
        with reporting(path):
            with path.open("rb") as file:
                name = sha256_of(file)
                os.fsync(file.fileno())
            target = self.path(name)
            if self.sound(name):
                path.unlink()
                with suppress(OSError):
                    os.utime(target)
                return name
            target.parent.mkdir(mode=0o700, exist_ok=True)
            try:
                os.replace(path, target)
            except OSError:  # on another disk
                with path.open("rb") as file:
                    self.put_pieces(iter(lambda: file.read(1 << 20), b""))
                path.unlink()
                return name
            os.chmod(target, 0o400)
            sync(target.parent)
        return name

    def get(self, digest: str) -> bytes:
        """The bytes, checked. Raises NotFound, or IntegrityError when they no longer match."""
        try:
            with reporting(self.path(digest)):
                data = self.path(digest).read_bytes()
        except FileNotFoundError as error:
            raise _missing(digest) from error
        if hashlib.sha256(data).hexdigest() != digest:
            raise _damaged(self.path(digest))
        return data

    def verify(self, digest: str) -> None:
        """Read the whole blob and compare; raises NotFound or IntegrityError."""
        try:
            with reporting(self.path(digest)), self.path(digest).open("rb") as file:
                found = sha256_of(file)
        except FileNotFoundError as error:
            raise _missing(digest) from error
        if found != digest:
            raise _damaged(self.path(digest))

    def sound(self, digest: str) -> bool:
        """Whether the blob is here and its bytes are what its name says; reads all of it."""
        try:
            self.verify(digest)
        except (NotFound, IntegrityError):
            return False
        return True

    def put_lines(self, items: Iterable[object]) -> str:
        """Store nouns as canonical JSON, one a line."""
        return self.put_pieces(canonical(item) + b"\n" for item in items)

    def get_lines(self, digest: str, kind: type[T]) -> Iterator[T]:
        """Read back what `put_lines` stored, typed; the blob is checked first."""
        decoder = decoder_of(kind)
        for line in self.get(digest).splitlines():
            yield decoder.decode(line)

    def remove(self, digest: str) -> None:
        """Forget a blob that is rebuildable or no longer pointed at; a missing one is fine."""
        self.path(digest).unlink(missing_ok=True)

    def files(self) -> Iterator[Path]:
        """Every blob that is here."""
        for folder in sorted(self.folder.iterdir()):
            if len(folder.name) == 2 and folder.is_dir():
                yield from sorted(path for path in folder.iterdir() if len(path.name) == 64)

    def aside(self) -> list[Path]:
        """What is being written now, and what interrupted writes left."""
        return list(self._aside.iterdir())

    def sweep(self) -> None:
        """Delete what interrupted writes left aside. Only while no one else writes (the project lock is held)."""
        shutil.rmtree(self._aside, ignore_errors=True)
        self._aside.mkdir(mode=0o700, exist_ok=True)


def write_aside(path: Path, data: bytes) -> None:
    """Replace a file durably: readers see the old bytes or the new ones. Raises SlipwayError when it cannot be done."""
    with reporting(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _aside(path.parent, f".{path.name}.") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.replace(file.name, path)
        sync(path.parent)


@contextmanager
def _aside(folder: Path, prefix: str = "tmp") -> Generator[IO[bytes]]:
    """A new file in the folder, gone afterwards unless it was renamed."""
    with NamedTemporaryFile(dir=folder, prefix=prefix, delete=False) as file:
        try:
            yield file
        finally:
            with suppress(OSError):
                os.unlink(file.name)


def _missing(digest: str) -> NotFound:
    return NotFound(
        t("blob {digest} is not in the store", digest=digest[:12]),
        t("run `slipway run`: what can be rebuilt, is; otherwise restore .slipway/blobs from a backup"),
    )


def _damaged(path: Path) -> IntegrityError:
    return IntegrityError(
        t("{path} does not match its digest: the file was changed or the disk is failing", path=path),
        t("restore it from a backup, or delete it and run `slipway run` if it can be rebuilt"),
    )
