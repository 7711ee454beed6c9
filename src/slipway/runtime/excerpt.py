"""Which sentences of the retrieved passages are shown to the model: the ones most related to the question.

Reading a prompt is most of what a small model on a CPU costs, and most sentences of a passage do not answer. Extractive
compression of retrieved text (RECOMP, Xu et al. 2024), by rules: sentences are ranked by the question's words (BM25
over the sentences at hand), by the embedder, and by the rank of their passage; the rankings are fused, and the best
are shown in the order of the text. Loads nothing; knows no prompt and no model but the embedder it is given.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from slipway.core.answer import Citation
from slipway.runtime.fusion import reciprocal_rank_fusion
from slipway.text.words import cjk_bigrams, is_cjk, sentences, weigh

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Similarity = Callable[[Sequence[str]], Awaitable["NDArray[np.float32]"]]
"""How near each sentence is to the question, [n]."""

STEM = 5  # characters of a word that are compared: loads, loaded, loading
K1, B = 1.2, 0.4  # BM25; sentences are short, and a long one is cut off by the budget anyway
NEIGHBOR = 0.4  # of a sentence's score that goes to the next one: "It is 8080." answers what the one before names
PASSAGE_WEIGHT = 0.5


async def excerpt(
    question: str, passages: Sequence[Citation], most: int, similarity: Similarity | None = None
) -> tuple[Citation, ...]:
    """The passages with `shown` set: their best sentences, `most` weighted characters in all (a CJK one counts 2.5).

    The best sentence is always shown; a passage of which none is shown is left out.
    """
    spans = [(n, start, end) for n, passage in enumerate(passages) for start, end in sentences(passage.text)]
    if sum(weigh(passages[n].text[start:end]) for n, start, end in spans) <= most:
        return tuple(passages)
    texts = [passages[n].text[start:end] for n, start, end in spans]
    headings = [" ".join(passage.path) for passage in passages]
    lexical = _carried(
        _bm25(question, [f"{headings[n]} {text}" for (n, _, _), text in zip(spans, texts, strict=True)]), spans
    )
    rankings = [_ranked(lexical), [str(at) for at in range(len(spans))]]
    weights = [1.0, PASSAGE_WEIGHT]
    if similarity is not None:
        rankings.append(_ranked(_carried([float(score) for score in await similarity(texts)], spans)))
        weights.append(1.0)
    chosen, room = set[int](), float(most)
    for name, _ in reciprocal_rank_fusion(rankings, weights=weights):
        weight = weigh(texts[int(name)])
        if not chosen or weight <= room:
            chosen.add(int(name))
            room -= weight
    return tuple(
        _shown(passage, n, spans, chosen)
        for n, passage in enumerate(passages)
        if any(spans[at][0] == n for at in chosen)
    )


def _shown(passage: Citation, n: int, spans: Sequence[tuple[int, int, int]], chosen: set[int]) -> Citation:
    """Sentences joined as they stood: by what was between neighbours, by an ellipsis where some are left out."""
    text, last = "", -1
    for at, (which, start, end) in enumerate(spans):
        if which != n or at not in chosen:
            continue
        if last >= 0:
            text += passage.text[spans[last][2] : start] if last == at - 1 else "\n"
        text += passage.text[start:end]
        last = at
    return msgspec.structs.replace(passage, shown=text)


def _terms(text: str) -> list[str]:
    """Words cut to their first letters; pairs of CJK characters."""
    return [word if is_cjk(word[0]) else word[:STEM] for word in cjk_bigrams(text)]


def _bm25(question: str, texts: Sequence[str]) -> list[float]:
    """BM25 (Robertson and Zaragoza 2009) of each text for the question, the texts being the collection."""
    counted = [Counter(_terms(text)) for text in texts]
    frequency = Counter(term for counts in counted for term in counts)
    average = sum(counts.total() for counts in counted) / len(counted) or 1.0
    wanted = set(_terms(question))
    idf = {term: math.log(1 + (len(texts) - n + 0.5) / (n + 0.5)) for term, n in frequency.items() if term in wanted}
    return [
        sum(
            idf[term] * counts[term] * (K1 + 1) / (counts[term] + K1 * (1 - B + B * counts.total() / average))
            for term in idf
            if term in counts
        )
        for counts in counted
    ]


def _carried(scores: Sequence[float], spans: Sequence[tuple[int, int, int]]) -> list[float]:
    """Each score with a share of the one before it in the same passage."""
    found = list(scores)
    for at in range(1, len(spans)):
        if spans[at][0] == spans[at - 1][0]:
            found[at] += NEIGHBOR * scores[at - 1]
    return found


def _ranked(scores: Sequence[float]) -> list[str]:
    """Places, the best first; those without any score do not vote."""
    return [str(at) for at in sorted(range(len(scores)), key=lambda at: (-scores[at], at)) if scores[at] > 0]
