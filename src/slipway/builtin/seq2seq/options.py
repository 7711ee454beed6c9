"""The options of `tune: seq2seq`. Imports no torch."""

from __future__ import annotations

from pydantic import Field, model_validator

from slipway.builtin.training.options import CausalTraining
from slipway.i18n import t

SIZES = ("width", "layers", "heads", "vocabulary")  # of a small one that is made from nothing


class Seq2SeqOptions(CausalTraining):
    """`dropout`: None for what the base's configuration says. `width`, `layers` (on either side), `heads` and
    `vocabulary` (tokens, at most) are those of the model that is made where the candidate names none.
    """

    learning_rate: float = Field(default=1e-3, gt=0, allow_inf_nan=False)
    warmup: float = Field(default=0.1, ge=0, lt=1)
    epochs: int = Field(default=10, ge=1, le=10_000)
    batch_size: int = Field(default=16, ge=1, le=65_536)
    parity: float = Field(default=1.0, ge=0, le=1)  # both compute in float32, so nothing but a tie may differ
    parity_margin: float = Field(default=0.02, ge=0, le=10)
    width: int = Field(default=128, ge=16, le=2048)
    layers: int = Field(default=2, ge=1, le=48)
    heads: int = Field(default=4, ge=1, le=64)
    vocabulary: int = Field(default=4000, ge=300, le=64_000)
    dropout: float | None = Field(default=None, ge=0, lt=1)

    @model_validator(mode="after")
    def _divided(self) -> Seq2SeqOptions:
        if self.width % self.heads:
            raise ValueError(t("width must be a multiple of heads"))
        return self
