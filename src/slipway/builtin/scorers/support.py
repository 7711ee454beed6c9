"""Does what an answer cites say what the answer says. Needs no example that names a source."""

from __future__ import annotations

from slipway.builtin.scorers.common import WithoutOptions
from slipway.core.answer import Answer
from slipway.core.material import Example
from slipway.text.relevance import support


class CitationSupport(WithoutOptions):
    """Share of the answer's content words that the passages it cites hold; 0 for an answer that cites nothing."""

    def score(self, example: Example, answer: Answer) -> float | None:
        """In [0, 1]. An answer without a content word of its own ("yes") has 0: nothing in it can be looked up."""
        cited = [passage.text for passage in answer.citations if passage.cited]
        return support(answer.text, "\n".join(cited)) if cited and not answer.error else 0.0
