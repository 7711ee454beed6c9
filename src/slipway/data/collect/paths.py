"""Files that become documents: paths, folders and globs of the project file, in a fixed order. Reads no content.

Links are followed as far as `project.places` allows; what leads further, or is no regular file, is named with a reason.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from slipway.data.collect.found import Found
from slipway.data.parsing import media
from slipway.data.parsing.blocks import Note
from slipway.data.reasons import NO_ENDING, explain
from slipway.errors import ConfigError, nearest
from slipway.files import inside, printable, real
from slipway.i18n import t
from slipway.project.data import DocumentSource
from slipway.project.places import MAGIC, allowed_roots, fixed_part


class Matched(msgspec.Struct, frozen=True):
    """What an entry names: files as they are called -> where they lie, and what may not be read, with the reason."""

    files: dict[Path, Path]
    refused: dict[Path, Note]


def collect_files(
    sources: list[DocumentSource], root: Path, roots: Sequence[str] = ()
) -> tuple[list[Found], list[tuple[str, Note]]]:
    """Files sorted by source within each entry, each once; and those that are not read, with the reason.

    Raises ConfigError: an entry matches nothing, or two files would have the same source.
    """
    found: dict[str, Found] = {}
    called: dict[str, str] = {}  # source -> the name before it was made printable
    refused: dict[str, Note] = {}
    for entry in sources:
        base = Path(os.path.abspath(root / entry.base))
        matched = matching(entry, root, roots)
        refused.update((_source(path, base), note) for path, note in matched.refused.items())
        for source, path in sorted((_source(path, base), path) for path in matched.files):
            kind, name = media.media_type(path.name, pictures=bool(entry.ocr)), os.path.relpath(path, base)
            if kind is None:
                refused[source] = Note("collect", "dropped", "unsupported-type", printable(path.suffix) or NO_ENDING)
            elif source not in found:
                found[source] = Found(source, matched.files[path], kind, entry.language or "", ocr=entry.ocr)
                called[source] = name
            elif called[source] != name:
                refused[f"{source} ({ascii(name)})"] = Note("collect", "dropped", "same-name")
            elif found[source].path != matched.files[path]:
                raise _same_source(found[source].path, path, source)
    return list(found.values()), list(refused.items())


def matching(entry: DocumentSource, root: Path, roots: Sequence[str] = (), key: str = "data.documents") -> Matched:
    """The files that an entry names, absolute, without the excluded ones. Raises ConfigError when there are none.

    `roots`: folders outside the project that may be read; `key`: where the entry stands in the project file.
    """
    walk = _Walk(allowed_roots(entry.path, root, roots))
    whole = _on_disk(Path(os.path.abspath(root / entry.path)))
    if MAGIC.search(entry.path):
        files = dict(walk.glob(entry.path, root))
    elif os.path.isdir(whole):
        files = dict(walk.files(whole))
    else:
        place = walk.place(whole) if os.path.lexists(whole) else None
        files = {whole: place} if place is not None else {}

    def excluded(path: Path) -> bool:
        return any(_excludes(pattern, path, root) for pattern in entry.exclude)

    refused = {path: note for path, note in walk.refused.items() if not excluded(path)}
    if not files:
        raise _nothing(key, entry.path, root, refused)
    kept = {path: place for path, place in files.items() if not excluded(path)}
    if not kept:
        raise ConfigError(
            t("{key}: 'exclude' leaves nothing of '{path}' ({n} files)", key=key, path=entry.path, n=len(files)),
            t("remove a pattern from 'exclude'"),
        )
    return Matched(kept, refused)


class _Walk:
    """Looks for regular files, and remembers what it may not go into or read."""

    def __init__(self, roots: tuple[Path, ...]) -> None:
        self.roots = roots
        self.refused: dict[Path, Note] = {}

    def glob(self, pattern: str, root: Path) -> Iterator[tuple[Path, Path]]:
        """Files that match; `**` crosses folders, `*` and `?` do not. Hidden ones only where it says so."""
        fixed, rest = fixed_part(pattern)
        folder = _on_disk(Path(os.path.abspath(root / fixed)))
        wanted = _regex(rest)
        depth = None if "**" in rest else rest.count("/")
        return self.files(folder, depth, hidden="/." in f"/{rest}", wanted=wanted)

    def files(
        self, folder: Path, depth: int | None = None, hidden: bool = False, wanted: re.Pattern[str] | None = None
    ) -> Iterator[tuple[Path, Path]]:
        """(name, where it lies) of the files below a folder. Linked folders are followed once each, so loops end.

        Of what may not be read, only names that are `wanted` are remembered.
        """
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
                (n for n in folders if (hidden or not n.startswith(".")) and self._may_enter(Path(at, n))),
                key=lambda name: (os.path.islink(os.path.join(at, name)), name),  # noqa: B023  (used at once)
            )
            for name in sorted(files):
                path = Path(at, name)
                if name.startswith(".") and not hidden:
                    continue
                if wanted is not None and not wanted.fullmatch(_nfc(path.relative_to(folder).as_posix())):
                    continue
                if (place := self.place(path)) is not None:
                    yield path, place

    def place(self, path: Path) -> Path | None:
        """Where a regular file lies, in an allowed folder; None, with the reason remembered, for anything else."""
        place = self._inside(path)
        if place is None:
            return None
        if os.path.isfile(place):
            return place
        broken = not os.path.exists(place)
        note = ("unreadable", "a link that leads nowhere") if broken else ("not-a-file", "")
        self.refused[path] = Note("collect", "dropped", *note)
        return None

    def _may_enter(self, folder: Path) -> bool:
        return not os.path.islink(folder) or self._inside(folder) is not None

    def _inside(self, path: Path) -> Path | None:
        place = real(path)
        if inside(place, self.roots):
            return place
        self.refused[path] = Note("collect", "dropped", "outside", f"leads to {printable(str(place))}")
        return None


def _regex(pattern: str) -> re.Pattern[str]:
    """A glob as a regular expression over `/`-separated paths, both composed (NFC)."""
    pattern = _nfc(pattern)
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
        return any(wanted.fullmatch(_nfc(part)) for part in relative.parts)
    wanted = _regex(pattern.rstrip("/").removeprefix("./"))
    above = [relative, *relative.parents]
    return any(wanted.fullmatch(_nfc(part.as_posix())) for part in above)


def _source(path: Path, base: Path) -> str:
    """A file's name as it is stored: composed (NFC) as all text is here, and printable."""
    return printable(_nfc(Path(os.path.relpath(path, base)).as_posix()))


def _nfc(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _on_disk(path: Path) -> Path:
    """A path as it lies there: an archive made on a Mac writes an accent as a character of its own, people do not."""
    if str(path).isascii() or os.path.lexists(path):
        return path
    parent = _on_disk(path.parent)
    names = os.listdir(parent) if os.path.isdir(parent) else []
    return parent / next((name for name in sorted(names) if _nfc(name) == _nfc(path.name)), path.name)


def _same_source(one: Path, other: Path, name: str) -> ConfigError:
    return ConfigError(
        t("{one} and {other} would both be called '{name}'", one=one, other=other, name=name),
        t("give the entries under data.documents different 'base' folders"),
    )


def _nothing(key: str, pattern: str, root: Path, refused: dict[Path, Note]) -> ConfigError:
    """The error for an entry that matches nothing that may be read: why, or what is there instead."""
    message = t("{key}: '{path}' matches no file", key=key, path=pattern)
    for path, note in refused.items():
        name = printable(os.path.relpath(path, root))
        return ConfigError(message, f"{name}: {explain(note.reason)}" + (f" ({note.detail})" if note.detail else ""))
    fixed, _ = fixed_part(pattern)
    folder = Path(os.path.abspath(root / fixed))
    if not MAGIC.search(pattern):
        folder = folder.parent
    missing = folder
    while not os.path.isdir(missing.parent):
        missing = missing.parent
    if not os.path.isdir(folder):
        near = nearest(missing.name, [path.name for path in missing.parent.iterdir() if path.is_dir()])
        hint = t("there is no folder {folder}", folder=missing)
        hint += "; " + t("did you mean '{near}'?", near=near) if near else ""
    else:
        hint = _instead(pattern, folder)
    return ConfigError(message, hint)


def _instead(pattern: str, folder: Path) -> str:
    """What lies in the folder: the file with the most similar name, else the endings there are."""
    there: list[str] = []
    for path, _ in _Walk((real(folder),)).files(folder):
        there.append(printable(path.relative_to(folder).as_posix()))
        if len(there) >= 2000:
            break
    near = nearest(pattern.rsplit("/", 1)[-1], {name.rsplit("/", 1)[-1] for name in there})
    if near:
        return t("did you mean '{near}'?", near=next(name for name in there if f"/{name}".endswith(f"/{near}")))
    if not there:
        return t("{folder} holds no files", folder=folder)
    endings = ", ".join(sorted({Path(name).suffix or Path(name).name for name in there})[:10])
    return t("{folder} holds {n} files, with the endings {endings}", folder=folder, n=len(there), endings=endings)
