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
