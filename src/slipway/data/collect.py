"""Which files become documents: paths, folders and globs of the project file, in a fixed order. Reads no content."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from slipway.data import media
from slipway.data.blocks import Note
from slipway.errors import ConfigError, nearest
from slipway.i18n import t
from slipway.project.schema import DocumentSource

_MAGIC = re.compile(r"[*?\[]")


class Found(msgspec.Struct, frozen=True):
    """A file to read. `source` is its identity: its path relative to the base. `language` as given, or empty."""

    source: str
    path: Path
    media_type: str
    language: str = ""


def collect(sources: list[DocumentSource], root: Path) -> tuple[list[Found], list[tuple[str, Note]]]:
    """Files sorted by source within each entry, each once; and those of a kind that Slipway does not read.

    Raises ConfigError: an entry matches nothing, or two files would have the same source.
    """
    found: dict[str, Found] = {}
    refused: dict[str, Note] = {}
    for entry in sources:
        base = Path(os.path.abspath(root / entry.base))
        named = sorted((_source(path, base), path) for path in matching(entry, root))
        for source, path in named:
            kind = media.media_type(path.name)
            if kind is None:
                refused[source] = Note("collect", "dropped", "unsupported-type", path.suffix or "no ending")
            elif source not in found:
                found[source] = Found(source, path, kind, entry.language or "")
            elif found[source].path != path:
                raise ConfigError(
                    t(
                        "{one} and {other} would both be called '{name}'",
                        one=found[source].path,
                        other=path,
                        name=source,
                    ),
                    t("give the entries under data.documents different 'base' folders"),
                )
    return list(found.values()), list(refused.items())


def matching(entry: DocumentSource, root: Path, key: str = "data.documents") -> list[Path]:
    """The files that an entry names, absolute, without the excluded ones. Raises ConfigError when there are none.

    `key`: where the entry stands in the project file.
    """
    whole = Path(os.path.abspath(root / entry.path))
    if _MAGIC.search(entry.path):
        files = list(glob_files(entry.path, root))
    elif whole.is_dir():
        files = list(_walk(whole))
    else:
        files = [whole] if whole.exists() else []
    if not files:
        raise _nothing(key, entry.path, root)
    kept = [path for path in files if not any(_excludes(pattern, path, root) for pattern in entry.exclude)]
    if not kept:
        raise ConfigError(
            t("{key}: 'exclude' leaves nothing of '{path}' ({n} files)", key=key, path=entry.path, n=len(files)),
            t("remove a pattern from 'exclude'"),
        )
    return kept


def glob_files(pattern: str, root: Path) -> Iterator[Path]:
    """Regular files that match; `**` crosses folders, `*` and `?` do not. Hidden ones only where it says so."""
    folder, rest = _fixed_part(pattern, root)
    wanted = _regex(rest)
    depth = None if "**" in rest else rest.count("/")
    for path in _walk(folder, depth, hidden="/." in f"/{rest}"):
        if wanted.fullmatch(path.relative_to(folder).as_posix()):
            yield path


def _fixed_part(pattern: str, root: Path) -> tuple[Path, str]:
    """(the folder in front of the first wildcard, the pattern below it)."""
    parts = pattern.split("/")
    first = next(n for n, part in enumerate(parts) if _MAGIC.search(part))
    fixed = "/".join(parts[:first]) or ("/" if pattern.startswith("/") else ".")
    return Path(os.path.abspath(root / fixed)), "/".join(parts[first:])


def _walk(folder: Path, depth: int | None = None, hidden: bool = False) -> Iterator[Path]:
    """Regular files below a folder. Linked folders are followed once each, so loops of links end."""
    seen: set[tuple[int, int]] = set()
    for at, folders, files in os.walk(folder, followlinks=True):
        status = os.stat(at)
        identity = (status.st_dev, status.st_ino)
        level = len(Path(at).relative_to(folder).parts)
        if identity in seen:
            folders.clear()
            continue
        seen.add(identity)
        if depth is not None and level >= depth:
            folders.clear()
        # Real folders first: a file is named by where it lies, not by a link to it.
        folders[:] = sorted(
            (name for name in folders if hidden or not name.startswith(".")),
            key=lambda name: (os.path.islink(os.path.join(at, name)), name),  # noqa: B023  (used at once)
        )
        for name in sorted(files):
            path = Path(at) / name
            if (hidden or not name.startswith(".")) and path.is_file():
                yield path


def _regex(pattern: str) -> re.Pattern[str]:
    """A glob as a regular expression over `/`-separated paths."""
    made: list[str] = []
    at = 0
    while at < len(pattern):
        if pattern.startswith("**/", at):
            made.append("(?:.*/)?")
            at += 3
        elif pattern.startswith("**", at):
            made.append(".*")
            at += 2
        elif pattern[at] == "*":
            made.append("[^/]*")
            at += 1
        elif pattern[at] == "?":
            made.append("[^/]")
            at += 1
        elif (bracket := re.compile(r"\[(!?)([^\]]+)\]").match(pattern, at)) is not None:
            inside = bracket[2].replace("\\", "\\\\").replace("[", "\\[").replace("^", "\\^")
            made.append(f"[{'^/' if bracket[1] else ''}{inside}]")
            at = bracket.end()
        else:
            made.append(re.escape(pattern[at]))
            at += 1
    try:
        return re.compile("".join(made), re.S)
    except re.error as error:
        raise ConfigError(t("'{pattern}' is not a valid glob: {why}", pattern=pattern, why=error)) from error


def _excludes(pattern: str, path: Path, root: Path) -> bool:
    """A pattern without `/` is about names of files and folders; with one, about the path from the project folder."""
    relative = Path(os.path.relpath(path, root))
    if "/" not in pattern.rstrip("/"):
        wanted = _regex(pattern.rstrip("/"))
        return any(wanted.fullmatch(part) for part in relative.parts)
    wanted = _regex(pattern.rstrip("/").removeprefix("./"))
    above = [relative, *relative.parents]
    return any(wanted.fullmatch(part.as_posix()) for part in above)


def _source(path: Path, base: Path) -> str:
    return Path(os.path.relpath(path, base)).as_posix()


def _nothing(key: str, pattern: str, root: Path) -> ConfigError:
    """The error for an entry that matches nothing: what is there instead."""
    folder = Path(os.path.abspath(root / pattern))
    if _MAGIC.search(pattern):
        folder, _ = _fixed_part(pattern, root)
    else:
        folder = folder.parent
    missing = folder
    while not missing.parent.is_dir():
        missing = missing.parent
    if not folder.is_dir():
        near = nearest(missing.name, [path.name for path in missing.parent.iterdir() if path.is_dir()])
        hint = t("there is no folder {folder}", folder=missing)
        hint += "; " + t("did you mean '{near}'?", near=near) if near else ""
    else:
        hint = _instead(pattern, folder)
    return ConfigError(t("{key}: '{path}' matches no file", key=key, path=pattern), hint)


def _instead(pattern: str, folder: Path) -> str:
    """What lies in the folder: the file with the most similar name, else the endings there are."""
    there: list[str] = []
    for path in _walk(folder):
        there.append(path.relative_to(folder).as_posix())
        if len(there) >= 2000:
            break
    near = nearest(pattern.rsplit("/", 1)[-1], {name.rsplit("/", 1)[-1] for name in there})
    if near:
        return t("did you mean '{near}'?", near=next(name for name in there if f"/{name}".endswith(f"/{near}")))
    if not there:
        return t("{folder} holds no files", folder=folder)
    endings = ", ".join(sorted({Path(name).suffix or Path(name).name for name in there})[:10])
    return t("{folder} holds {n} files, with the endings {endings}", folder=folder, n=len(there), endings=endings)
