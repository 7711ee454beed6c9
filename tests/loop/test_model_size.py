"""What a model needs, from the name of its source or the header of its file."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway import api
from slipway.loop.model_size import named, need
from slipway.testing.projects import FILE, write_project


@pytest.mark.parametrize(
    ("source", "parameters", "bits"),
    [
        ("hf:Qwen/Qwen2.5-1.5B-Instruct-GGUF/qwen2.5-1.5b-instruct-q4_0.gguf", 1.5e9, 4.6),
        ("hf:x/Meta-Llama-3.1-8B-Instruct-GGUF/Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf", 8e9, 4.85),
        ("https://example.org/SmolLM2-135M-Instruct-Q8_0.gguf", 135e6, 8.5),
        ("hf:Qwen/Qwen3-4B", 4e9, 16.0),
    ],
)
def test_a_name_says_parameters_and_quantisation(source: str, parameters: float, bits: float) -> None:
    assert named(source) == (parameters, bits)


@pytest.mark.parametrize("source", ["file:models/writer.gguf", "pypi:some-model==1.0.0", "hf:org/mixtral-8x7b"])
def test_a_name_that_says_nothing(source: str) -> None:
    assert named(source) is None


def test_published_files_are_within_the_guess() -> None:
    """Sizes of files as their repositories list them: within a quarter, and never more than the memory."""
    for source, size in (
        ("hf:Qwen/Qwen2.5-7B-Instruct-GGUF/qwen2.5-7b-instruct-q4_k_m.gguf", 4.68e9),
        ("hf:x/Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf", 4.92e9),
        ("hf:x/Meta-Llama-3.1-8B-Instruct-Q8_0.gguf", 8.54e9),
    ):
        found = need(source)
        assert found is not None
        assert found.guessed
        assert found.weights == pytest.approx(size, rel=0.25)
        assert found.memory > size


def test_check_tells_it_before_the_download_and_warns_of_a_model_that_does_not_fit(tmp_path: Path) -> None:
    def told(source: str) -> tuple[str, str]:
        writer = f"writer: {{engine: llama, source: '{source}'}}"
        write_project(tmp_path, FILE.replace("writer: {engine: echo}", writer))
        return next((f.level, f.what) for f in api.check(tmp_path) if "tokens a second" in f.what)

    level, what = told("hf:a/tiny-15m-q8_0-GGUF/tiny-15m-q8_0.gguf")
    assert level == "ok"
    assert "GB of memory" in what
    assert told("hf:a/huge-70000b-q8_0-GGUF/huge-70000b-q8_0.gguf")[0] == "warning"
