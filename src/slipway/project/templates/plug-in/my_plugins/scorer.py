"""A metric: whether the label is the right one."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from slipway.core.answer import Answer
from slipway.core.material import Example


class LabelMatchConfig(BaseModel):
    """`partial`: what a wrong label is worth."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    partial: float = 0.0


class LabelMatch:
    """1 for a label that the example expects; nothing for an example that expects none."""

    Config: ClassVar[type[LabelMatchConfig]] = LabelMatchConfig
    higher_is_better: ClassVar[bool] = True

    def __init__(self, config: LabelMatchConfig) -> None:
        self.config = config

    def score(self, example: Example, answer: Answer) -> float | None:
        """In [0, 1], or None where the metric does not apply to the example."""
        if not example.expected:
            return None
        return 1.0 if (answer.label or answer.text) in example.expected else self.config.partial
