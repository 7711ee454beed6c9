"""`make sbom`: its own command line, run as it stands in the Makefile."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_sbom_is_valid_and_lists_what_slipway_runs_on(tmp_path: Path) -> None:
    (line,) = re.findall(r"^\t(\S*cyclonedx-py .*)$", (ROOT / "Makefile").read_text("utf-8"), re.M)
    out = tmp_path / "sbom.cdx.json"
    command = shlex.split(
        line.replace("$(BIN)", str(Path(sys.executable).parent)).replace("dist/sbom.cdx.json", str(out))
    )
    done = subprocess.run([*command, "--validate"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text("utf-8"))
    assert (found["bomFormat"], found["metadata"]["component"]["name"]) == ("CycloneDX", "slipway-ai")
    listed = {component["name"].lower().replace("_", "-"): component for component in found["components"]}
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    names = {re.split(r"[^A-Za-z0-9_-]", name)[0].lower() for name in declared}
    deeper = {
        re.split(r"[^A-Za-z0-9_-]", name)[0].lower() for name in requires("fastapi") or () if "extra ==" not in name
    }
    assert len(names) > 10
    assert names | deeper <= set(listed)
    assert all(listed[name]["version"] and listed[name]["purl"].startswith("pkg:pypi/") for name in names)
    assert listed["jinja2"].get("licenses")
