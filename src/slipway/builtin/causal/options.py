"""The options of `tune: lora` and `tune: full`. Imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from slipway.builtin.training.options import TrainOptions
from slipway.i18n import t

Target = Literal["q", "k", "v", "o", "gate", "up", "down"]
TARGETS: tuple[Target, ...] = ("q", "k", "v", "o", "gate", "up", "down")


class CausalOptions(TrainOptions):
    """What both recipes take.

    `max_tokens`: an example with more, prompt and answer together, is left out and counted. `packing`: several examples
    in one row, each blind to the others. `checkpointing`: computes a layer twice instead of keeping it; less memory.
    `processes`: how many train together on this machine. `file_type`: of a merged model. `parity`: the share of
    examples that the served artifact must answer as the trained model does; of `parity_examples` of dev, the first
    `parity_tokens` tokens. `parity_margin`: where the trained model itself prefers one token to another by less, in
    nats, either is right.
    """

    max_tokens: int = Field(default=1024, ge=8, le=1_048_576)
    packing: bool = False
    checkpointing: bool = False
    processes: int = Field(default=1, ge=1, le=64)
    file_type: Literal["q8_0", "f16"] = "q8_0"
    parity: float = Field(default=0.98, ge=0, le=1)
    parity_examples: int = Field(default=50, ge=0, le=100_000)
    parity_tokens: int = Field(default=16, ge=1, le=4096)
    parity_margin: float = Field(default=0.5, ge=0, le=10)


class LoraOptions(CausalOptions):
    """LoRA (Hu et al. 2021): W + alpha / r B A, where W stays as it is. `targets`: matrices of each layer. `merge`: the
    base with the adapter in it, as a model of its own, instead of an adapter beside the base.
    """

    r: int = Field(default=8, ge=1, le=1024)
    alpha: float = Field(default=16.0, gt=0, le=1e6)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: tuple[Target, ...] = TARGETS
    merge: bool = False

    @field_validator("targets")
    @classmethod
    def _some(cls, value: tuple[Target, ...]) -> tuple[Target, ...]:
        if not value or len(set(value)) < len(value):
            raise ValueError(t("name some matrices, each once: {names}", names=", ".join(TARGETS)))
        return value


class FullOptions(CausalOptions):
    """Every weight is trained: four times the memory of the model in float32, and a file as large as the base."""

    learning_rate: float = Field(default=2e-5, gt=0, allow_inf_nan=False)
