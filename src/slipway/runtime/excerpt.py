"""Which statements of the retrieved passages are shown to the model: those that answer the question most.

Reading a prompt is most of what a small model on a CPU costs, and most sentences of a passage do not answer. Extractive
compression of retrieved text (RECOMP, Xu et al. 2024), by rules: statements are ranked by `text.relevance`, and the
best are shown in the order of the text. Loads nothing; knows no prompt and no model but the embedder it is given.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING

import msgspec

from slipway.core.answer import Citation
from slipway.text.relevance import Relevance
from slipway.text.statements import Statement, statements
from slipway.text.words import weigh

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Similarity = Callable[[Sequence[str]], Awaitable["NDArray[np.float32]"]]
"""How near each statement is to the question, [n]."""


async def excerpt(
    question: str, passages: Sequence[Citation], most: int, similarity: Similarity | None = None
) -> tuple[Citation, ...]:
    """The passages with `shown` set: their best statements, `most` weighted characters in all (a CJK one counts 2.5).

    The best statement is always shown, and each with the term that it explains, if any; a passage of which none is
    shown is left out.
    """
    found = statements([passage.text for passage in passages])
    if sum(weigh(one.text) for one in found) <= most:
        return tuple(passages)
    relevance = Relevance(question, found, [" ".join(passage.path) for passage in passages])
    if similarity is not None:
        promising = relevance.promising()
        relevance.learn(dict(zip(promising, await similarity([found[n].told for n in promising]), strict=True)))
    chosen, room = set[int](), float(most)
    for n in relevance.ranked():
        added = {n, *_leads(found, n)} - chosen
        weight = sum(weigh(found[one].text) for one in added)
        if not chosen or weight <= room:
            chosen |= added
            room -= weight
    shown = [found[n] for n in sorted(chosen)]
    return tuple(
        msgspec.structs.replace(passage, shown=_joined(passage.text, [one for one in shown if one.at == n]))
        for n, passage in enumerate(passages)
        if any(one.at == n for one in shown)
    )


def _leads(found: Sequence[Statement], n: int) -> list[int]:
    """The numbers of the statements that say what this one is about."""
    before = [] if found[n].leads or not found[n].lead else range(n - 1, -1, -1)
    first = next((m for m in before if found[m].leads), -1)
    return list(takewhile(lambda m: m >= 0 and found[m].leads, range(first, -1, -1)))


def _joined(text: str, shown: Sequence[Statement]) -> str:
    """Statements as they stood: with what is between two neighbours, on lines of their own where some are left out."""
    found, last = "", 0
    for one in shown:
        between = text[last : one.start]
        if found:
            found += "\n" if any(char.isalnum() for char in between) else between
        found += one.text
        last = one.end
    return found
