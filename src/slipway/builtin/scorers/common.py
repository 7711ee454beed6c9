"""What scorers of text have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from slipway.core.answer import Answer
from slipway.core.material import Example


class Options(BaseModel):
    """Unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Plain(Options):
    """No options."""


ConfigT = TypeVar("ConfigT", bound=BaseModel)


class Configured(Generic[ConfigT]):
    """A scorer of which more is better. `config`: its options; without them, the defaults of its `Config`."""

    Config: ClassVar[type[Any]]
    higher_is_better: ClassVar[bool] = True

    def __init__(self, config: ConfigT | None = None) -> None:
        self.config: ConfigT = self.Config() if config is None else config


class WithoutOptions(Configured[Plain]):
    """A scorer that has none."""

    Config: ClassVar[type[Plain]] = Plain


def best(example: Example, answer: Answer, measure: Callable[[str, str], float]) -> float | None:
    """The best of `measure(reference, text)` over the references; None without references, 0 for an error."""
    if not example.expected:
        return None
    if answer.error:
        return 0.0
    return max(measure(reference, answer.text) for reference in example.expected)
