"""`tune: seq2seq`: the contract of tuners with a base and without one; what is served is what was trained."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")
pytest.importorskip("onnxruntime", reason="needs the extra onnx")

from slipway.builtin.causal import parity  # noqa: E402
from slipway.builtin.causal.aside import AnswersAside  # noqa: E402
from slipway.builtin.causal.token_rows import Row  # noqa: E402
from slipway.builtin.seq2seq import base  # noqa: E402
from slipway.builtin.training.placing import Place  # noqa: E402
from slipway.builtin.tuners.seq2seq import Seq2SeqTuner  # noqa: E402
from slipway.core.artifact import Made  # noqa: E402
from slipway.core.candidate import ModelPin  # noqa: E402
from slipway.errors import ConfigError, SlipwayError  # noqa: E402
from slipway.testing.tuners import Job, TunerContract  # noqa: E402
from tiny_t5 import write_t5  # noqa: E402

if TYPE_CHECKING:
    from slipway.core.protocols import Tuner

PIN = ModelPin(name="tiny", engine="seq2seq", source="")
PLACE = Place("cpu", "float32", 1)
QUICK = {"threads": 1, "max_steps": 4, "batch_size": 8, "parity_examples": 6, "parity_tokens": 6, "max_tokens": 200}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tuner(**options: object) -> Seq2SeqTuner:
    return Seq2SeqTuner(Seq2SeqTuner.Config.model_validate({**QUICK, **options}))


def job(folder: Path, files: Mapping[str, Path] | None) -> Job:
    return Job(folder, ("train", "dev"), PIN if files else None, files or {})


@pytest.mark.slow
class TestSeq2SeqTuner(TunerContract):
    base: ClassVar[ModelPin | None] = PIN

    @pytest.fixture
    def files(self, tmp_path: Path) -> Mapping[str, Path]:
        return write_t5(tmp_path / "base")

    def make_tuner(self) -> Tuner:
        return tuner(dropout=0.1)


@pytest.mark.slow
class TestSeq2SeqTunerFromNothing(TunerContract):
    base: ClassVar[ModelPin | None] = None

    def make_tuner(self) -> Tuner:
        return tuner(width=32, layers=1, heads=2, vocabulary=400)


@pytest.mark.slow
def test_a_small_one_learns_what_is_asked(tmp_path: Path) -> None:
    """The number of each ship stands in the question, for train as for dev."""
    made = tuner(
        width=48, layers=1, heads=2, vocabulary=400, max_steps=None, epochs=60, patience=0, learning_rate=5e-3, dropout=0.0,
        parity_examples=20, parity_tokens=12,
    ).tune(job(tmp_path, None))  # fmt: skip
    assert made.measured["loss"] < 0.1
    assert made.measured["parity"] == 1.0
    assert made.measured["parity_examples"] == 20
    with job(tmp_path / "asked", None).serving(made) as served:
        texts = served.texts(served.tokens(["ship 4"]))
    assert texts == ["ship 4"]


@pytest.mark.slow
def test_the_loss_is_that_of_transformers(tmp_path: Path) -> None:
    files = write_t5(tmp_path)
    model = base.load(files, 0.0).eval()
    rows = [Row((10, 20, 30, 1, 40, 50, 1), 4), Row((10, 1, 60, 70, 80, 1), 2)]
    mine, count = AnswersAside(model, rows, "cpu")(((0,), (1,)))
    theirs = [
        model(input_ids=torch.tensor([row.ids[: row.start]]), labels=torch.tensor([row.ids[row.start :]])).loss
        for row in rows
    ]
    assert count == 7
    assert mine.item() == pytest.approx(3 * theirs[0].item() + 4 * theirs[1].item(), rel=1e-4)


@pytest.mark.slow
def test_other_weights_than_the_trained_ones_are_found_out(tmp_path: Path) -> None:
    files = write_t5(tmp_path / "one")
    model = base.load(files, 0.0)
    asked = job(tmp_path / "job", files)
    options = tuner().config
    same = Made(kind="model", engine="seq2seq", files=base.write(model, files, tmp_path / "made"))
    assert parity.check(asked, same, model, [1], options, PLACE)["parity"] == 1.0
    other = Made(kind="model", engine="seq2seq", files=write_t5(tmp_path / "two", seed=1))
    with pytest.raises(SlipwayError, match="Which ship is number"):
        parity.check(asked, other, model, [1], options, PLACE)


@pytest.mark.slow
def test_what_was_written_is_what_transformers_reads(tmp_path: Path) -> None:
    from transformers import AutoModelForSeq2SeqLM

    made = tuner(width=32, layers=1, heads=2, vocabulary=400, max_steps=1).tune(job(tmp_path, None))
    theirs = AutoModelForSeq2SeqLM.from_pretrained(made.files["config.json"].parent, local_files_only=True).eval()
    mine = base.load(made.files, 0.0).eval()
    asked = {"input_ids": torch.tensor([[5, 6, 7, 1]]), "decoder_input_ids": torch.tensor([[0, 9]])}
    with torch.no_grad():
        assert torch.allclose(theirs(**asked).logits, mine(**asked).logits, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "pin", "says"),
    [
        ({"width": 64}, PIN, "width"),
        ({}, ModelPin(name="writer", engine="llama", source=""), "no encoder-decoder"),
    ],
)
def test_what_cannot_be_is_told(options: dict[str, object], pin: ModelPin, says: str, tmp_path: Path) -> None:
    files = write_t5(tmp_path / "base")
    with pytest.raises(ConfigError, match=says):
        tuner(**options).tune(Job(tmp_path / "job", ("train", "dev"), pin, files))


@pytest.mark.slow
def test_a_tensor_of_another_size_is_told(tmp_path: Path) -> None:
    files = write_t5(tmp_path / "base")
    config = json.loads(files["config.json"].read_text())
    files["config.json"].write_text(json.dumps({**config, "num_layers": 1, "num_decoder_layers": 1, "d_ff": 52}))
    with pytest.raises(ConfigError, match="DenseReluDense"):
        base.load(files, None)
