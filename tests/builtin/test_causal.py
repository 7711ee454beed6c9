"""`tune: lora` and `tune: full`: trained on what the engine reads, written as GGUF, served as they were trained."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from slipway.core.artifact import Made
from slipway.core.candidate import ModelPin
from slipway.core.material import Example
from slipway.core.message import GenerateRequest, Sampling
from slipway.testing.tuners import EXAMPLES, Job, TunerContract

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")
pytest.importorskip("transformers", reason="training needs the extra 'train'")
pytest.importorskip("xllamacpp", reason="parity needs the extra 'llama'")

from slipway.builtin.tuners.full import FullTuner  # noqa: E402
from slipway.builtin.tuners.lora import LoraTuner  # noqa: E402
from tiny_llama import write_llama  # noqa: E402

PIN = ModelPin(
    name="tiny", engine="llama", source="", files={"tiny.gguf": "0" * 64},
    options={"context": 256, "parallel": 2, "threads": 1, "spin": 1000, "measure": False, "second_child": False},
)  # fmt: skip
QUICK: dict[str, Any] = {
    "threads": 1, "device": "cpu", "epochs": 2, "batch_size": 8, "learning_rate": 0.02, "parity_examples": 6,
    "parity_tokens": 6, "checkpoint_seconds": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    return {"tiny.gguf": write_llama(tmp_path_factory.mktemp("tiny") / "tiny.gguf")}


def digests(made: Made) -> dict[str, str]:
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in made.files.items()}


class OneJob(Job):
    """With other examples, or another base."""

    def __init__(
        self, folder: Path, files: Mapping[str, Path], examples: Sequence[Example] = EXAMPLES, pin: ModelPin = PIN,
        stop_after: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(folder, ("train", "dev"), pin, files, stop_after)
        self._examples = examples

    def examples(self, split: str) -> list[Example]:  # type: ignore[override]
        return [example for example in self._examples if example.split == split]


@pytest.mark.slow
class TestLora(TunerContract):
    base: ClassVar = PIN

    @pytest.fixture
    def files(self, tiny: Mapping[str, Path]) -> Mapping[str, Path]:
        return tiny

    def make_tuner(self) -> LoraTuner:
        return LoraTuner(LoraTuner.Config(**QUICK, dropout=0.1))


@pytest.mark.slow
class TestFull(TunerContract):
    base: ClassVar = PIN

    @pytest.fixture
    def files(self, tiny: Mapping[str, Path]) -> Mapping[str, Path]:
        return tiny

    def make_tuner(self) -> FullTuner:
        return FullTuner(FullTuner.Config(**{**QUICK, "learning_rate": 1e-3}))


def test_an_adapter_is_made_and_served_as_it_was_trained(tmp_path: Path, tiny: Mapping[str, Path]) -> None:
    """The whole way once: rows by the engine, training, the file, the engine's answers."""
    options = {**QUICK, "epochs": 8, "parity_examples": 20, "parity": 1.0, "patience": 0}
    job = OneJob(tmp_path / "job", tiny)
    made = LoraTuner(LoraTuner.Config(**options)).tune(job)
    assert (made.kind, list(made.files)) == ("adapter", ["adapter.lora.gguf"])
    assert made.measured["parity"] == 1.0
    assert made.measured["parity_examples"] == 20
    assert made.measured["examples"] == 20
    assert made.measured["loss"] < 3.0, "a model that says any of 261 tokens has 5.6"
    request = GenerateRequest(messages=job.messages(EXAMPLES[0]), sampling=Sampling(max_tokens=6, temperature=0.0))
    with job.serving() as before, job.serving(made) as after:
        assert before.answers([request])[0].text != after.answers([request])[0].text
