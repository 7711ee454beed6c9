"""An encoder-decoder made from nothing, and a network of Keras, in a project: gated, served without torch, verified."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from slipway import api
from slipway.core.artifact import Artifact
from slipway.core.candidate import Candidate
from slipway.core.release import Release
from slipway.errors import IntegrityError

pytest.importorskip("torch", reason="torch is not installed: pip install 'slipway-ai[train]'")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'slipway-ai[onnx]'")

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras with NumPy 2.4

PROJECT = """\
slipway: 1
name: desk
task: classify
data:
  examples: [{path: rows.csv}]
  split: {train: 0.5, dev: 0.25, gate: 0.25}
candidates:
  it: {TUNED}
evaluate: {metrics: [accuracy]}
gate: {accuracy: {min: 0.5, confidence: point}}
"""
T5 = """{prompt: text.md, sampling: {max_tokens: 12}, tune: {seq2seq: {width: 32, heads: 2, layers: 1, vocabulary: 400,
    epochs: 12, patience: 0, learning_rate: 0.005, dropout: 0, threads: 1, max_tokens: 64}}}"""
KERAS = "{tune: {keras: {units: [8], epochs: 10, threads: 1, batch_size: 8}}}"
WORDS = {"billing": "invoice", "delivery": "parcel", "登录": "密码"}
WITHOUT = """
from importlib.machinery import PathFinder
found = PathFinder.find_spec
PathFinder.find_spec = lambda name, *more: (
    None if name.partition(".")[0] in ("torch", "transformers", "keras") else found(name, *more)
)
from slipway.cli.main import main
main()
"""


def project_of(folder: Path, tuned: str) -> Path:
    folder.mkdir()
    rows = [f"{word} of customer {n},{label}" for label, word in WORDS.items() for n in range(16)]
    (folder / "rows.csv").write_text("\n".join(["text,label", *rows]) + "\n", "utf-8")
    (folder / "text.md").write_text("{{ text }}", "utf-8")
    (folder / "slipway.yaml").write_text(PROJECT.replace("{TUNED}", tuned), "utf-8")
    return folder


def without_training(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT, *arguments, "-C", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tuned", "file", "extra"), [(T5, "model.safetensors", "train"), (KERAS, "model.tflite", "keras")]
)
def test_from_training_to_serving_without_torch(tmp_path: Path, tuned: str, file: str, extra: str) -> None:
    if extra == "keras":
        pytest.importorskip("ai_edge_litert", reason="not installed: pip install 'slipway-ai[keras]'")
    folder = project_of(tmp_path / "desk", tuned)
    refused = without_training(folder, "run", "adapt")
    assert refused.returncode == 3, refused.stderr
    assert "slipway-ai[train]" in refused.stderr
    with api.open_project(folder) as project:
        assert api.run(project).chosen == "it"
        (_, candidate), *_ = project.store.catalog.list("candidate", Candidate, "it")
        (_, artifact), *_ = project.store.catalog.list("artifact", Artifact, "it")
        (_, release), *_ = project.store.catalog.list("release", Release)
        if extra == "train":
            assert candidate.model is not None
            assert (candidate.model.engine, candidate.model.files) == ("seq2seq", artifact.files)
            assert artifact.measured["parity"] == 1.0
        else:
            assert (candidate.strategy, candidate.model) == ("classifier", None)
            assert artifact.measured["parity_differences"] == 0
        assert artifact.files[file] in release.pins.values()
        assert api.run(project).ran == []
    asked = without_training(folder, "ask", "密码 of customer 40", "--json")
    assert asked.returncode == 0, asked.stderr
    assert json.loads(asked.stdout)["label"] == "登录"
    with api.open_project(folder) as project:
        path = project.store.blobs.path(artifact.files[file])
        path.chmod(0o600)
        path.write_bytes(path.read_bytes()[:-1] + b"x")
        with pytest.raises(IntegrityError):
            api.verify(project, "production")
