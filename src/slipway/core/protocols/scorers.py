"""Scorers: what a metric makes of an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from slipway.core.answer import Answer
from slipway.core.material import Example

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Scorer(Protocol):
    """One metric of one answer. Made as `Scorer(config)`; offline evaluation and online monitoring share it."""

    Config: ClassVar[type[Any]]
    higher_is_better: ClassVar[bool]  # which direction the gate takes for better

    def score(self, example: Example, answer: Answer) -> float | None:
        """The metric for this example, or None when it does not apply (no reference, nothing retrieved, ...)."""
        ...


@runtime_checkable
class Compares(Scorer, Protocol):
    """A scorer that compares meanings. It loads no model: before it scores, it is given the vectors of its texts."""

    @property
    def embedder(self) -> str:
        """Name of the project's model that embeds; empty: the only one that its candidates retrieve with."""
        ...

    def texts(self, example: Example, answer: Answer) -> Sequence[str]:
        """What has to be embedded to score this answer."""
        ...

    def learn(self, vectors: Mapping[str, NDArray[np.float32]]) -> None:
        """Unit vectors by text, [dimension]; a text that the encoder cannot read has none."""
        ...
