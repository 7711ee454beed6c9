"""`tune: bilstm`: LSTM cells that read words and Chinese characters in both directions, trained from scratch."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from slipway.builtin.networks.scratch import ScratchConfig, ScratchTuner


class BiLstmConfig(ScratchConfig):
    """`hidden`: cells of each direction."""

    hidden: int = Field(default=128, ge=1, le=2048)


class BiLstmTuner(ScratchTuner[BiLstmConfig]):
    """Needs no model. The pooling is that of Conneau et al. 2017."""

    Config: ClassVar[type[BiLstmConfig]] = BiLstmConfig
    graph: ClassVar[str] = "bilstm"

    def module(self, known: int, labels: int) -> Any:
        """The network."""
        from slipway.builtin.networks.modules import BiLstm

        of = self.config
        return BiLstm(known, labels, of.size, of.hidden, of.dropout, of.forget)
