"""Adapters from teachers, preferences and rewards: on a tiny model made here, with the real torch, trl and engine."""

# ruff: noqa: E402 -- what needs torch is imported once it is known to be there

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train: pip install 'slipway-ai[train]'")
if find_spec("trl") is None:
    pytest.skip("needs the extra train: pip install 'slipway-ai[train]'", allow_module_level=True)

from slipway.builtin.causal import base
from slipway.builtin.preferring.distilling import distillation_loss
from slipway.builtin.tuners.distill import DistillTuner
from slipway.builtin.tuners.preferences import DpoTuner, KtoTuner
from slipway.builtin.tuners.reward import RewardTuner
from slipway.builtin.tuners.rewards import GrpoTuner, RlooTuner
from slipway.core.candidate import ModelPin
from slipway.errors import ConfigError, SlipwayError
from slipway.testing.tuners import PREFERENCES, THUMBS, Job, Stopped, TunerContract
from tiny_llama import write_llama

QUICK = {"context": 256, "parallel": 1, "measure": False, "second_child": False, "cache_mb": 0, "threads": 1}
WRITER = ModelPin(name="writer", engine="llama", source="", files={"tiny.gguf": "0" * 64}, options=QUICK)
SHORT: dict[str, Any] = {
    "max_steps": 4, "save_steps": 1, "batch_size": 4, "learning_rate": 1e-3, "threads": 1, "parity_examples": 4,
    "parity_tokens": 4,
}  # fmt: skip


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return speaking(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


def speaking(path: Path, seed: int = 0, **more: Any) -> Path:
    """A tiny model that writes letters: what it says is text, and can be compared."""
    rows = np.random.default_rng(seed).normal(0, 0.02, (261, 64))
    rows[3:][[ord(letter) for letter in "abcdefghijklmnopqrstuvwxyz 0123456789"]] *= 20
    return write_llama(path, seed, token_embd__weight=rows, **more)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_no_bar_of_a_library_is_drawn(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """tqdm reads the variable that silences it once, when anything imports it."""
    import tqdm.auto  # noqa: F401

    base.load(tiny)
    assert capsys.readouterr().err == ""


@pytest.mark.slow
class TestDistill(TunerContract):
    base = WRITER

    @pytest.fixture
    def files(self, tiny: Path) -> Mapping[str, Path]:
        return {"tiny.gguf": tiny}

    def make_tuner(self) -> Any:
        return distiller(by="logits")


def distiller(**options: Any) -> DistillTuner:
    short = {
        "max_steps": 4,
        "batch_size": 4,
        "threads": 1,
        "checkpoint_seconds": 0,
        "teacher": "writer",
        "parity_examples": 4,
    }
    return DistillTuner(DistillTuner.Config(**{**short, **options}))


@pytest.mark.slow
class TestDpo(TunerContract):
    base = WRITER
    test_the_same_job_makes_the_same = None  # the test that stops in the middle makes it twice, too

    @pytest.fixture
    def files(self, tiny: Path) -> Mapping[str, Path]:
        return {"tiny.gguf": tiny}

    def make_tuner(self) -> Any:
        return DpoTuner(DpoTuner.Config(**SHORT))


@pytest.mark.slow
class TestKto(TestDpo):
    def make_tuner(self) -> Any:
        return KtoTuner(KtoTuner.Config(**SHORT))


@pytest.mark.slow
class TestGrpo(TestDpo):
    def make_tuner(self) -> Any:
        return GrpoTuner(GrpoTuner.Config(**{**SHORT, "max_steps": 3, "answer_tokens": 8}))


@pytest.mark.slow
class TestRloo(TestDpo):
    def make_tuner(self) -> Any:
        return RlooTuner(RlooTuner.Config(**{**SHORT, "max_steps": 3, "answer_tokens": 8}))


@pytest.mark.slow
class TestReward(TestDpo):
    def make_tuner(self) -> Any:
        return RewardTuner(RewardTuner.Config(**{**SHORT, "max_steps": 2, "judge_steps": 3, "answer_tokens": 8}))


# -- the loss of distillation ------------------------------------------------------------------------------------------


def by_hand(student: Sequence[float], teacher: Sequence[float], label: int, temperature: float, weight: float) -> float:
    """The formula of Hinton et al. 2015 for one token, with nothing but math."""

    def shares(logits: Sequence[float], at: float) -> list[float]:
        raised = [math.exp(one / at) for one in logits]
        return [one / sum(raised) for one in raised]

    p, q = shares(teacher, temperature), shares(student, temperature)
    divergence = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    return weight * temperature**2 * divergence - (1 - weight) * math.log(shares(student, 1.0)[label])


@pytest.mark.parametrize(("temperature", "weight"), [(1.0, 1.0), (2.0, 0.5), (5.0, 0.9), (0.5, 0.0)])
def test_distillation_is_the_formula(temperature: float, weight: float) -> None:
    student, teacher = [[1.0, -2.0, 0.5, 0.0], [0.0, 0.0, 3.0, -1.0]], [[2.0, 0.0, 0.0, -1.0], [1.0, 1.0, 1.0, 4.0]]
    labels = [2, 0]
    wanted = sum(by_hand(s, t, n, temperature, weight) for s, t, n in zip(student, teacher, labels, strict=True))
    found = distillation_loss(torch.tensor(student), torch.tensor(teacher), torch.tensor(labels), temperature, weight)
    assert float(found) == pytest.approx(wanted, rel=1e-5)


def test_a_student_that_is_its_teacher_has_nothing_to_learn() -> None:
    logits = torch.randn(3, 7, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = distillation_loss(logits, logits.detach().clone(), torch.tensor([0, 1, 2]), 3.0, 1.0)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0.0, abs=1e-5)
    assert logits.grad is not None
    assert float(logits.grad.abs().max()) < 1e-5


def test_temperature_leaves_the_size_of_gradients_alone() -> None:
    """What the factor T^2 is for: without it they would be 25 times smaller at 5 than at 1, for small logits."""
    sizes = []
    for temperature in (1.0, 5.0):
        student = torch.full((1, 4), 0.0, requires_grad=True)
        teacher = torch.tensor([[0.04, 0.0, -0.02, 0.01]])
        distillation_loss(student, teacher, torch.tensor([0]), temperature, 1.0).backward()
        assert student.grad is not None
        sizes.append(float(student.grad.norm()))
    assert sizes[0] == pytest.approx(sizes[1], rel=0.05)


# -- what cannot be learned from ---------------------------------------------------------------------------------------


class Given(Job):
    """With these preferences and thumbs, and a teacher of its own."""

    def __init__(
        self, folder: Path, files: Mapping[str, Path], teacher: Mapping[str, Path] | None = None, **rows: Any
    ) -> None:
        super().__init__(folder, ("train", "dev", "preferences", "thumbs", "scores"), rows.pop("base", WRITER), files)
        self.rows, self.teacher = rows, teacher

    def preferences(self) -> Any:
        return self.rows.get("preferences", PREFERENCES)

    def thumbs(self) -> Any:
        return self.rows.get("thumbs", THUMBS)

    def model(self, name: str) -> Any:
        return WRITER, self.files if self.teacher is None else self.teacher

    def answers(self, model: str, examples: Sequence[Any]) -> Any:
        return self.rows.get("answers", super().answers)(model, examples)


UP, DOWN = (tuple(one for one in THUMBS if one.label is label) for label in (True, False))


@pytest.mark.parametrize(
    ("tuner", "rows", "said"),
    [
        (DpoTuner, {"preferences": ()}, "there are no pairs of preferences"),
        (KtoTuner, {"thumbs": ()}, "there are no thumbs"),
        (KtoTuner, {"thumbs": UP}, f"all {len(UP)} thumbs are up"),
        (KtoTuner, {"thumbs": DOWN}, f"all {len(DOWN)} thumbs are down"),
        (RewardTuner, {"preferences": PREFERENCES[:4]}, "there are 4 pairs of preferences; a reward model needs 5"),
    ],
)
def test_too_little_to_learn_from(tmp_path: Path, tuner: Any, rows: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        tuner(tuner.Config()).tune(Given(tmp_path / "job", {}, **rows))
    assert caught.value.hint


def test_teachers_that_cannot_teach(tmp_path: Path, tiny: Path) -> None:
    other = write_llama(tmp_path / "other.gguf", merged=("t h", "e r"))
    files = {"tiny.gguf": tiny}
    with pytest.raises(ConfigError, match="has other tokens than the student") as caught:
        distiller(by="logits").tune(Given(tmp_path / "a", files, {"other.gguf": other}))
    assert "sequences" in caught.value.hint
    with pytest.raises(ConfigError, match="is not one GGUF file, which a teacher of logits must be"):
        distiller(by="logits").tune(Given(tmp_path / "b", files, {}))
    silent = Given(tmp_path / "c", files, answers=lambda model, examples: [""] * len(examples))
    with pytest.raises(ConfigError, match="the teacher answered no example"):
        distiller().tune(silent)


def some_answered(every: int) -> Any:
    """A teacher that answers each example but every so-manieth."""
    return lambda model, examples: ["" if n % every == 0 else f"ship {n}" for n in range(len(examples))]


def test_a_teacher_that_leaves_too_much_out_is_refused_with_the_counts(tmp_path: Path, tiny: Path) -> None:
    files = {"tiny.gguf": tiny}
    job = Given(tmp_path / "a", files, answers=some_answered(4))
    with pytest.raises(
        ConfigError, match=r"of 20 examples of train the teacher 'writer' left 5 without.*share of 0\.2"
    ):
        distiller().tune(job)
    with pytest.raises(ConfigError, match="answered no example of train that is short enough"):
        distiller(max_tokens=8).tune(job)


@pytest.mark.slow
def test_what_the_teacher_left_out_is_counted(tmp_path: Path, tiny: Path) -> None:
    job = Given(tmp_path / "a", {"tiny.gguf": tiny}, answers=some_answered(4))
    found = distiller(left_out=0.25).tune(job).measured
    assert (found["examples"], found["dev_examples"]) == (15, 15)
    assert (found["left_out_without_answer"], found["left_out_too_long"]) == (10, 0)
    found = distiller(by="logits").tune(Given(tmp_path / "b", {"tiny.gguf": tiny}, {"t.gguf": tiny})).measured
    assert found["left_out_without_reference"] == 0


def test_bases_that_cannot_learn(tmp_path: Path, tiny: Path) -> None:
    openvino = ModelPin(name="writer", engine="openvino", source="")
    for tuner in (DpoTuner(DpoTuner.Config()), distiller()):
        with pytest.raises(ConfigError, match="the engine 'openvino' loads no adapters"):
            tuner.tune(Given(tmp_path / "job", {"tiny.gguf": tiny}, base=openvino))


def test_groups_of_answers_are_whole() -> None:
    for tuner in (GrpoTuner, RlooTuner, RewardTuner):
        with pytest.raises(ValueError, match="must be a multiple of answers"):
            tuner.Config(batch_size=6, answers=4)
        assert tuner.Config(batch_size=2, accumulate=2, answers=4).answers == 4


# -- what is learned ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_pairs_are_learned_and_the_adapter_is_served(tmp_path: Path, tiny: Path) -> None:
    """After training the chosen texts are likelier than the rejected ones, which they were not before."""
    tuner = DpoTuner(DpoTuner.Config(**{**SHORT, "max_steps": 20, "learning_rate": 5e-3}))
    made = tuner.tune(Given(tmp_path / "job", {"tiny.gguf": tiny}))
    assert made.kind == "adapter"
    assert made.measured["loss"] < math.log(2) - 0.1, "log 2 is what a model without an opinion has"
    assert made.measured["reward_margins"] > 0.1
    assert made.measured["parity"] >= 0.98
    assert not (tmp_path / "job" / "trainer").exists()


@pytest.mark.slow
def test_a_stopped_trainer_goes_on_from_its_checkpoint(tmp_path: Path, tiny: Path) -> None:
    tuner = DpoTuner(DpoTuner.Config(**SHORT))
    with pytest.raises(Stopped):
        tuner.tune(Job(tmp_path / "job", ("preferences",), WRITER, {"tiny.gguf": tiny}, stop_after=3))
    again = Job(tmp_path / "job", ("preferences",), WRITER, {"tiny.gguf": tiny})
    tuner.tune(again)
    assert again.told[0][0] >= 3, "steps that were done are not done again"


@pytest.mark.slow
def test_distillation_brings_the_student_nearer(tmp_path: Path, tiny: Path) -> None:
    teacher = speaking(tmp_path / "teacher.gguf", seed=5)
    losses = []
    for steps in (1, 30):
        job = Given(tmp_path / f"{steps}", {"tiny.gguf": tiny}, {"teacher.gguf": teacher})
        made = distiller(by="logits", weight=1.0, max_steps=steps, learning_rate=2e-2, patience=0).tune(job)
        losses.append(made.measured["dev_loss"])
    assert losses[1] < 0.8 * losses[0]


@pytest.mark.slow
def test_rewards_are_learned(tmp_path: Path, tiny: Path) -> None:
    class Likes(Given):
        def score(self, example: Any, text: str, metric: str = "") -> float:
            return sum(letter in "abcdefghijklm" for letter in text) / max(1, len(text))

    options = {
        **SHORT,
        "max_steps": 25,
        "batch_size": 8,
        "learning_rate": 2e-2,
        "answer_tokens": 8,
        "parity_examples": 4,
        "temperature": 3.0,
    }
    job = Likes(tmp_path / "job", {"tiny.gguf": tiny})
    curve: list[float] = []
    tell = job.progress
    job.progress = lambda done, total, /, **n: (curve.append(n["reward"]), tell(done, total))[-1]  # type: ignore[method-assign]
    GrpoTuner(GrpoTuner.Config(**options)).tune(job)
    assert np.mean(curve[-5:]) > np.mean(curve[:5]) + 0.05


@pytest.mark.slow
def test_numbers_that_are_none_end_the_training_with_advice(tmp_path: Path) -> None:
    """Of a base whose weights are finite, so large that what comes of them is not; and of one that is damaged."""
    huge = speaking(tmp_path / "huge.gguf", blk__0__ffn_down__weight=np.full((64, 128), 3e38))
    with pytest.raises(SlipwayError, match="not a finite number") as caught:
        DpoTuner(DpoTuner.Config(**SHORT)).tune(Given(tmp_path / "huge", {"huge.gguf": huge}))
    assert "learning_rate" in caught.value.hint
    broken = speaking(tmp_path / "broken.gguf", blk__0__ffn_down__weight=np.full((64, 128), np.nan))
    with pytest.raises(SlipwayError, match="damaged") as caught:
        DpoTuner(DpoTuner.Config(**SHORT)).tune(Given(tmp_path / "broken", {"broken.gguf": broken}))
    assert "fetch the model again" in caught.value.hint
