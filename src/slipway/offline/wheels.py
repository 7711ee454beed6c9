"""The packages a project runs on, as wheels: those that are installed here, in the very versions it was measured with.

pip finds and builds them; what it may choose is fixed by constraints. A folder of wheels that were fetched elsewhere
can be given instead.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions, entry_points
from pathlib import Path

from slipway.errors import MissingPrerequisite
from slipway.i18n import t
from slipway.plugins import KINDS

OURS = "slipway-ai"
_UNWANTED = {"dev"}  # extras that no project runs on
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")


def requirements() -> list[str]:
    """What pip has to be asked for: Slipway with the extras that are here, and every package of plug-ins."""
    extras = sorted(_extras(distribution(OURS)))
    asked = [_asked(distribution(OURS), extras)]
    plugged = [found.dist for kind in KINDS for found in entry_points(group=f"slipway.{kind}")]
    others = {found.name: found for found in plugged if found is not None and _plain(found.name) != OURS}
    return asked + [_asked(found, ()) for _, found in sorted(others.items())]


def gather(folder: Path, given: Path | None = None) -> list[Path]:
    """Put the wheels into a folder; returns them. `given`: a folder that holds them already.

    Raises MissingPrerequisite where pip cannot get one, or where a given folder has none of Slipway.
    """
    if given is not None:
        return _checked(sorted(given.glob("*.whl")), given)
    folder.mkdir(parents=True, exist_ok=True)
    pins = folder / "constraints.txt"
    asked = requirements()
    pins.write_text("".join(f"{line}\n" for line in _constraints(asked)), "utf-8")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-input",
               "--wheel-dir", str(folder), "--constraint", str(pins), *asked]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    pins.unlink()
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise MissingPrerequisite(
            t("pip cannot get the packages: {why}", why=lines[-1] if lines else done.returncode),
            t("run it where pip works; or give a folder of wheels with --wheels"),
        )
    return _checked(sorted(folder.glob("*.whl")), folder)


def _checked(found: list[Path], folder: Path) -> list[Path]:
    if not any(_plain(path.name.partition("-")[0]) == OURS for path in found):
        raise MissingPrerequisite(
            t("{folder} has no wheel of {name}", folder=folder, name=OURS),
            t(
                "`pip wheel --wheel-dir {folder} '{name}[local]'` fetches it and what it needs",
                folder=folder,
                name=OURS,
            ),
        )
    return found


def _asked(found: Distribution, extras: Sequence[str]) -> str:
    """A requirement that leads pip to what is installed: its version, or the folder or file that it came from."""
    name = found.name + (f"[{','.join(extras)}]" if extras else "")
    origin = found.read_text("direct_url.json")  # PEP 610
    url = json.loads(origin).get("url", "") if origin else ""
    return f"{name} @ {url}" if url.startswith("file:") else f"{name}=={found.version}"


def _extras(found: Distribution) -> set[str]:
    """The extras of a distribution all of whose requirements are installed, those of other extras left out."""
    wanted: dict[str, list[str]] = {}
    for line in found.requires or []:
        need, _, marker = line.partition(";")
        match = _EXTRA.search(marker)
        if match and _plain(_name(need)) != OURS:
            wanted.setdefault(match[1], []).append(_name(need))
    return {extra for extra, names in wanted.items() if extra not in _UNWANTED and all(map(_installed, names))}


def _constraints(asked: Iterable[str]) -> list[str]:
    """The version of all that is installed here, but of what is asked for by itself or comes from a folder."""
    skip = {_plain(_name(one)) for one in asked}
    found = {_plain(one.name): one for one in distributions() if one.name}
    return [
        f"{name}=={one.version}"
        for name, one in sorted(found.items())
        if name not in skip and not one.read_text("direct_url.json")
    ]


def _installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def _name(requirement: str) -> str:
    match = _NAME.match(requirement.strip())
    return match[0] if match else ""


def _plain(name: str) -> str:
    """As names are compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
