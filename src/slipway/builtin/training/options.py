"""The options that trained recipes have in common. Imports no torch: a project file is checked without it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from slipway.builtin.training.packages import present
from slipway.machine import usable_cores


class TrainOptions(BaseModel):
    """Options of the loop; a recipe adds its own and may set other defaults.

    `accumulate`: batches whose gradients are added up before a step. `warmup`: share of the steps in which the learning
    rate rises. `patience`: evaluations on dev without gain after which it stops, 0 for never. `evaluate_every`: steps
    between evaluations, None for once an epoch. `max_steps`: at most so many steps, None for all epochs.
    `checkpoint_seconds`: how often a checkpoint is written, 0 for after each step. `seed`: added to the job's.
    `threads`: None for every usable core; in another order sums are other sums, so it belongs to the recipe.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    learning_rate: float = Field(default=1e-3, gt=0, allow_inf_nan=False)
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    warmup: float = Field(default=0.05, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0, le=1)
    clip: float = Field(default=1.0, gt=0)
    epochs: int = Field(default=3, ge=1, le=10_000)
    max_steps: int | None = Field(default=None, ge=1)
    batch_size: int = Field(default=8, ge=1, le=65_536)
    accumulate: int = Field(default=1, ge=1, le=65_536)
    patience: int = Field(default=2, ge=0, le=10_000)
    evaluate_every: int | None = Field(default=None, ge=1)
    checkpoint_seconds: float = Field(default=60.0, ge=0)
    seed: int = Field(default=0, ge=0, le=2**31)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    threads: int | None = Field(default=None, ge=1, le=1024)


class CausalTraining(TrainOptions):
    """Of what trains a language model, and compares what will be served with what was trained.

    `max_tokens`: an example with more, prompt and answer together, is left out and counted. `parity`: the share of
    examples that the served artifact must answer as the trained model does; of `parity_examples` of dev, the first
    `parity_tokens` tokens. `parity_margin`: where the trained model itself prefers one token to another by less, in
    nats, either is right.
    """

    max_tokens: int = Field(default=1024, ge=8, le=1_048_576)
    parity: float = Field(default=0.98, ge=0, le=1)
    parity_examples: int = Field(default=50, ge=0, le=100_000)
    parity_tokens: int = Field(default=16, ge=1, le=4096)
    parity_margin: float = Field(default=0.5, ge=0, le=10)


class Rank(BaseModel):
    """LoRA (Hu et al. 2021): W + alpha / r B A, where W stays as it is."""

    r: int = Field(default=8, ge=1, le=1024)
    alpha: float = Field(default=16.0, gt=0, le=1e6)


class EncoderTraining(TrainOptions):
    """Of what trains a network that reads texts. `max_tokens`: so much of a text is read in training."""

    warmup: float = Field(default=0.1, ge=0, lt=1)
    weight_decay: float = Field(default=0.01, ge=0, le=1)
    max_tokens: int = Field(default=128, ge=8, le=8192)
    dropout: float = Field(default=0.1, ge=0, lt=1)


def settled(options: TrainOptions) -> dict[str, str | int]:
    """What this machine makes of the options that are left to it: part of the key of a step that trains.

    Imports torch only where it is needed to tell whether there is a GPU.
    """
    device, dtype = options.device, options.dtype
    if device == "auto" or (device == "cuda" and dtype == "auto"):
        device, able = _gpu()
        dtype = dtype if dtype != "auto" else "bfloat16" if able else "float32"
    elif dtype == "auto":
        dtype = "float32"  # 50 times faster than bfloat16 on processors without instructions for it
    return {"device": device, "dtype": dtype, "threads": options.threads or usable_cores()}


def _gpu() -> tuple[Literal["cpu", "cuda"], bool]:
    """(the device there is, whether it computes in bfloat16)."""
    if not present("torch"):
        return "cpu", False
    import torch

    if not torch.cuda.is_available():
        return "cpu", False
    return "cuda", torch.cuda.is_bf16_supported(including_emulation=False)
