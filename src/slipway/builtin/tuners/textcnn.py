"""`tune: textcnn`: a small convolutional network over words and Chinese characters, trained from scratch (Kim 2014)."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from slipway.builtin.networks.scratch import ScratchConfig, ScratchTuner


class TextCnnConfig(ScratchConfig):
    """`filters`: of each width. `widths`: neighbouring words that a filter sees."""

    filters: int = Field(default=128, ge=1, le=2048)
    widths: tuple[int, ...] = Field(default=(1, 2, 3), min_length=1, max_length=8)


class TextCnnTuner(ScratchTuner[TextCnnConfig]):
    """Needs no model."""

    Config: ClassVar[type[TextCnnConfig]] = TextCnnConfig
    graph: ClassVar[str] = "textcnn"

    def module(self, known: int, labels: int) -> Any:
        """The network."""
        from slipway.builtin.networks.modules import TextCnn

        of = self.config
        return TextCnn(known, labels, of.size, of.filters, of.widths, of.dropout, of.forget)
