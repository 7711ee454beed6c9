"""What scorers of text have in common."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import BaseModel, ConfigDict

from slipway.core.answer import Answer
from slipway.core.material import Example


class Options(BaseModel):
    """Unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Plain(Options):
    """No options."""


def best(example: Example, answer: Answer, measure: Callable[[str, str], float]) -> float | None:
    """The best of `measure(reference, text)` over the references; None without references, 0 for an error."""
    if not example.expected:
        return None
    if answer.error:
        return 0.0
    return max(measure(reference, answer.text) for reference in example.expected)
