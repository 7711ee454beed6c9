"""Where the paths of a project file may lead. Resolves links; reads no file.

A relative path stays in the project folder, links followed. Documents and examples may also lie in the folders under
`data.roots`. An absolute path says itself where it leads: what it names may be read, and a folder's contents with it.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from slipway.errors import ConfigError
from slipway.files import inside, open_real, read, real
from slipway.files import why as why_of
from slipway.i18n import t
from slipway.project.schema import Project

MAX_TEXT = 1_000_000  # bytes of a prompt, a schema or a plug-in
MAGIC = re.compile(r"[*?\[]")
_Place = tuple[tuple[str | int, ...], str]


def leaving(project: Project, root: Path) -> Iterator[_Place]:
    """(key, what is wrong) for every path of the project that leads where it may not."""
    for loc, path in _own_files(project):
        if _too_long(root / path):
            yield loc, t("'{path}' is too long for the name of a file", path=path)
        elif not _allowed(path, root, ()):
            yield (
                loc,
                t(
                    "'{path}' leads out of the project; move the file into it, or write its whole path, from / on",
                    path=path,
                ),
            )
    for kind, sources in (("documents", project.data.documents), ("examples", project.data.examples)):
        for n, source in enumerate(sources):
            if not _allowed(fixed_part(source.path)[0], root, project.data.roots):
                yield (
                    ("data", kind, n, "path"),
                    t("'{path}' leads out of the project; list its folder under data.roots", path=source.path),
                )


def allowed_roots(path: str, root: Path, roots: Sequence[str] = ()) -> tuple[Path, ...]:
    """The folders in which the files that `path` names may lie, links followed."""
    named = [fixed_part(path)[0]] if os.path.isabs(path) else []
    return tuple(dict.fromkeys(real(root / one) for one in (".", *roots, *named)))


def fixed_part(pattern: str) -> tuple[str, str]:
    """(the folder in front of the first wildcard, the pattern below it); a path without wildcards is all fixed."""
    parts = pattern.split("/")
    first = next((n for n, part in enumerate(parts) if MAGIC.search(part)), len(parts))
    return "/".join(parts[:first]) or ("/" if pattern.startswith("/") else "."), "/".join(parts[first:])


def read_text(root: Path, path: str, where: str) -> str:
    """A text file of the project's own, at most a megabyte. Raises ConfigError naming the key that asked for it."""
    hint = t("paths are relative to the folder of slipway.yaml")
    place = real(root / path)
    if not inside(place, allowed_roots(path, root)):
        raise ConfigError(
            t("{where}: {path} leads out of the project, to {place}", where=where, path=path, place=place),
            t("move the file into the project, or write its whole path, from / on"),
        )
    try:
        return read(open_real(place), MAX_TEXT).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = why_of(error) if isinstance(error, OSError) else t("it is not UTF-8 text")
        raise ConfigError(t("{where}: {path} cannot be read: {why}", where=where, path=path, why=why), hint) from error


def named_plugins(project: Project) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """(key, name) of every plug-in that the project file names."""
    for name, model in project.models.items():
        yield ("models", name, "engine"), model.engine
    yield ("task",), project.task.name
    for n, metric in enumerate(project.evaluate.metrics):
        yield ("evaluate", "metrics", n), metric.scorer
    for name in project.gate:
        yield ("gate", name), name
    for name, candidate in project.candidates.items():
        yield ("candidates", name, "strategy"), candidate.strategy.name
        for n, tool in enumerate(candidate.tools):
            yield ("candidates", name, "tools", n), tool.name
        if candidate.tune is not None:
            yield ("candidates", name, "tune"), candidate.tune.name
        if candidate.retrieve is not None:
            if candidate.retrieve.tune is not None:
                yield ("candidates", name, "retrieve", "tune"), candidate.retrieve.tune.name
            yield ("candidates", name, "retrieve", "index"), candidate.retrieve.index.name
            yield ("candidates", name, "retrieve", "lexical"), candidate.retrieve.lexical.name


def plugin_path(name: str) -> str | None:
    """The path in `./file.py:Class`; None for the name of anything else."""
    path, found, _ = name.rpartition(":")
    return path if found and name.startswith(("./", "/")) else None


def _own_files(project: Project) -> Iterator[_Place]:
    for name, candidate in project.candidates.items():
        for key in ("prompt", "json_schema"):
            if (path := getattr(candidate, key)) is not None:
                yield ("candidates", name, key), path
    for name, model in project.models.items():
        if model.source.startswith("file:"):
            yield ("models", name, "source"), model.source.removeprefix("file:")
    for loc, name in named_plugins(project):
        if (path := plugin_path(name)) is not None:
            yield loc, path


def _allowed(path: str, root: Path, roots: Sequence[str]) -> bool:
    return inside(real(root / path), allowed_roots(path, root, roots))


def _too_long(path: Path) -> bool:
    try:
        os.stat(path)
    except OSError as error:
        return error.errno == errno.ENAMETOOLONG
    except ValueError:  # a NUL; opening says so
        return False
    return False
