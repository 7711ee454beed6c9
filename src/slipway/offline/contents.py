"""What of a project goes into a bundle: its files, the documents and examples it names, its models, its state.

Nothing that may be secret goes in by itself, nor what can be made again; what is left out is told.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from slipway.data.collect import matching
from slipway.errors import MissingPrerequisite
from slipway.files import inside, printable, real
from slipway.i18n import t
from slipway.loop.context import Context
from slipway.loop.model_lock import absolute
from slipway.project.data import DocumentSource
from slipway.store import models
from slipway.store.models.shelf import source_key

_SECRET = (".env*", "*.pem", "*.key", "*.p12", "*.pfx", "id_rsa*", "id_ed25519*", ".netrc", ".pgpass", ".pypirc")
_MADE = ("__pycache__", "node_modules", "*.egg-info")


@dataclass
class Contents:
    """`files`: name in the bundle -> where it lies. `project`: the project's folder in the bundle. `left_out`: what is
    not in it, with the reason. `models`: folder of the models' cache -> source.
    """

    project: str = "project"
    files: dict[str, Path] = field(default_factory=dict[str, Path])
    left_out: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    models: dict[str, str] = field(default_factory=dict[str, str])


def contents(context: Context) -> Contents:
    """All of a project but its packages and its state. Raises MissingPrerequisite for a model that was not pulled."""
    found = Contents()
    root = real(context.root)
    called = dict(_own(root, found))
    called |= dict(_named(context, root, found))
    base = Path(os.path.commonpath([root, *(path.parent for path in called)]))
    found.project = (Path("project") / root.relative_to(base)).as_posix()
    for path, place in sorted(called.items()):
        found.files[f"project/{path.relative_to(base).as_posix()}"] = place
    _models(context, found)
    return found


def _own(root: Path, found: Contents) -> Iterator[tuple[Path, Path]]:
    """Files in the project's folder, as they are called and where they lie."""
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        for name in sorted(folders):
            path = here / name
            why = _folder_left_out(path)
            if why is not None:
                folders.remove(name)
                if why:
                    found.left_out.append((_shown(path, root), why))
        for name in sorted(names):
            path, place = here / name, real(here / name)
            why = _file_left_out(name, place, root)
            if why:
                found.left_out.append((_shown(path, root), why))
            elif not name.endswith(".pyc"):
                yield path, place


def _file_left_out(name: str, place: Path, root: Path) -> str:
    """Why a file is not taken; empty where it is."""
    if any(fnmatch(name, pattern) for pattern in _SECRET):
        return t("it may hold a secret")
    if not inside(place, [root]):
        return t("a link out of the project")
    if not place.is_file():
        return t("no regular file")
    return t("a bundle that was written before") if _is_bundle(place) else ""


def _is_bundle(place: Path) -> bool:
    if place.suffix != ".tar":
        return False
    try:
        with tarfile.open(place, "r:") as tar:
            first = tar.next()
    except (tarfile.TarError, OSError):
        return False
    return first is not None and first.name.endswith("/install.py")


def _folder_left_out(path: Path) -> str | None:
    """Why a folder is not taken; empty where nobody would miss it, None where it is."""
    if path.name == ".slipway" or any(fnmatch(path.name, pattern) for pattern in _MADE):
        return ""
    if path.is_symlink():
        return t("a link to a folder")
    if (path / "pyvenv.cfg").is_file():
        return t("an environment of Python; its packages are in the bundle as wheels")
    return t("a hidden folder") if path.name.startswith(".") else None


def _named(context: Context, root: Path, found: Contents) -> Iterator[tuple[Path, Path]]:
    """Documents and examples that the project file names, also those outside its folder."""
    data = context.project.data
    asked = [("data.documents", one) for one in data.documents]
    asked += [("data.examples", DocumentSource(path=one.path)) for one in data.examples]
    for key, entry in asked:
        if os.path.isabs(entry.path) and not inside(real(entry.path), [root]):
            why = t("an absolute path: put the files into the project, or in the same place on the other machine")
            found.left_out.append((entry.path, why))
            continue
        yield from matching(entry, root, data.roots, key).files.items()


def _models(context: Context, found: Contents) -> None:
    """Every file of every model as it lies in the cache; a quantised one with what it was made from."""
    for name, config in context.project.models.items():
        source = absolute(config.source, context.root)
        if not source or (source.startswith("file:") and not config.source.startswith("file:/")):
            continue  # a model of the project's own is one of its files
        for quantize in dict.fromkeys((None, config.quantize)):
            model = models.find(source, quantize)
            if model is None:
                why = t("the model '{name}' ({source}) is not on this machine", name=name, source=config.source)
                raise MissingPrerequisite(why, "slipway models pull")
            key = model.folder.name if quantize else source_key(source)
            found.models[key] = config.source
            for path in sorted(model.folder.rglob("*")):
                if path.is_file():
                    found.files[f"models/{key}/{path.relative_to(model.folder).as_posix()}"] = path


def _shown(path: Path, root: Path) -> str:
    return printable(path.relative_to(root).as_posix())
