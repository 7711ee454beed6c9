"""What a backup is made of: a zip with one file of JSON lines for each table, the blobs, and a manifest of digests.

Rows are the same whatever database they come from, so a backup of one restores into the other. Writes and reads no
catalog: `backup` and `restore` do.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NoReturn

import msgspec
from sqlalchemy import LargeBinary, Table

from slipway.core.ref import canonical
from slipway.errors import ConfigError, IntegrityError, NotFound
from slipway.files import UNDECODABLE, open_regular
from slipway.i18n import t
from slipway.store import tables
from slipway.store.failing import reporting
from slipway.store.migrate import REVISIONS

FORMAT = 1
MANIFEST = "manifest.json"
SALT = "salt"
PIECE = 1 << 20
_LONGEST_MANIFEST = 1 << 28


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a backup."""

    sha256: str
    size: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds. `head`: of the ledger. `columns`: of each table, in the order of its lines."""

    format: int
    slipway: str
    made: str
    schema: str
    database: str
    head: str
    columns: dict[str, list[str]]
    rows: dict[str, int]
    parts: dict[str, Part]


def rows_of(table: Table) -> str:
    """The name of the file with a table's rows."""
    return f"rows/{table.name}.jsonl"


def blob_of(digest: str) -> str:
    """The name of a blob's file."""
    return f"blobs/{digest}"


def encode(table: Table, row: Any) -> bytes:
    """A row as a line; bytes become base64."""
    values = [
        value.encode() if isinstance(value, str) and isinstance(column.type, LargeBinary) else value
        for column, value in zip(table.c, row, strict=True)
    ]
    return canonical(values) + b"\n"


def decode(table: Table, columns: list[str], line: bytes) -> dict[str, Any]:
    """A line as a row. Raises msgspec's errors for one that is none."""
    values = msgspec.json.decode(line, type=list[Any])
    row: dict[str, Any] = dict(zip(columns, values, strict=True))
    for name, value in row.items():
        if isinstance(table.c[name].type, LargeBinary) and value is not None:
            row[name] = msgspec.convert(value, bytes)
    return row


class Archive:
    """A backup opened for reading; every part is checked against the manifest as it is read."""

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            with reporting(file):
                self._raw = open_regular(file)
        except FileNotFoundError as error:
            raise NotFound(
                t("{path} is not there", path=file), t("name the file that `slipway store backup` wrote")
            ) from error
        try:
            self._zip = zipfile.ZipFile(self._raw)
            if any(
                part.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for part in self._zip.infolist()
            ):
                raise zipfile.BadZipFile
            if self._zip.getinfo(MANIFEST).file_size > _LONGEST_MANIFEST:
                raise zipfile.BadZipFile
            raw = self._zip.read(MANIFEST)
            self.manifest = msgspec.json.decode(raw, type=Manifest)
        except (
            zipfile.BadZipFile,
            zlib.error,
            KeyError,
            OSError,
            EOFError,
            NotImplementedError,
            RuntimeError,
        ) as error:
            self.close()
            self.refuse(t("it is no backup, or not whole"), error)
        except UNDECODABLE as error:
            self.close()
            self.refuse(t("its manifest cannot be read"), error)
        self.digest = hashlib.sha256(raw).hexdigest()
        self._check_manifest()

    def close(self) -> None:
        """Release the file."""
        self._raw.close()

    def refuse(self, why: str, error: Exception | None = None) -> NoReturn:
        """Raise IntegrityError: this is not what a backup wrote."""
        raise IntegrityError(
            t("the backup {path} cannot be used: {why}", path=self.file, why=why),
            t("take another copy of it; nothing was changed"),
        ) from error

    def _check_manifest(self) -> None:
        found = self.manifest
        if found.format > FORMAT or found.schema not in REVISIONS:
            raise ConfigError(t("{path} was written by a newer Slipway", path=self.file), "pip install -U 'slipway-ai'")
        names = self._zip.namelist()
        if sorted(names) != sorted({*found.parts, MANIFEST}):
            self.refuse(t("its parts are not those that its manifest names"))
        known: Mapping[str, Table] = {rows_of(table): table for table in tables.metadata.sorted_tables}
        for name in found.parts:
            if name not in known and name != SALT and not _is_blob(name, found.parts[name]):
                self.refuse(t("it holds {name}, which no backup holds", name=ascii(name[:80])))
        for table in known.values():
            columns = found.columns.get(str(table.name), [])
            if len(set(columns)) != len(columns) or not set(columns) <= set(table.c.keys()):
                self.refuse(t("its manifest cannot be read"))

    @property
    def blobs(self) -> Iterator[str]:
        """The digests of its blobs."""
        return (name.removeprefix("blobs/") for name in self.manifest.parts if name.startswith("blobs/"))

    def pieces(self, name: str) -> Iterator[bytes]:
        """A part's bytes; raises IntegrityError at the end, or before, when they are not the manifest's."""
        part, digest, size = self.manifest.parts[name], hashlib.sha256(), 0
        try:
            with self._zip.open(name) as file:
                while piece := file.read(PIECE):
                    size += len(piece)
                    if size > part.size:
                        self.refuse(t("{name} does not match its digest", name=name))
                    digest.update(piece)
                    yield piece
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError) as error:
            self.refuse(t("{name} does not match its digest", name=name), error)
        if size != part.size or digest.hexdigest() != part.sha256:
            self.refuse(t("{name} does not match its digest", name=name))

    def rows(self, table: Table) -> Iterator[dict[str, Any]]:
        """A table's rows."""
        name, rest = rows_of(table), b""
        if name not in self.manifest.parts:
            return
        columns = self.manifest.columns[str(table.name)]
        try:
            for piece in self.pieces(name):
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    yield decode(table, columns, line)
        except (*UNDECODABLE, ValueError) as error:
            self.refuse(t("{name} does not match its digest", name=name), error)

    def verify(self) -> None:
        """Read every byte. Raises IntegrityError at the first that is not the manifest's."""
        for name in self.manifest.parts:
            for _ in self.pieces(name):
                pass


def _is_blob(name: str, part: Part) -> bool:
    return name == blob_of(part.sha256) and len(part.sha256) == 64


class Writer:
    """A backup being written: each part is hashed on its way."""

    def __init__(self, file: IO[bytes]) -> None:
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        self.parts: dict[str, Part] = {}

    def put(self, name: str, pieces: Iterator[bytes]) -> None:
        """Write a part."""
        digest, size = hashlib.sha256(), 0
        with self._zip.open(_entry(name), "w", force_zip64=True) as out:
            for piece in pieces:
                digest.update(piece)
                size += len(piece)
                out.write(piece)
        self.parts[name] = Part(digest.hexdigest(), size)

    def close(self) -> None:
        """Let go of the file; without `end` what was written is no backup."""
        with suppress(OSError, ValueError):
            self._zip.close()

    def end(self, manifest: Manifest) -> str:
        """Write the manifest; returns its digest."""
        raw = canonical(manifest)
        self._zip.writestr(_entry(MANIFEST), raw)
        self._zip.close()
        return hashlib.sha256(raw).hexdigest()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)  # no time and no owner: the same contents make the same file
    entry.external_attr = 0o100600 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry
