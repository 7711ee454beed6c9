"""The order of the retrieved passages: by the best statement in each, or by a model that reads them with the question.

An answer is one sentence, not a whole passage. Statements are ordered by the rules of `text.relevance`, and the
embedder where there is one; the place that the search gave a passage counts as well. Loads nothing; knows no index.
"""

from __future__ import annotations

from collections.abc import Sequence

from slipway.core.answer import Citation
from slipway.core.protocols import Ranks
from slipway.runtime.excerpt import Similarity
from slipway.text.relevance import Relevance
from slipway.text.statements import statements


async def rerank(
    question: str, passages: Sequence[Citation], similarity: Similarity | None = None
) -> tuple[Citation, ...]:
    """The same passages, best first; of equals the one that came first. Scores stay those of the search."""
    found = statements([passage.text for passage in passages])
    relevance = Relevance(question, found, [" ".join(passage.path) for passage in passages])
    promising = relevance.promising()
    if similarity is not None and promising:
        relevance.learn(dict(zip(promising, await similarity([found[n].told for n in promising]), strict=True)))
    order = dict.fromkeys(found[n].at for n in relevance.ranked())  # one without a statement comes last
    return tuple(passages[at] for at in [*order, *(n for n in range(len(passages)) if n not in order)])


async def by_model(question: str, passages: Sequence[Citation], model: Ranks) -> tuple[Citation, ...]:
    """The same passages, under their headings, as a cross-encoder orders them; of equals the one that came first."""
    texts = [f"{' > '.join(passage.path)}\n{passage.text}" if passage.path else passage.text for passage in passages]
    scores = await model.rank(question, texts) if texts else []
    return tuple(passages[at] for at in sorted(range(len(passages)), key=lambda at: (-scores[at], at)))
