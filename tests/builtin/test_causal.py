"""`tune: lora` and `tune: full`: trained on what the engine reads, written as GGUF, served as they were trained."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from slipway.core.artifact import Made
from slipway.core.candidate import ModelPin
from slipway.core.material import Example
from slipway.core.message import GenerateRequest, Message, Sampling
from slipway.errors import ConfigError, MissingPrerequisite, SlipwayError
from slipway.testing.tuners import EXAMPLES, Job, TunerContract

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")
pytest.importorskip("transformers", reason="training needs the extra 'train'")
pytest.importorskip("xllamacpp", reason="parity needs the extra 'llama'")

from slipway.builtin.causal import base, exporting, fitting, lora, parity  # noqa: E402
from slipway.builtin.causal.batches import batches  # noqa: E402
from slipway.builtin.causal.losses import Answers  # noqa: E402
from slipway.builtin.causal.token_rows import Row, rows_of  # noqa: E402
from slipway.builtin.engines.gguf_model import read_header  # noqa: E402
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


@pytest.mark.slow
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


# -- what is read ------------------------------------------------------------------------------------------------------


TALK = (
    (Message("system", "Be brief."), Message("user", "Which ship is number 12? 第12号船 🚢")),
    (Message("user", "你好"), Message("assistant", "您好"), Message("user", "它在哪里?  \n")),
    (Message("user", "What does <|im_end|> mean?"),),
)


def test_prompts_are_those_that_the_engine_reads(tmp_path: Path, tiny: Mapping[str, Path]) -> None:
    """Spelled with the file's own vocabulary; as many as the engine says that it read; a control token stays text."""
    job = OneJob(tmp_path, tiny)
    sampling = Sampling(max_tokens=1, temperature=0.0)
    with job.serving() as served:
        ids = served.prompts(TALK)
        answers = served.answers([GenerateRequest(messages=turns, sampling=sampling) for turns in TALK])
    assert [len(one) for one in ids] == [answer.usage.prompt_tokens for answer in answers]
    assert spelled(ids[1]) == (
        "<|im_start|>user\n你好<|im_end|>\n<|im_start|>assistant\n您好<|im_end|>\n"
        "<|im_start|>user\n它在哪里?  \n<|im_end|>\n<|im_start|>assistant\n"
    )
    assert ids[2].count(2) == 1, "only the template ends a turn"


def spelled(ids: Sequence[int]) -> str:
    from tiny_llama import SPECIAL, byte_letters

    pieces = [piece.encode() for piece in SPECIAL] + [bytes([byte]) for byte in range(256)] + [b"th", b"sh"]
    assert len(byte_letters()) == 256
    return b"".join(pieces[token] for token in ids).decode()


def test_rows_are_prompt_answer_and_end(tmp_path: Path, tiny: Mapping[str, Path]) -> None:
    long = Example(input={"question": "long " * 60}, expected=("far",), split="train")
    unanswered = Example(input={"question": "who?"}, split="train")
    job = OneJob(tmp_path, tiny, [*EXAMPLES[:6], long, unanswered])
    with job.serving() as served:
        rows = rows_of(job, served, 2, 120)
        with pytest.raises(ConfigError, match="all 7 examples are longer than max_tokens"):
            rows_of(job, served, 2, 10)
    assert (len(rows.train), len(rows.dev), rows.left_out, rows.unanswered) == (3, 3, 1, 1)
    row = rows.train[0]
    assert spelled(row.ids[row.start :]) == f"{EXAMPLES[0].expected[0]}<|im_end|>"
    assert spelled(row.ids[: row.start]).endswith("<|im_start|>assistant\n")


# -- what is computed --------------------------------------------------------------------------------------------------

ROWS = [Row(tuple(3 + (n * 7 + at * at) % 250 for at in range(length)), length - answer)
        for n, (length, answer) in enumerate([(12, 3), (30, 9), (7, 6), (21, 1), (16, 5)])]  # fmt: skip


@pytest.fixture(scope="module")
def model(tiny: Mapping[str, Path]) -> Any:
    torch.set_num_threads(1)
    return base.load(tiny["tiny.gguf"])


def plain_loss(model: Any, row: Row) -> float:
    """By transformers' own logits, of every place."""
    logits = model(torch.tensor([row.ids])).logits[0].log_softmax(-1)
    return -float(sum(logits[at - 1, row.ids[at]] for at in range(row.start, len(row.ids))))


@pytest.mark.slow
def test_only_answers_count_however_rows_are_put_together(model: Any) -> None:
    """Alone, side by side, or in one row: no example sees another."""
    with torch.no_grad():
        wanted = sum(plain_loss(model, row) for row in ROWS)
        read = Answers(model, ROWS, "cpu")
        for batch in (((0,), (1,), (2,), (3,), (4,)), ((0, 1, 2), (3, 4)), ((4, 2, 0, 1, 3),)):
            loss, count = read(batch)
            assert count == 24
            assert float(loss) == pytest.approx(wanted, rel=1e-5)


def test_every_row_is_in_one_batch_beside_rows_of_its_length() -> None:
    rows = [Row((1,) * (n % 40 + 1), 0) for n in range(500)]
    for pack in (0, 64):
        made = batches(rows, 8, 3, pack)
        assert sorted(place for batch in made for one in batch for place in one) == list(range(500))
        assert made == batches(rows, 8, 3, pack) != batches(rows, 8, 4, pack)
    alone = batches(rows, 8, 3)
    padded = sum(max(len(rows[one[0]].ids) for one in batch) * len(batch) for batch in alone)
    assert padded < 1.2 * sum(len(row.ids) for row in rows)
    packed = [sum(len(rows[place].ids) for place in one) for batch in batches(rows, 8, 3, 64) for one in batch]
    assert max(packed) <= 64
    assert sum(packed) / len(packed) > 56, "nearly full"


# -- what is written ---------------------------------------------------------------------------------------------------


def trained(path: Path, seed: int) -> Any:
    """A model whose adapters are not zero."""
    adapted = base.load(path)
    torch.manual_seed(seed)
    lora.add(adapted, ("q", "k", "v", "o", "gate", "up", "down"), 4, 8.0, 0.0)
    with torch.no_grad():
        for name, value in adapted.named_parameters():
            if name.endswith(".b"):
                value.copy_(torch.randn_like(value) * 0.3)
    return adapted.eval()


@pytest.mark.parametrize("file_type", [pytest.param("f16", marks=pytest.mark.slow), "q8_0"])
def test_merged_it_says_what_base_and_adapter_say(tmp_path: Path, tiny: Mapping[str, Path], file_type: str) -> None:
    path = tiny["tiny.gguf"]
    adapted, header = trained(path, 1), read_header(path)
    changes = exporting.deltas(header, lora.learned(adapted), 2.0)
    exporting.write_merged(path, changes, file_type, tmp_path / "merged.gguf")
    ids = torch.tensor([ROWS[1].ids])
    with torch.no_grad():
        wanted, before = adapted(ids).logits, base.load(path)(ids).logits
        found = base.load(tmp_path / "merged.gguf")(ids).logits
    off = float((found - wanted).abs().max() / (before - wanted).abs().max())
    assert off < {"f16": 0.002, "q8_0": 0.05}[file_type]


def test_an_artifact_that_is_another_is_found_out(tmp_path: Path, tiny: Mapping[str, Path]) -> None:
    """The file of one training beside the model of another: the error names examples."""
    path = tiny["tiny.gguf"]
    header, job = read_header(path), OneJob(tmp_path / "job", tiny)
    options = LoraTuner.Config(**QUICK)
    place = fitting.place_of(options)
    target = tmp_path / "job" / "adapter.lora.gguf"
    exporting.write_adapter(header, lora.learned(trained(path, 1)), 8.0, target)
    made = Made(kind="adapter", files={target.name: target})
    found = parity.check(job, made, trained(path, 1), [2], options, place)
    assert found["parity"] == 1.0
    with pytest.raises(SlipwayError, match=r"only 0\.0% of 6 examples .* 'Which ship is number .*' -> "):
        parity.check(job, made, trained(path, 2), [2], options, place)


# -- what goes wrong ---------------------------------------------------------------------------------------------------


def test_an_absurd_learning_rate_says_what_to_do(tmp_path: Path, tiny: Mapping[str, Path]) -> None:
    options = {**QUICK, "learning_rate": 1e30, "warmup": 0.0}
    with pytest.raises(SlipwayError, match=r"(?s)not a finite number any more.*lower learning_rate"):
        LoraTuner(LoraTuner.Config(**options)).tune(OneJob(tmp_path / "job", tiny))


def test_a_base_that_cannot_be_trained_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    import gguf

    path = tmp_path / "other.gguf"
    writer = gguf.GGUFWriter(path, "bloom")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    tuner = LoraTuner(LoraTuner.Config(**QUICK))
    with pytest.raises(ConfigError, match=r"(?s)architecture 'bloom'.*llama, qwen2"):
        tuner.tune(OneJob(tmp_path / "job", {"tiny.gguf": path}))
    remote = ModelPin(name="far", engine="openai", source="")
    with pytest.raises(ConfigError, match="no model in a GGUF file"):
        tuner.tune(OneJob(tmp_path / "job", {}, pin=remote))


def test_a_file_without_all_its_weights_is_refused(tmp_path: Path, tiny: Mapping[str, Path]) -> None:
    """Transformers draws what is missing at random and goes on."""
    path = tmp_path / "cut.gguf"
    path.write_bytes(tiny["tiny.gguf"].read_bytes().replace(b"blk.1.attn_v.weight", b"blk.1.attn_x.weight"))
    with pytest.raises(ConfigError, match=r"cut\.gguf cannot be trained: it has no tensor '.*layers\.1.*v_proj"):
        base.load(path)


def test_a_kind_of_block_that_cannot_be_read_names_those_that_can(tmp_path: Path, tiny: Mapping[str, Path]) -> None:
    """Kind 21 (iq3_s) where float32 was: as a file from elsewhere may have it."""
    raw = tiny["tiny.gguf"].read_bytes()
    at = raw.index(b"blk.1.attn_v.weight") + len("blk.1.attn_v.weight") + 4 + 16
    path = tmp_path / "iq.gguf"
    path.write_bytes(raw[:at] + (99).to_bytes(4, "little") + raw[at + 4 :])
    with pytest.raises(ConfigError, match=r"(?s)iq\.gguf cannot be trained.*q8_0"):
        base.load(path)


def test_nothing_to_learn_is_said(tmp_path: Path, tiny: Mapping[str, Path]) -> None:
    dev = [Example(input={"question": "who?"}, expected=("me",), split="dev")]
    with pytest.raises(ConfigError, match="no example of train has a reference"):
        LoraTuner(LoraTuner.Config(**QUICK)).tune(OneJob(tmp_path / "job", tiny, dev))


def test_engines_without_adapters_are_told_to_merge(tmp_path: Path, tiny: Mapping[str, Path]) -> None:
    pin = ModelPin(name="tiny", engine="openvino", source="", files={"tiny.gguf": "0" * 64})
    with pytest.raises(ConfigError, match=r"(?s)'openvino' loads no adapters.*merge: true"):
        LoraTuner(LoraTuner.Config(**QUICK)).tune(OneJob(tmp_path / "job", tiny, pin=pin))


def test_without_torch_the_extra_is_named(
    tmp_path: Path, tiny: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if it were not installed: Python finds none."""
    from slipway.builtin.training import packages

    monkeypatch.setattr(packages, "find_spec", lambda name: None if name == "torch" else object())
    with pytest.raises(MissingPrerequisite, match=r"(?s)'torch'.*slipway-ai\[train\]"):
        LoraTuner(LoraTuner.Config()).tune(OneJob(tmp_path / "job", tiny))


# -- killed, and several processes -------------------------------------------------------------------------------------

CHILD = """
import sys; from pathlib import Path; sys.path[:0] = sys.argv[3:]
import test_causal as it
job = it.OneJob(Path(sys.argv[1]), {"tiny.gguf": Path(sys.argv[2])})
told = job.progress
def progress(done, total, /, **numbers):
    print(done, flush=True); told(done, total, **numbers)
job.progress = progress
it.LoraTuner(it.LoraTuner.Config(**it.QUICK, dropout=0.2)).tune(job)
"""


@pytest.mark.slow
def test_killed_in_the_middle_it_ends_with_the_same_file(tmp_path: Path, tiny: Mapping[str, Path]) -> None:
    here = Path(__file__).parent
    command = [sys.executable, "-c", CHILD, str(tmp_path / "job"), str(tiny["tiny.gguf"]), str(here), str(here.parent)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert child.stdout is not None
    for line in child.stdout:
        if int(line) >= 3:
            os.kill(child.pid, signal.SIGKILL)
            break
    assert child.wait() == -signal.SIGKILL
    child.stdout.close()
    assert (tmp_path / "job" / "checkpoint.pt").exists()
    tuner = LoraTuner(LoraTuner.Config(**QUICK, dropout=0.2))
    resumed = tuner.tune(OneJob(tmp_path / "job", tiny))
    assert digests(resumed) == digests(tuner.tune(OneJob(tmp_path / "whole", tiny)))


@pytest.mark.slow
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_two_processes_learn_what_one_learns(tmp_path: Path, tiny: Mapping[str, Path], parallel: str) -> None:
    options = {**QUICK, "clip": 0.05}
    one = LoraTuner(LoraTuner.Config(**options)).tune(OneJob(tmp_path / "one", tiny))
    two = LoraTuner(LoraTuner.Config(**options, processes=2, parallel=parallel)).tune(OneJob(tmp_path / "two", tiny))
    assert two.measured["processes"] == 2
    for name in ("loss", "dev_loss"):
        assert two.measured[name] == pytest.approx(one.measured[name], rel=1e-4)


@pytest.mark.slow
def test_processes_that_fail_say_why(tmp_path: Path, tiny: Mapping[str, Path]) -> None:
    options = {**QUICK, "learning_rate": 1e30, "processes": 2}
    with pytest.raises(SlipwayError, match="not a finite number any more"):
        LoraTuner(LoraTuner.Config(**options)).tune(OneJob(tmp_path / "job", tiny))


class KillingJob(OneJob):
    """Kills the second of the processes that train in its folder after three steps."""

    def progress(self, done: int, total: int | None, /, **numbers: float) -> None:
        super().progress(done, total, **numbers)
        for entry in Path("/proc").glob("[0-9]*") if done == 3 else ():
            with contextlib.suppress(OSError):
                command, environment = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes().split(b"\0")
                if b"causal.worker" in command and str(self.folder).encode() in command and b"RANK=1" in environment:
                    os.kill(int(entry.name), signal.SIGKILL)


@pytest.mark.slow
def test_one_of_two_processes_is_killed_and_the_run_goes_on(tmp_path: Path, tiny: Mapping[str, Path]) -> None:
    """The other ends, too; started again, all ends as if nothing had been."""
    tuner = LoraTuner(LoraTuner.Config(**QUICK, dropout=0.2, processes=2, parallel="fsdp"))
    with pytest.raises(SlipwayError, match=r"(?s)process 1 .* was killed \(signal 9\).*run the same command again"):
        tuner.tune(KillingJob(tmp_path / "job", tiny))
    assert (tmp_path / "job" / "checkpoint.pt").exists()
    resumed = OneJob(tmp_path / "job", tiny)
    whole = OneJob(tmp_path / "whole", tiny)
    assert digests(tuner.tune(resumed)) == digests(tuner.tune(whole))


def test_a_model_is_shared_out_among_several() -> None:
    with pytest.raises(ValueError, match="say processes: 2"):
        LoraTuner.Config(parallel="fsdp")


@pytest.mark.slow
def test_layers_that_are_computed_twice_and_packed_rows_learn_the_same_way(
    tmp_path: Path, tiny: Mapping[str, Path]
) -> None:
    options = {**QUICK, "epochs": 1, "parity_examples": 0}
    found = {
        name: LoraTuner(LoraTuner.Config(**options, **more)).tune(OneJob(tmp_path / name, tiny)).measured
        for name, more in {"plain": {}, "twice": {"checkpointing": True}, "packed": {"packing": True}}.items()
    }
    assert found["twice"]["dev_loss"] == pytest.approx(found["plain"]["dev_loss"], rel=1e-4)
    assert found["packed"]["steps"] < found["plain"]["steps"]
