"""The options of `tune: lora` and `tune: full`. Imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from slipway.builtin.training.options import CausalTraining, Rank
from slipway.i18n import t

Target = Literal["q", "k", "v", "o", "gate", "up", "down"]
TARGETS: tuple[Target, ...] = ("q", "k", "v", "o", "gate", "up", "down")


class CausalOptions(CausalTraining):
    """What both recipes take.

    `packing`: several examples in one row, each blind to the others. `checkpointing`: computes a layer twice instead of
    keeping it; less memory. `processes`: how many train together on this machine. `parallel`: `ddp`, each holds the
    whole model; `fsdp`, each holds its part of the weights, of the gradients and of the optimiser's state.
    `file_type`: of a merged model.
    """

    packing: bool = False
    checkpointing: bool = False
    processes: int = Field(default=1, ge=1, le=64)
    parallel: Literal["ddp", "fsdp"] = "ddp"
    file_type: Literal["q8_0", "f16"] = "q8_0"

    @model_validator(mode="after")
    def _among(self) -> CausalOptions:
        if self.parallel == "fsdp" and self.processes == 1:
            raise ValueError(t("parallel: fsdp shares a model out among processes: say processes: 2, or more"))
        return self


class LoraOptions(Rank, CausalOptions):
    """`targets`: matrices of each layer. `merge`: the base with the adapter in it, as a model of its own, instead of an
    adapter beside the base.
    """

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
