"""The package that `slipway init --template plug-in` writes: its own tests pass, and a project can use all of it."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from served import Client
from slipway import api
from slipway.core.artifact import Artifact
from slipway.project.scaffold import init

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
    """The package as pip would install it: on the path, with its entry points."""
    root = tmp_path / "package"
    init(root, "plug-in")
    groups = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]
    info = root / "my_plugins-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-plugins\nVersion: 0.1.0\n", "utf-8")
    lines = [f"[{group}]\n" + "".join(f"{n} = {v}\n" for n, v in found.items()) for group, found in groups.items()]
    (info / "entry_points.txt").write_text("\n".join(lines), "utf-8")
    monkeypatch.syspath_prepend(str(root))
    importlib.invalidate_caches()
    yield root
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_plugins"]:
        del sys.modules[name]


def test_its_own_tests_pass(package: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=package, env={**os.environ, "PYTHONPATH": str(package)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


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
