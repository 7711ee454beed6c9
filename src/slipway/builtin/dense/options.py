"""The options of `tune: keras`. Imports no Keras."""

from __future__ import annotations

from pydantic import Field, field_validator

from slipway.builtin.classifiers.preparing import AbstainConfig
from slipway.i18n import t

MOST_UNITS = 4096


class DenseOptions(AbstainConfig):
    """`units`: of each hidden layer; none is a regression. `features`: so many of the counted words and runs of
    characters are read, the most frequent ones; `ngrams: false` reads the vectors of the candidate's model only.
    `patience`: epochs without a smaller loss on dev after which it stops, 0 for never; after `reduce_patience` of them
    the learning rate is multiplied with `reduce_factor`. `label_smoothing`: see `encoder`. `threads`: None for every
    usable core. `disagreement`: the share of up to 300 examples for which the LiteRT file may give another label than
    Keras.
    """

    units: tuple[int, ...] = Field(default=(256,), max_length=8)
    ngrams: bool = True
    features: int = Field(default=4096, ge=16, le=65_536)
    dropout: float = Field(default=0.5, ge=0, lt=1)
    batch_norm: bool = True
    weight_decay: float = Field(default=0.01, ge=0, le=1)
    epochs: int = Field(default=40, ge=1, le=10_000)
    batch_size: int = Field(default=32, ge=1, le=65_536)
    seed: int = Field(default=0, ge=0, le=2**31)
    learning_rate: float = Field(default=2e-3, gt=0, le=10, allow_inf_nan=False)
    patience: int = Field(default=6, ge=0, le=10_000)
    reduce_patience: int = Field(default=2, ge=1, le=10_000)
    reduce_factor: float = Field(default=0.5, gt=0, lt=1)
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    threads: int | None = Field(default=None, ge=1, le=1024)
    disagreement: float = Field(default=0.0, ge=0, le=1)

    @field_validator("units")
    @classmethod
    def _sizes(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(not 1 <= one <= MOST_UNITS for one in value):
            raise ValueError(t("a layer has 1 to {n} units", n=MOST_UNITS))
        return value
