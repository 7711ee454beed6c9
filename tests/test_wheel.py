"""What is no Python belongs to the package too: templates, translations, and the mark that it is typed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "slipway"
NEEDED = (
    "slipway/py.typed", "slipway/locale/zh.json", "slipway/store/migrations/versions/r0001_first.py",
    "slipway/project/templates/shared/dot-gitignore", "slipway/project/templates/small/slipway.yaml",
    "slipway/project/templates/plug-in/pyproject.toml", "slipway/project/templates/plug-in/my_plugins/tool.py",
    "slipway/project/templates/plug-in/tests/test_contracts.py",
)  # fmt: skip


def sources() -> set[str]:
    """Every file of the package that is in the repository or may be, by its name in a wheel."""
    found = (path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(PACKAGE.parent).as_posix() for path in found}


def test_the_package_has_them() -> None:
    assert set(NEEDED) <= sources()


def test_nothing_keeps_a_file_out_of_the_wheel() -> None:
    """hatchling takes all of the folder but what git ignores; so nothing of it may be ignored, or excluded."""
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel == {"packages": ["src/slipway"]}
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no checkout of git")
    names = "\n".join(f"src/{name}" for name in sorted(sources()))
    done = subprocess.run(
        ["git", "check-ignore", "--no-index", "--verbose", "--stdin"],
        cwd=ROOT, input=names, capture_output=True, text=True, check=False,
    )  # fmt: skip
    ours = [line for line in done.stdout.splitlines() if line.partition(":")[0].endswith(".gitignore")]
    assert ours == [], "not what somebody ignores in a clone of their own"


@pytest.mark.skipif(find_spec("hatchling") is None, reason="hatchling, which builds the wheel, is not installed")
def test_a_wheel_holds_the_package_as_it_is(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(PACKAGE, tmp_path / "src" / "slipway", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path / "out")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "out").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if not name.partition("/")[0].endswith(".dist-info")}
    assert held == sources()
