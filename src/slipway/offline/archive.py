"""A bundle: one tar archive with a manifest of digests, read back after it was written.

NAME/install.py      checks everything below against the manifest, then installs; needs Python alone
NAME/Dockerfile      makes an image of it
NAME/slipway.service the server under systemd
NAME/bundle.json     the manifest
NAME/wheels/         Slipway and all it needs
NAME/models/         the models, as they lie in the cache
NAME/project/        the project's files, and the documents beside it
NAME/state.zip       releases, reports, verdicts: what `slipway store backup` writes
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from importlib.resources import files as resources
from pathlib import Path
from typing import BinaryIO

import msgspec

from slipway import __version__
from slipway.errors import IntegrityError
from slipway.files import open_regular
from slipway.i18n import t
from slipway.loop.context import Context
from slipway.offline.contents import contents
from slipway.offline.wheels import gather
from slipway.store.backup import backup
from slipway.store.catalog import now
from slipway.store.new_file import new_file

FORMAT = 1
MANIFEST = "bundle.json"
_PIECE = 1 << 20


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """What was written. `digest`: sha256 of the manifest, which names the digest of everything else."""

    file: str
    name: str  # of the folder it unpacks to
    size: int
    digest: str
    files: int
    wheels: int
    models: list[str]
    left_out: list[tuple[str, str]]


def bundle(context: Context, file: Path, *, wheels: Path | None = None, state: bool = True) -> Bundle:
    """Write a project with all that it runs on into a new archive, and read it back.

    `wheels`: a folder of wheels to take, instead of asking pip. `state`: releases and what they rest on; traces and
    feedback, too. Raises MissingPrerequisite for packages or models that cannot be had here, ConfigError where the file
    cannot be written, IntegrityError where what was written is not what was read.
    """
    found = contents(context)
    with tempfile.TemporaryDirectory(prefix="slipway-bundle-") as folder:
        work = Path(folder)
        packages = gather(work / "wheels", wheels)
        files = dict(found.files) | {f"wheels/{path.name}": path for path in packages}
        if state:
            backup(context.store, work / "state.zip")
            files["state.zip"] = work / "state.zip"
        about = {
            "slipway_bundle": FORMAT, "slipway": __version__, "name": context.project.name, "made": now(),
            "python": list(sys.version_info[:2]), "machine": platform.machine(), "system": platform.system(),
            "project": found.project, "models": found.models,
        }  # fmt: skip
        with new_file(file) as out:
            digest = _write(out, context.project.name, files, about)
    return Bundle(
        file=str(file), name=context.project.name, size=file.stat().st_size, digest=digest,
        files=len(files), wheels=len(packages), models=sorted(set(found.models.values())), left_out=found.left_out,
    )  # fmt: skip


def _write(out: BinaryIO, name: str, files: Mapping[str, Path], about: Mapping[str, object]) -> str:
    digests: dict[str, str] = {}
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for inner in ("install.py", "Dockerfile", "slipway.service"):
            content = _filled(inner, name, about)
            digests[inner] = _add(tar, name, inner, io.BytesIO(content), len(content))
        for inner, path in sorted(files.items()):
            with open_regular(path) as source:
                source.seek(0, io.SEEK_END)
                size = source.tell()
                source.seek(0)
                digests[inner] = _add(tar, name, inner, source, size)
        manifest = json.dumps({**about, "files": digests}, indent=1, sort_keys=True).encode()
        _add(tar, name, MANIFEST, io.BytesIO(manifest), len(manifest))
    _read_back(out, name, digests)
    return hashlib.sha256(manifest).hexdigest()


def _filled(inner: str, name: str, about: Mapping[str, object]) -> bytes:
    """A file of ours with what is known of the project in it."""
    text = resources("slipway.offline").joinpath(inner).read_text("utf-8")
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    for mark, value in (("@NAME@", name), ("@PROJECT@", str(about["project"])), ("@PYTHON@", python)):
        text = text.replace(mark, value)
    return text.encode()


class _Hashing:
    """A file that is hashed while it is read."""

    def __init__(self, source: BinaryIO | io.BytesIO) -> None:
        self._source = source
        self.digest = hashlib.sha256()

    def read(self, size: int) -> bytes:
        piece = self._source.read(size)
        self.digest.update(piece)
        return piece


def _add(tar: tarfile.TarFile, name: str, inner: str, source: BinaryIO | io.BytesIO, size: int) -> str:
    entry = tarfile.TarInfo(f"{name}/{inner}")
    entry.size, entry.mode = size, 0o644
    hashing = _Hashing(source)
    try:
        tar.addfile(entry, hashing)  # pyright: ignore[reportArgumentType]  # it only reads
    except OSError as error:
        if error.errno is None:  # tarfile's own: the file became shorter
            raise _changed(inner) from error
        raise
    return hashing.digest.hexdigest()


def _read_back(out: BinaryIO, name: str, digests: Mapping[str, str]) -> None:
    out.flush()
    out.seek(0)  # both are one open file, so this is where it is read from
    with os.fdopen(os.dup(out.fileno()), "rb") as written, tarfile.open(fileobj=written, mode="r:") as tar:
        for entry in tar:
            inner = entry.name.removeprefix(f"{name}/")
            content = tar.extractfile(entry)
            assert content is not None
            digest = hashlib.sha256()
            while piece := content.read(_PIECE):
                digest.update(piece)
            if inner != MANIFEST and digests.get(inner) != digest.hexdigest():
                raise _changed(inner)


def _changed(name: str) -> IntegrityError:
    return IntegrityError(
        t("{name} is not in the bundle as it was read", name=name), t("look at the disk, then run the command again")
    )
