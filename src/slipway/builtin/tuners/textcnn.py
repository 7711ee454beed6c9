"""`tune: textcnn`: a small convolutional network over words and Chinese characters, trained from scratch (Kim 2014)."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from slipway.builtin.networks.scratch import ScratchTuner
from slipway.builtin.networks.tuner import NetworkConfig


class TextCnnConfig(NetworkConfig):
    """`size`: numbers of a word's vector. `filters`: of each width. `widths`: neighbouring words that a filter sees."""

    size: int = Field(default=128, ge=2, le=1024)
    filters: int = Field(default=128, ge=1, le=2048)
    widths: tuple[int, ...] = Field(default=(1, 2, 3), min_length=1, max_length=8)
    forget: float = Field(default=0.05, ge=0, lt=1)  # share of words that are taken for unknown ones in training


class TextCnnTuner(ScratchTuner[TextCnnConfig]):
    """Needs no model."""

    Config: ClassVar[type[TextCnnConfig]] = TextCnnConfig
    graph: ClassVar[str] = "textcnn"

    def module(self, known: int, labels: int) -> Any:
        """The network."""
        from slipway.builtin.networks.modules import TextCnn

        of = self.config
        return TextCnn(known, labels, of.size, of.filters, of.widths, of.dropout, of.forget)
