"""The package that `slipway init --template plug-in` writes: its own tests pass, and a project can use all of it."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from plug_in_package import declared, installed
from slipway import api
from slipway.core.artifact import Artifact
from slipway.plugins import KINDS, Plugins
from slipway.project.load import load
from slipway.project.plugin_options import check_options

PROJECT = """\
slipway: 1
name: helpdesk
task: route
models:
  table: {engine: table, default: billing}
  vectors: {engine: echo}
data:
  documents: [{path: "docs/*.md"}]
  examples: [{path: rows.jsonl}]
  split: {train: 0.4, dev: 0.2, gate: 0.4}
  clean: {near_duplicates: null}
candidates:
  plain: {model: table, prompt: route.md}
  learned:
    model: table
    prompt: route.md
    tune: table
    strategy: twice
    tools: [glossary]
    retrieve: {mode: dense, embedder: vectors, top_k: 1, index: exact}
evaluate: {metrics: [label_match]}
gate:
  label_match: {min: 0.05, confidence: point}
release: {prefer: quality}
serve: {channel: production, port: 0}
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with installed(tmp_path / "package", monkeypatch) as root:
        yield root


def test_what_its_readme_says_to_run_works(package: Path) -> None:
    """`pip install` needs an index: here its argument is held against pyproject.toml; `pytest` is run."""
    (block,) = re.findall(r"```console\n(.*?)```", (package / "README.md").read_text("utf-8"), re.DOTALL)
    install, test = (shlex.split(line.removeprefix("$ ")) for line in block.splitlines())
    assert install[:3] == ["pip", "install", "-e"]
    extra = re.fullmatch(r"\.\[(\w+)\]", install[3])
    project = declared(package)["project"]
    assert extra
    needed = " ".join(project["optional-dependencies"][extra[1]])
    assert "pytest" in needed
    assert "pytest-asyncio" in needed
    assert project["dependencies"] == ["slipway-ai"]
    done = subprocess.run(
        [sys.executable, "-m", *test, "-q", "-p", "no:cacheprovider"],
        cwd=package, env={**os.environ, "PYTHONPATH": str(package)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_its_readme_and_entry_points_show_every_kind(package: Path, tmp_path: Path) -> None:
    entries = declared(package)["project"]["entry-points"]
    assert set(entries) == {f"slipway.{kind}" for kind in KINDS}
    (shown,) = re.findall(r"```yaml\n(.*?)```", (package / "README.md").read_text("utf-8"), re.DOTALL)
    (tmp_path / "slipway.yaml").write_text(f"slipway: 1\nname: readme\n{shown}", "utf-8")
    check_options(load(tmp_path / "slipway.yaml"), Plugins(tmp_path), tmp_path / "slipway.yaml")
    written = str(yaml.safe_load(shown))
    assert [name for group in entries.values() for name in group if name not in written] == []


def test_a_project_uses_every_kind_of_it(package: Path, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    (folder / "docs").mkdir(parents=True)
    rows: list[dict[str, str]] = []
    for n in range(20):
        label, noun = ("billing", "invoice") if n % 2 else ("technical", "printer")
        (folder / "docs" / f"{noun}{n}.md").write_text(f"# {noun} {n}\n\nThe {noun} {n} is due.\n", "utf-8")
        rows.append({"message": f"the {noun} with the sign {n} is wrong", "label": label})
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    (folder / "route.md").write_text("Where does this go?\n{{ message }}\n", "utf-8")
    (folder / "slipway.yaml").write_text(PROJECT, "utf-8")
    with api.open_project(folder) as project:
        done = api.run(project)
        assert done.release is not None, done.refused
        assert done.chosen == "learned"
        assert [artifact.tuner for _, artifact in project.store.catalog.list("artifact", Artifact)] == ["table"]
        found = api.ask(project, "the invoice with the sign 99 is wrong", channel="production")
        assert (found.label, found.confidence, found.abstained) == ("billing", 1.0, False)
        assert [step.name for step in found.steps] == ["first", "second"]
        assert api.verify(project, "production")
