"""How a tuner is made that writes a model in less room; a killed run begins again: it takes seconds."""

from __future__ import annotations

from typing import ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict


class CompressConfig(BaseModel):
    """`measure`: compare with the parent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    measure: bool = True


ConfigT = TypeVar("ConfigT", bound=CompressConfig)


class CompressTuner(Generic[ConfigT]):
    """Reads train, for texts to calibrate with and to compare on; makes what its parent is."""

    reads: ClassVar[tuple[Literal["train", "dev"], ...]] = ("train",)
    makes: ClassVar[tuple[str, ...]] = ("model", "embedder")

    def __init__(self, config: ConfigT) -> None:
        self.config = config
