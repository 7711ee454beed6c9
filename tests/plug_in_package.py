"""The package that `slipway init --template plug-in` writes, on the path with its entry points, as pip would have it."""

from __future__ import annotations

import importlib
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from slipway.project.scaffold import init


def declared(root: Path) -> dict[str, Any]:
    """The package's pyproject.toml."""
    return tomllib.loads((root / "pyproject.toml").read_text("utf-8"))


@contextmanager
def installed(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Write it into a new folder, and have it found while this lasts."""
    init(root, "plug-in")
    info = root / "my_plugins-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-plugins\nVersion: 0.1.0\n", "utf-8")
    groups = declared(root)["project"]["entry-points"]
    lines = [f"[{group}]\n" + "".join(f"{n} = {v}\n" for n, v in found.items()) for group, found in groups.items()]
    (info / "entry_points.txt").write_text("\n".join(lines), "utf-8")
    monkeypatch.syspath_prepend(str(root))
    importlib.invalidate_caches()
    try:
        yield root
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "my_plugins"]:
            del sys.modules[name]
