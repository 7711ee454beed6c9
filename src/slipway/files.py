"""The habits with files: opening what anybody may have put there, digests, whole writes, the user's cache folder.

Only regular files are opened, of bounded size, where they may lie. A pipe or a device never blocks or fills the memory,
and a link that appears between the look and the opening is not followed. Every failure is an OSError whose `strerror`
can be shown. Knows nothing of what files mean.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import re
import stat
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import IO
from uuid import uuid4

import msgspec

from slipway.i18n import t

UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding bytes that are not what they should be raises."""

_CHUNK = 1 << 20
_NO_ROOM = re.compile(r"\(os error (?:28|122|27)\)|inline_container.*(?:unexpected pos|failed writing)", re.DOTALL)
# Controls, marks of direction and halves of characters (bytes that are not UTF-8): in a name they hide what it is.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


def why(error: OSError) -> str:
    """What went wrong, in the language in force where it is one of the usual things; else the system's own words."""
    usual = {
        errno.ENOENT: t("there is no such file or folder"),
        errno.EACCES: t("access is not allowed"),
        errno.EPERM: t("it is not permitted"),
        errno.EEXIST: t("it exists already"),
        errno.ENOTDIR: t("a part of it is no folder"),
        errno.EISDIR: t("it is a folder"),
        errno.ENOSPC: t("there is no space left on the disk"),
        errno.EDQUOT: t("this user's share of the disk is used up"),
        errno.EROFS: t("the disk can only be read"),
        errno.EADDRNOTAVAIL: t("this machine has no such address"),
    }
    if is_limited(error):
        return t("the file is as large as a file may become here")
    return usual.get(error.errno or 0) or error.strerror or type(error).__name__


def real(path: str | Path) -> Path:
    """The path with every link in it followed; a loop of links is left as it stands, and cannot be opened."""
    try:
        return Path(os.path.realpath(path))
    except ValueError:  # a NUL: no file has such a name, and opening it says so
        return Path(os.path.abspath(path))


def inside(path: Path, roots: Iterable[Path]) -> bool:
    """Whether a path lies in one of these folders, or is one of them. All of them as `real` gives them."""
    return any(path == root or root in path.parents for root in roots)


def is_full(error: BaseException) -> bool:
    """Whether a write failed because the disk, a share of it, or a file at its largest has no room: as the system says
    so, or as safetensors and torch tell it, whose errors are no OSErrors.
    """
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT) or is_limited(error)
    return bool(_NO_ROOM.search(str(error)[:2000]))


def is_limited(error: BaseException) -> bool:
    """Whether a write failed because of a limit on the size of files (RLIMIT_FSIZE), which no freed space lifts."""
    if isinstance(error, OSError):
        return error.errno == errno.EFBIG and error.strerror == os.strerror(errno.EFBIG)  # `read` has words of its own
    return "(os error 27)" in str(error)[:2000]


def raise_limit() -> str:
    """What to do about it."""
    return t("raise the limit on the size of files (`ulimit -f unlimited`, or LimitFSIZE in systemd), then run the same"
             " command again; what was finished is kept, delete nothing in .slipway")  # fmt: skip


def open_regular(path: str | Path) -> io.BufferedReader:
    """A regular file, opened for reading; anything else is an OSError at once."""
    return _opened(path, 0)


def open_real(path: str | Path) -> io.BufferedReader:
    """`open_regular` for a path as `real` gave it: an OSError when a link has come into it since."""
    file = _opened(path, os.O_NOFOLLOW)
    try:
        there = os.readlink(f"/proc/self/fd/{file.fileno()}")
    except OSError:  # a system without /proc: the last part of the path is no link, and that is all we know
        return file
    if there != os.fspath(path):
        file.close()
        raise OSError(errno.ELOOP, t("it was moved while it was opened"), os.fspath(path))
    return file


def read(file: io.BufferedReader, most: int) -> bytes:
    """All of an opened file, which is closed; an OSError when it holds more than `most` bytes."""
    with file:
        pieces: list[bytes] = []
        size = 0
        while piece := file.read(_CHUNK):
            size += len(piece)
            if size > most:
                raise OSError(errno.EFBIG, t("it is larger than {n} bytes", n=most))
            pieces.append(piece)
    return b"".join(pieces)


def sha256_of(file: io.BufferedReader) -> str:
    """Digest of what an opened file holds, in hexadecimal."""
    return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def aside(path: Path, *, durable: bool) -> Generator[Path]:
    """Where to write what shall stand at `path`: at the end it gets that name whole, and after an error nothing of it
    stays. Its folder is made. `durable`: it then survives a power cut. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}-{uuid4().hex[:8]}")
    try:
        yield new
        if durable:
            sync(new)
        os.replace(new, path)
        if durable:
            sync(path.parent)
    finally:
        with contextlib.suppress(OSError):
            new.unlink()


def replace_file(path: Path, data: bytes) -> None:
    """Put a file in its place whole or not at all, only for its owner; its folder is made. A power cut may lose it."""
    with aside(path, durable=False) as new, private(new) as out:
        out.write(data)


def private(path: Path) -> IO[bytes]:
    """A new file, emptied if it is there, that nobody but its owner may read. Raises OSError."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb")


def sync(path: Path) -> None:
    """Make a file's contents, or the renames in a folder, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def cache_folder() -> Path:
    """Where what can be had again is kept for a user: $SLIPWAY_CACHE, else ~/.cache/slipway."""
    chosen = os.environ.get("SLIPWAY_CACHE")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "slipway"


def printable(name: str) -> str:
    """A file's name as text that can be stored and shown: what cannot be seen is written as an escape."""
    return _UNPRINTABLE.sub(_escape, name)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:  # how Python carries a byte that is not UTF-8
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _opened(path: str | Path, flags: int) -> io.BufferedReader:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY | flags)
    except ValueError as error:  # a NUL in the name
        raise OSError(errno.EINVAL, t("the name cannot be one of a file")) from error
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, t("it is not a regular file"), os.fspath(path))
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise
