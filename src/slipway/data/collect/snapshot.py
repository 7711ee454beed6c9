"""What was fetched, kept in the project: `fetched/NAME/pages.jsonl`, and the bytes it names by digest beside it.

A fetch writes contents, then a line of `journal.jsonl` for each address that is done with, and at the end replaces
`pages.jsonl` as a whole: killed at any time, what was there before is still whole, and the next fetch goes on.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from slipway.errors import ConfigError
from slipway.files import UNDECODABLE, inside, open_real, read, real, replace_file, sync
from slipway.i18n import t

FOLDER = "fetched"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MOST = 1_000_000_000  # bytes of a list of pages


class Page(msgspec.Struct, frozen=True, omit_defaults=True):
    """One address and what came of it. `reason` is why it is no document; then `sha256` may be empty.

    `at`: when its bytes were fetched, in ISO 8601. `etag` and `modified` are the server's, for a conditional request.
    `follow`: whether its links may be followed, as the header of the answer said.
    """

    url: str
    sha256: str = ""
    size: int = 0
    media_type: str = ""
    etag: str = ""
    modified: str = ""
    at: str = ""
    follow: bool = True
    reason: str = ""
    detail: str = ""


class Snapshot:
    """The folder of one site or table."""

    def __init__(self, root: Path, name: str) -> None:
        self.name = name
        self.folder = root / FOLDER / name
        self._list = self.folder / "pages.jsonl"
        self._journal = self.folder / "journal.jsonl"
        self._allowed = (real(root),)

    def pages(self) -> list[Page] | None:
        """What the last whole fetch gave, in the order of addresses; None before the first one.

        Raises ConfigError when the list cannot be read.
        """
        try:
            lines = read(open_real(real(self._list)), _MOST).splitlines()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._damaged(error.strerror or str(error)) from error
        try:
            pages = [msgspec.json.decode(line, type=Page) for line in lines]
        except UNDECODABLE as error:
            raise self._damaged(str(error)) from error
        wrong = next((page.url for page in pages if page.sha256 and not _SHA256.fullmatch(page.sha256)), None)
        if wrong is not None:
            raise self._damaged(wrong)
        return pages

    def place(self, sha256: str) -> Path | None:
        """Where the bytes lie, links followed; None when that is not in the project."""
        place = real(self._file(sha256))
        return place if inside(place, self._allowed) else None

    def read(self, page: Page) -> bytes | None:
        """The bytes of a page; None when they are not there, or are not those that were fetched."""
        place = self.place(page.sha256) if page.sha256 else None
        if place is None:
            return None
        try:
            data = read(open_real(place), page.size)
        except OSError:
            return None
        return data if hashlib.sha256(data).hexdigest() == page.sha256 else None

    def put(self, data: bytes) -> str:
        """Keep bytes; returns their digest."""
        sha256 = hashlib.sha256(data).hexdigest()
        replace_file(self._file(sha256), data)
        return sha256

    def interrupted(self, of: str) -> dict[str, Page]:
        """What an unfinished fetch with the same settings (`of`, their digest) was done with, by address."""
        try:
            lines = read(open_real(real(self._journal)), _MOST).splitlines()
        except OSError:
            return {}
        if not lines or lines[0] != of.encode():
            return {}
        return {page.url: page for page in _whole(lines[1:])}

    def begin(self, of: str) -> Journal:
        """Go on with the journal of the same settings, or begin a new one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.interrupted(of):
            replace_file(self._journal, of.encode() + b"\n")
        return Journal(self._journal)

    def finish(self, pages: Iterable[Page]) -> str:
        """Replace the list by this one, forget the journal and all bytes that nothing names; returns its digest."""
        ordered = sorted(pages, key=lambda page: page.url)
        replace_file(self._list, b"".join(msgspec.json.encode(page) + b"\n" for page in ordered))
        sync(self._list)
        sync(self.folder)
        self._journal.unlink(missing_ok=True)
        named = {page.sha256 for page in ordered}
        for path in self.folder.glob("??/*"):
            if path.name not in named:
                path.unlink()
        return digest(ordered)

    def forget(self) -> None:
        """Let the next fetch begin anew."""
        self._journal.unlink(missing_ok=True)

    def _file(self, sha256: str) -> Path:
        return self.folder / sha256[:2] / sha256

    def _damaged(self, why: str) -> ConfigError:
        return ConfigError(
            t("{path} cannot be read: {why}", path=self._list, why=why),
            t("fetch again: `slipway data fetch`"),
        )


class Journal:
    """Lines that say what is done, written as it is done."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)

    def add(self, page: Page) -> None:
        """One more address is done. The line begins on a line of its own, whatever was cut off before."""
        os.write(self._handle, b"\n" + msgspec.json.encode(page) + b"\n")

    def close(self) -> None:
        """Nothing more will come."""
        os.close(self._handle)


def digest(pages: Iterable[Page]) -> str:
    """What pins a snapshot: the sha256 of its addresses, types and the digests of their bytes, in order."""
    kept = [[page.url, page.sha256, page.media_type] for page in pages if not page.reason]
    return hashlib.sha256(msgspec.json.encode(kept)).hexdigest()


def _whole(lines: Iterable[bytes]) -> Iterator[Page]:
    for line in lines:
        try:
            yield msgspec.json.decode(line, type=Page)
        except UNDECODABLE:
            continue  # cut off by a kill; that address is fetched again
