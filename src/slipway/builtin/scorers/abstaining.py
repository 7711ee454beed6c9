"""How often a candidate answers, and how often it is wrong where it does. It chose to abstain, not to fail."""

from __future__ import annotations

from slipway.builtin.scorers.common import WithoutOptions
from slipway.builtin.scorers.overlap import Accuracy
from slipway.core.answer import Answer
from slipway.core.material import Example


class Coverage(WithoutOptions):
    """1 when there is an answer, 0 when the candidate abstained or failed."""

    def score(self, example: Example, answer: Answer) -> float | None:
        """0 or 1, with and without references."""
        return float(not answer.failed)


class SelectiveRisk(WithoutOptions):
    """1 for a wrong label, 0 for a right one; nothing where the candidate abstained (El-Yaniv and Wiener 2010).

    What failed is wrong.
    """

    higher_is_better = False

    def score(self, example: Example, answer: Answer) -> float | None:
        """0 or 1; None without references, and for an abstention."""
        if answer.abstained and not answer.error:
            return None
        right = Accuracy().score(example, answer)
        return None if right is None else 1.0 - right
