"""Adapters from teachers, preferences and rewards: on a tiny model made here, with the real torch, trl and engine."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

pytest.importorskip("trl", reason="needs the extra train: pip install 'slipway-ai[train]'")

import torch

from slipway.builtin.preferring import room
from slipway.builtin.preferring.distilling import distillation_loss
from slipway.builtin.tuners.distill import DistillTuner
from slipway.builtin.tuners.preferences import DpoTuner, KtoTuner
from slipway.builtin.tuners.reward import RewardTuner
from slipway.builtin.tuners.rewards import GrpoTuner, RlooTuner
from slipway.core.candidate import ModelPin
from slipway.errors import ConfigError, SlipwayError
from slipway.testing.tuners import PREFERENCES, THUMBS, Job, TunerContract
from tiny_llama import write_llama

QUICK = {"context": 256, "parallel": 1, "measure": False, "second_child": False, "cache_mb": 0, "threads": 1}
WRITER = ModelPin(name="writer", engine="llama", source="", files={"tiny.gguf": "0" * 64}, options=QUICK)
SHORT: dict[str, Any] = {"max_steps": 4, "save_steps": 1, "batch_size": 4, "learning_rate": 1e-3, "threads": 1}


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


class TestDistill(TunerContract):
    base = WRITER

    @pytest.fixture
    def files(self, tiny: Path) -> Mapping[str, Path]:
        return {"tiny.gguf": tiny}

    def make_tuner(self) -> Any:
        return distiller(by="logits")


def distiller(**options: Any) -> DistillTuner:
    short = {"max_steps": 4, "batch_size": 4, "threads": 1, "checkpoint_seconds": 0, "teacher": "writer"}
    return DistillTuner(DistillTuner.Config(**{**short, **options}))


@pytest.mark.slow
class TestDpo(TunerContract):
    base = WRITER

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
