"""`tune: bilstm`: LSTM cells that read words and Chinese characters in both directions, trained from scratch."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from slipway.builtin.networks.scratch import ScratchTuner
from slipway.builtin.networks.tuner import NetworkConfig


class BiLstmConfig(NetworkConfig):
    """`size`: numbers of a word's vector. `hidden`: cells of each direction."""

    size: int = Field(default=128, ge=2, le=1024)
    hidden: int = Field(default=128, ge=1, le=2048)
    forget: float = Field(default=0.05, ge=0, lt=1)  # share of words that are taken for unknown ones in training


class BiLstmTuner(ScratchTuner[BiLstmConfig]):
    """Needs no model. The pooling is that of Conneau et al. 2017."""

    Config: ClassVar[type[BiLstmConfig]] = BiLstmConfig
    graph: ClassVar[str] = "bilstm"

    def module(self, known: int, labels: int) -> Any:
        """The network."""
        from slipway.builtin.networks.modules import BiLstm

        of = self.config
        return BiLstm(known, labels, of.size, of.hidden, of.dropout, of.forget)
