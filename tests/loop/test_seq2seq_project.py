"""An encoder-decoder made from nothing, and a network of Keras, in a project: gated, served without torch, verified."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slipway import api
from slipway.core.artifact import Artifact
from slipway.core.candidate import Candidate
from slipway.core.release import Release
from slipway.errors import IntegrityError
from trained import PROJECT, without_training, write

pytest.importorskip("torch", reason="torch is not installed: pip install 'slipway-ai[train]'")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'slipway-ai[onnx]'")

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras with NumPy 2.4

T5 = """{prompt: text.md, sampling: {max_tokens: 12}, tune: {seq2seq: {width: 32, heads: 2, layers: 1, vocabulary: 400,
    epochs: 12, patience: 0, learning_rate: 0.005, dropout: 0, threads: 1, max_tokens: 64}}}"""
KERAS = "{tune: {keras: {units: [8], epochs: 10, threads: 1, batch_size: 8}}}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tuned", "file", "extra"), [(T5, "model.safetensors", "train"), (KERAS, "model.tflite", "keras")]
)
def test_from_training_to_serving_without_torch(tmp_path: Path, tuned: str, file: str, extra: str) -> None:
    if extra == "keras":
        pytest.importorskip("ai_edge_litert", reason="not installed: pip install 'slipway-ai[keras]'")
    folder = write(tmp_path / "desk", PROJECT.replace("NAME", "it").replace("TUNED", tuned))
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
