"""Trained networks in a project: made, gated, served without torch, verified; and an embedder that was tuned."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from cross_encoder import made
from slipway import api
from slipway.core.artifact import Artifact
from slipway.core.candidate import Candidate
from slipway.core.material import Example
from slipway.core.release import Release
from slipway.errors import ConfigError, IntegrityError
from slipway.testing.projects import FILE, TOPICS, write_project
from trained import PROJECT, without_training, write

pytest.importorskip("torch", reason="torch is not installed: pip install 'slipway-ai[train]'")
pytest.importorskip("transformers", reason="transformers is not installed: pip install 'slipway-ai[train]'")

NETWORK = "{tune: {textcnn: {epochs: 8, batch_size: 4, size: 16, filters: 8, learning_rate: 0.02, threads: 1}}}"
LABELS = PROJECT.replace("NAME", "words").replace("TUNED", NETWORK).replace("[accuracy]", "[accuracy, coverage]")


@pytest.mark.slow
def test_a_network_from_training_to_serving_without_torch(tmp_path: Path) -> None:
    folder = write(tmp_path / "desk", LABELS)
    refused = without_training(folder, "run", "adapt")
    assert refused.returncode == 3, refused.stderr
    assert "slipway-ai[train]" in refused.stderr
    with api.open_project(folder) as project:
        assert api.run(project).chosen == "words"
        (_, candidate), *_ = project.store.catalog.list("candidate", Candidate, "words")
        (_, artifact), *_ = project.store.catalog.list("artifact", Artifact, "words")
        (_, release), *_ = project.store.catalog.list("release", Release)
        assert (candidate.strategy, candidate.model, candidate.encoder) == ("classifier", None, None)
        assert set(artifact.files) == {"classifier.npz", "model.onnx"}
        assert artifact.measured["parity_examples"] == 36
        assert artifact.measured["parity_differences"] == 0
        assert release.pins["blob:file model.onnx"] == artifact.files["model.onnx"]
        for text in ("Покажите мой баланс", "!!!", "?" * 50_000):
            answer = api.ask(project, text)
            assert (answer.abstained, answer.text) == (True, ""), "it cannot be read"
            assert answer.confidence == pytest.approx(1 / 3)
        assert api.ask(project, "invoice " * 10_000).label == "billing", "it is cut, and no error"
        held = b"".join(project.store.blobs.get(sha256) for sha256 in artifact.files.values())
        assert b"parcel" not in held
        assert "密".encode() not in held
    asked = without_training(folder, "ask", "忘记密码", "--json")
    assert asked.returncode == 0, asked.stderr
    assert json.loads(asked.stdout)["label"] == "登录"
    with api.open_project(folder) as project:
        path = project.store.blobs.path(artifact.files["model.onnx"])
        path.chmod(0o600)
        path.write_bytes(path.read_bytes()[:-1] + b"x")
        with pytest.raises(IntegrityError, match=r"model\.onnx"):
            api.verify(project, "production")


@pytest.mark.slow
def test_a_run_that_was_killed_comes_to_the_same_bytes(tmp_path: Path) -> None:
    found: list[dict[str, str]] = []
    text = LABELS.replace("epochs: 8", "epochs: 60, patience: 0, checkpoint_seconds: 0")
    command = [sys.executable, "-m", "slipway", "run", "adapt", "-C"]
    for name in ("whole", "killed"):
        folder = write(tmp_path / name, text)
        if name == "killed":
            for _ in range(2):
                _killed_at_a_checkpoint([*command, str(folder)], folder / ".slipway" / "work")
        with api.open_project(folder) as project:
            api.run(project, "adapt")
            found.append(project.store.catalog.list("artifact", Artifact, "words")[0][1].files)
    assert found[0] == found[1]


def _killed_at_a_checkpoint(command: list[str], work: Path) -> None:
    def written() -> float:
        return max((path.stat().st_mtime_ns for path in work.glob("*/checkpoint.pt")), default=0)

    before, end = written(), time.monotonic() + 240
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as child:
        while written() == before:
            assert child.poll() is None, child.communicate()[1].decode()
            assert time.monotonic() < end
            time.sleep(0.002)
        os.kill(child.pid, signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL


def retrieving(folder: Path, tune: str = "tune: {contrastive: {batch_size: 4, max_tokens: 48, threads: 1}}") -> Path:
    text = (
        FILE.replace("models:", "models:\n  small: {engine: onnx, source: 'file:small'}")
        .replace("train: 0.2, dev: 0.4, gate: 0.4", "train: 0.4, dev: 0.3, gate: 0.3")
        .replace("{mode: lexical, top_k: 1}}", f"{{embedder: small, mode: dense, top_k: 1, {tune}}}}}\n"
                 "  three: {extends: grounded, retrieve: {top_k: 3}}")
        .replace("token_f1: {min: 0.05, confidence: point}", "retrieval_recall: {min: 0, confidence: point}")
        .replace("  plain: {model: writer, prompt: plain.md}\n", "")
    )  # fmt: skip
    write_project(folder, text)
    said = (
        "the is painted in shade number every spring weighs exactly tonnes when it dry colour of weight which how much "
    )
    said += "does weigh Which How Colour Weight The ? > ." + " ".join(map(str, range(120))) + " " + " ".join(TOPICS)
    made(folder / "small", "bert", more=tuple(said.split()))
    return folder


@pytest.mark.slow
def test_a_tuned_embedder_is_an_artifact_of_the_candidate_and_of_its_release(tmp_path: Path) -> None:
    folder = retrieving(tmp_path / "p")
    with api.open_project(folder) as project:
        found = api.run(project)
        assert found.ran.count("tune:small") == 1, "two candidates share it"
        assert found.release is not None
        candidate = project.store.catalog.get("candidate", found.release.candidate.digest, Candidate)
        assert candidate.retrieve is not None
        pin, ref = candidate.retrieve.embedder, candidate.retrieve.artifact
        assert pin is not None
        assert ref is not None
        artifact = project.store.catalog.get("artifact", ref.digest, Artifact)
        assert pin.source == f"artifact:{artifact.digest}"
        assert pin.files == artifact.files
        assert artifact.base is not None
        assert pin.files["model.safetensors"] != artifact.base.files["model.safetensors"]
        assert found.release.pins["noun:embedder"] == artifact.digest
        assert found.release.pins["model:small-tuned/model.safetensors"] == artifact.files["model.safetensors"]
        assert ref.short in "\n".join(api.verify(project, "production"))
        assert artifact.measured["parity_cosine"] > 0.999
        examples = list(api.items(project, found.datasets["examples"]))
        split = [e for e in examples if isinstance(e, Example) and e.split in ("train", "dev")]
        assert artifact.measured["pairs"] + artifact.measured["dev_pairs"] == len(split)
        assert api.run(project).ran == []
        path = project.store.blobs.path(artifact.files["model.safetensors"])
        path.chmod(0o600)
        path.write_bytes(path.read_bytes()[:-1] + b"x")
        with pytest.raises(IntegrityError, match="small-tuned"):
            api.verify(project, "production")


@pytest.mark.parametrize(
    ("tune", "message"),
    [
        ("tune: probe", "makes no embedder"),
        ("tune: {contrastive: {epoch: 1}}", "did you mean 'epochs'"),
    ],
)
def test_what_cannot_tune_a_retriever_is_refused(tmp_path: Path, tune: str, message: str) -> None:
    folder = retrieving(tmp_path / "p", tune)
    with pytest.raises(ConfigError, match=message), api.open_project(folder) as project:
        api.run(project, "adapt")


def test_a_tuner_of_embedders_is_no_tuner_of_a_candidate(tmp_path: Path) -> None:
    folder = write(tmp_path / "p", LABELS.replace("{textcnn:", "{contrastive:").split("  words")[0]
                      + "  words: {tune: contrastive}\ngate: {}\n")  # fmt: skip
    with pytest.raises(ConfigError, match=r"retrieve\.tune"), api.open_project(folder) as project:
        api.run(project, "adapt")


QUESTIONS = ("Which shade is the keel painted in?", "How much does the mast weigh?")
SMALLER = {
    "contrastive": "tune: {contrastive: {batch_size: 4, max_tokens: 48, threads: 1}}",
    "quantize": "tune: {quantize: {type: int8}}",
    "prune": "tune: {prune: {share: 0.25}}",
}


@pytest.mark.slow
@pytest.mark.parametrize("tuner", SMALLER)
def test_a_tuned_retriever_is_measured_beside_the_untuned_one_and_goes_with_its_release(
    tmp_path: Path, tuner: str
) -> None:
    """Made in two projects it has one digest; it is in the bundle, the backup and the verification of its release."""
    untuned = "candidates.untuned={extends: grounded, retrieve: {tune: null}}"
    digests: list[str] = []
    for name in ("p", "again"):
        folder = retrieving(tmp_path / name, SMALLER[tuner])
        with api.open_project(folder, [untuned]) as project:
            found = api.run(project, "evaluate")
            artifacts = project.store.catalog.list("artifact", Artifact)
            digests.append(artifacts[0][1].digest)
    assert len(artifacts) == 1
    assert digests[0] == digests[1]
    assert artifacts[0][1].tuner == tuner
    reports = found.reports["dev"]
    assert reports.keys() == {"grounded", "three", "untuned"}
    for report in reports.values():
        assert report.metrics["retrieval_recall"].n > 0
    with api.open_project(folder) as project:
        api.run(project)
        release = project.store.catalog.release(project.store.catalog.channels()["production"])
        assert release.pins["noun:embedder"] == digests[0]
        api.store_gc(project)
        assert any("model:small-tuned/" in line for line in api.verify(project, "production"))
        asked = [api.ask(project, text) for text in QUESTIONS]
        packages = tmp_path / "packages"
        packages.mkdir()
        (packages / "slipway_ai-0-py3-none-any.whl").write_bytes(b"")
        api.bundle(project, tmp_path / "p.tar", wheels=packages)
    with tarfile.open(tmp_path / "p.tar") as tar:
        tar.extractall(tmp_path / "there", filter="data")
    (there,) = (tmp_path / "there").iterdir()
    shutil.rmtree(folder)  # nothing of it is looked at there
    with api.open_project(there / "project") as project:
        api.store_restore(project, there / "state.zip")
        assert any("model:small-tuned/" in line for line in api.verify(project, "production"))
        again = [api.ask(project, text) for text in QUESTIONS]
    assert [(one.text, one.citations) for one in again] == [(one.text, one.citations) for one in asked]
    assert all(one.citations for one in asked)
