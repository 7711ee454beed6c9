"""The manifest of a saved index: which files there are, and their digests. Knows nothing of what they hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from slipway.errors import IntegrityError
from slipway.files import UNDECODABLE, open_regular, read, sha256_of
from slipway.i18n import t

MANIFEST = "index.json"
_LARGEST = 10_000_000  # bytes of a manifest


class Manifest(msgspec.Struct, frozen=True):
    """`kind` and `format` say who can read it; `about` is the index's own."""

    kind: str
    format: int
    files: dict[str, str]
    about: dict[str, Any]


def write_manifest(folder: str, kind: str, version: int, about: dict[str, Any]) -> None:
    """List the files of `folder` with their sha256; the last thing a save does."""
    root = Path(folder)
    files = {path.name: _digest(path) for path in sorted(root.iterdir()) if path.is_file() and path.name != MANIFEST}
    (root / MANIFEST).write_bytes(msgspec.json.encode(Manifest(kind, version, files, about)))


def check_manifest(folder: str, kind: str, version: int) -> dict[str, Any]:
    """Verify every file; gives `about`. Raises IntegrityError for a missing, changed or foreign index."""
    root = Path(folder)
    try:
        manifest = msgspec.json.decode(read(open_regular(root / MANIFEST), _LARGEST), type=Manifest)
        if not all(Path(name).name == name for name in manifest.files):
            raise ValueError(t("it names files outside its folder"))
        sound = all(_digest(root / name) == digest for name, digest in manifest.files.items())
    except (OSError, ValueError, *UNDECODABLE) as error:
        raise unusable(folder, str(error)) from error
    if not sound:
        raise unusable(folder, t("its bytes are not those that were saved"))
    if (manifest.kind, manifest.format) != (kind, version):
        raise unusable(folder, t("it was saved by another version, or is another kind of index"))
    return manifest.about


def unusable(folder: str, why: str) -> IntegrityError:
    """What to raise when a saved index cannot be used."""
    return IntegrityError(
        t("the index in {folder} cannot be used: {why}", folder=folder, why=why),
        t("an index is a cache: remove the folder and run again to rebuild it"),
    )


def _digest(path: Path) -> str:
    with open_regular(path) as file:
        return sha256_of(file)
