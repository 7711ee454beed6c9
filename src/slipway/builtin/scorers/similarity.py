"""Whether an answer means what a reference means, by a sentence encoder. Loads no model: it is given the vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from slipway.builtin.scorers.common import Configured, Options
from slipway.core.answer import Answer
from slipway.core.material import Example

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class SimilarityConfig(Options):
    """`embedder`: a model of the project; without it, the only one that its candidates retrieve with.

    `threshold`: 1 from this cosine on, else 0; without it, the cosine itself.
    """

    embedder: str = ""
    threshold: float | None = Field(default=None, gt=0, le=1)


class SemanticSimilarity(Configured[SimilarityConfig]):
    """Cosine of the answer with the nearest reference, 0 where it is negative (Reimers and Gurevych 2019).

    An encoder hears what a text is about, not whether it is denied, and takes one number for another.
    """

    Config: ClassVar[type[SimilarityConfig]] = SimilarityConfig

    def __init__(self, config: SimilarityConfig | None = None) -> None:
        super().__init__(config)
        self._vectors: dict[str, NDArray[np.float32]] = {}

    @property
    def embedder(self) -> str:
        """The model whose vectors it compares; empty: the project's only one."""
        return self.config.embedder

    def texts(self, example: Example, answer: Answer) -> Sequence[str]:
        """What has to be embedded."""
        return [text for text in (answer.text, *example.expected) if text.strip()]

    def learn(self, vectors: Mapping[str, NDArray[np.float32]]) -> None:
        """Unit vectors by text, [dimension]; what the encoder cannot read has none."""
        self._vectors.update(vectors)

    def score(self, example: Example, answer: Answer) -> float | None:
        """In [0, 1]; None where there is no reference that the encoder can read, 0 for an answer that it cannot."""
        references = [self._vectors[text] for text in example.expected if text in self._vectors]
        if not references:
            return None
        said = self._vectors.get(answer.text)
        if answer.error or said is None:
            return 0.0
        cosine = min(1.0, max(0.0, *(float(said @ one) for one in references)))
        threshold = self.config.threshold
        return cosine if threshold is None else float(cosine >= threshold)
