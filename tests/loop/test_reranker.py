"""A project whose passages are put in order by a cross-encoder: pinned, released and verified with the candidate."""

from __future__ import annotations

from pathlib import Path

import pytest

from cross_encoder import made
from slipway import api
from slipway.core.candidate import Candidate
from slipway.errors import SlipwayError
from slipway.testing.projects import FILE, write_project

pytest.importorskip("onnxruntime")


@pytest.mark.slow
def test_a_reranker_is_part_of_the_candidate_and_of_its_release(tmp_path: Path) -> None:
    text = (
        FILE.replace("models:", "models:\n  judge: {engine: cross-encoder, source: 'file:judge'}")
        .replace("{mode: lexical, top_k: 1}", "{mode: lexical, top_k: 5, reranker: judge, rerank: 5}")
        .replace("token_f1: {min: 0.05, confidence: point}", "retrieval_recall: {min: 0.01, confidence: point}")
    )
    folder = write_project(tmp_path / "p", text).parent
    made(folder / "judge", "bert")
    with api.open_project(folder) as project:
        release = api.run(project).release
        assert release is not None
        candidate = project.store.catalog.get("candidate", release.candidate.digest, Candidate)
        assert candidate.retrieve is not None
        assert candidate.retrieve.rerank == 5
        assert candidate.retrieve.reranker is not None
        assert set(candidate.retrieve.reranker.files) == {"config.json", "model.safetensors", "tokenizer.json"}
        checked = "\n".join(api.verify(project, "production"))
        assert "judge" in checked
    weights = folder / "judge" / "model.safetensors"
    raw = bytearray(weights.read_bytes())
    raw[-1] ^= 1
    weights.write_bytes(raw)
    with api.open_project(folder) as project, pytest.raises(SlipwayError, match="judge"):
        api.verify(project, "production")
