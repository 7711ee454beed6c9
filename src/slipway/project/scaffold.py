"""Start a project from a template: files that run as they are, to be replaced by the customer's. Overwrites nothing."""

from __future__ import annotations

import os
import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath

from slipway.errors import ConfigError, NotFound, instead
from slipway.files import why
from slipway.i18n import t

TEMPLATES: dict[str, tuple[str, ...]] = {  # name -> the folders it is made of
    "small": ("shared", "answer", "small"),
    "local": ("shared", "answer", "local"),
    "remote": ("shared", "answer", "remote"),
    "classify": ("shared", "classify"),
    "extract": ("shared", "extract"),
    "plug-in": ("shared", "plug-in"),
}
RENAMED = {"docs-assistant": "small", "remote-model": "remote"}  # what templates were called -> what they are


def init(folder: Path, template: str = "small") -> list[Path]:
    """Write a template into a new or empty folder; returns the files written, in order. Old names do, too.

    Raises NotFound for an unknown template, ConfigError when a file that would be written is already there.
    """
    template = RENAMED.get(template, template)
    if template not in TEMPLATES:
        raise NotFound(t("no template is called '{name}'", name=template), instead(template, TEMPLATES))
    name = re.sub(r"[^a-z0-9_.-]+", "-", folder.resolve().name.lower()).strip("-._") or "project"
    source = files("slipway").joinpath("project", "templates")
    wanted = dict(pair for part in TEMPLATES[template] for pair in _walk(source.joinpath(part), ""))
    linked = sorted({part for path in wanted for part in _parents(path) if (folder / part).is_symlink()})
    if linked:
        raise ConfigError(
            t("{folder}/{path} is a link; nothing is written through one", folder=folder, path=linked[0]),
            t("choose another folder; nothing was written"),
        )
    there = sorted(path for path in wanted if os.path.lexists(folder / path))
    if there:
        raise ConfigError(
            t("{folder} already has {files}", folder=folder, files=", ".join(there)),
            t("choose another folder; nothing was written"),
        )
    written: list[Path] = []
    try:
        for path, text in wanted.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("x", encoding="utf-8") as file:  # never through a link, and never over a file
                file.write(text.replace("PROJECT_NAME", name))
            written.append(target)
    except OSError as error:
        raise ConfigError(
            t("{folder} cannot be written: {why}", folder=folder, why=why(error)), t("choose another folder")
        ) from error
    return written


def _parents(path: str) -> list[str]:
    return [str(parent) for parent in PurePosixPath(path).parents][:-1]


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for item in sorted(folder.iterdir(), key=lambda i: i.name):
        name = "." + item.name.removeprefix("dot-") if item.name.startswith("dot-") else item.name
        if item.is_dir():
            found += _walk(item, f"{prefix}{name}/")
        else:
            found.append((prefix + name, item.read_text("utf-8")))
    return found
