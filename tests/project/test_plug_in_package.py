"""The package that `slipway init --template plug-in` writes: its own tests pass, and a project can use all of it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from plug_in_package import declared, installed
from served import Client
from slipway import api
from slipway.core.artifact import Artifact
from slipway.plugins import KINDS, Plugins
from slipway.project.load import load
from slipway.project.plugin_options import check_options

ASKED = "the invoice with the sign 99 is wrong"
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_its_readme_and_entry_points_show_every_kind(package: Path, tmp_path: Path) -> None:
    entries = declared(package)["project"]["entry-points"]
    assert set(entries) == {f"slipway.{kind}" for kind in KINDS}
    (shown,) = re.findall(r"```yaml\n(.*?)```", (package / "README.md").read_text("utf-8"), re.DOTALL)
    (tmp_path / "slipway.yaml").write_text(f"slipway: 1\nname: readme\n{shown}", "utf-8")
    check_options(load(tmp_path / "slipway.yaml"), Plugins(tmp_path), tmp_path / "slipway.yaml")
    written = str(yaml.safe_load(shown))
    assert [name for group in entries.values() for name in group if name not in written] == []


@pytest.fixture
def project(package: Path, tmp_path: Path) -> Path:
    """A project that uses a plug-in of every kind."""
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
    return folder


@pytest.mark.slow
def test_a_project_uses_every_kind_of_it_and_is_served(package: Path, project: Path) -> None:
    with api.open_project(project) as opened:
        done = api.run(opened)
        assert done.release is not None, done.refused
        assert done.chosen == "learned"
        assert [artifact.tuner for _, artifact in opened.store.catalog.list("artifact", Artifact)] == ["table"]
        found = api.ask(opened, ASKED, channel="production")
        assert (found.label, found.confidence, found.abstained) == ("billing", 1.0, False)
        assert [step.name for step in found.steps] == ["first", "second"]
        assert api.verify(opened, "production")
    with served(package, project) as client:
        reply = client.chat(ASKED, "helpdesk")
        own = reply.json["slipway"]
        assert (reply.text, own["label"], own["confidence"]) == (found.text, "billing", 1.0)
        assert [step["name"] for step in own["steps"]] == ["first", "second"]
        assert own["citations"][0]["source"].startswith("docs/invoice")
        assert own["release"] == done.release.digest
        assert client.chat(ASKED, "helpdesk", stream=True).text == reply.text
        assert client.post("/generate", {"prompt": ASKED}).json["generated_text"] == reply.text
    with api.open_project(project) as opened:
        kept = api.trace(opened, own["trace"])[0].answer
        assert kept is not None
        assert (kept.label, [step.name for step in kept.steps]) == ("billing", ["first", "second"])


@contextlib.contextmanager
def served(package: Path, project: Path) -> Iterator[Client]:
    """`slipway serve` as a user starts it; it ends at SIGTERM with 0."""
    path = os.pathsep.join(filter(None, (str(package), os.environ.get("PYTHONPATH", ""))))
    command = [sys.executable, "-m", "slipway", "serve", "-C", str(project), "--port", "0"]
    with subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout is not None
            said = ""
            while (address := re.search(r"http://[\d.]+:\d+", said)) is None:
                line = process.stdout.readline()
                assert line, said
                said += line
            client = Client(address[0])
            client.until()
            yield client
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()
