"""Did retrieval bring what answers the question, and does the answer cite it. Knows no text of answers.

`Example.relevant` names what answers: `source`, or `source#Heading`. A passage (`Answer.citations`, best first) is
relevant to the first when it comes from that source, to the second when the heading is also on its heading path.
Sources are compared as paths, headings without regard to case, spacing and punctuation around them.
"""

from __future__ import annotations

import math
import posixpath
from collections.abc import Callable, Sequence
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from slipway.builtin.scorers.common import Configured
from slipway.core.answer import Answer, Citation
from slipway.core.material import Chunk, Example, readings
from slipway.text.words import normalize_label


class Cutoff(BaseModel):
    """`k`: only the first k passages count; 0 takes all that were retrieved."""

    model_config = ConfigDict(extra="forbid")

    k: int = Field(default=0, ge=0)


def matches(relevant: str, citation: Citation | Chunk) -> bool:
    """Whether a passage is what `source` or `source#Heading` names."""
    cited = _path(citation.source)
    heading = next((heading for source, heading in readings(relevant) if _path(source) == cited), None)
    if heading is None:
        return False
    wanted = normalize_label(heading.lstrip("#"))
    return not wanted or wanted in {normalize_label(step) for step in citation.path}


def first_hits(example: Example, passages: Sequence[Citation]) -> list[int | None]:
    """For each relevant name, the rank (from 0) of the first passage that matches it, or None."""
    return [
        next((rank for rank, passage in enumerate(passages) if matches(name, passage)), None)
        for name in dict.fromkeys(example.relevant)
    ]


def recall(hits: Sequence[int | None], k: int) -> float:
    """Share of the relevant names that were found."""
    return sum(hit is not None for hit in hits) / len(hits)


def reciprocal_rank(hits: Sequence[int | None], k: int) -> float:
    """One over the first rank that is relevant, 0 when there is none."""
    found = [hit for hit in hits if hit is not None]
    return 1 / (1 + min(found)) if found else 0.0


def ndcg(hits: Sequence[int | None], k: int) -> float:
    """Normalised discounted cumulative gain, binary relevance; `k` 0 means no cutoff."""
    gain = sum(1 / math.log2(2 + hit) for hit in hits if hit is not None)
    possible = min(len(hits), k) if k else len(hits)
    return min(1.0, gain / sum(1 / math.log2(2 + rank) for rank in range(possible)))


class _Ranked(Configured[Cutoff]):
    """Of the first k passages that a candidate cites, for examples that name something relevant."""

    Config: ClassVar[type[Cutoff]] = Cutoff
    _measure: ClassVar[Callable[[Sequence[int | None], int], float]]

    def score(self, example: Example, answer: Answer) -> float | None:
        """In [0, 1]; None when the example names nothing relevant."""
        if not example.relevant:
            return None
        if answer.error:
            return 0.0
        k = self.config.k
        return type(self)._measure(first_hits(example, answer.citations[:k] if k else answer.citations), k)


class RetrievalRecall(_Ranked):
    """Share of the relevant names that the first k passages bring. A candidate that retrieves nothing has 0."""

    _measure = staticmethod(recall)


class RetrievalMRR(_Ranked):
    """One over the rank of the first relevant passage, 0 when there is none (Voorhees 1999)."""

    _measure = staticmethod(reciprocal_rank)


class RetrievalNDCG(_Ranked):
    """Normalised discounted cumulative gain with binary relevance (Jarvelin and Kekalainen 2002).

    Each relevant name counts once, at its first passage: several passages of one section are no several finds. The
    ideal order brings one name a rank; a passage that brings several names counts for each, and the result is capped
    at 1.
    """

    _measure = staticmethod(ndcg)


class _Citations(Configured[Cutoff]):
    """Of what an answer cites, for examples that name something relevant; an answer that cites nothing has 0."""

    Config: ClassVar[type[Cutoff]] = Cutoff

    def score(self, example: Example, answer: Answer) -> float | None:
        """In [0, 1]; None when the example names nothing relevant."""
        if not example.relevant:
            return None
        passages = answer.citations[: self.config.k] if self.config.k else answer.citations
        cited = [passage for passage in passages if passage.cited]
        return self.measure(example, cited) if cited and not answer.error else 0.0

    def measure(self, example: Example, cited: Sequence[Citation]) -> float:
        raise NotImplementedError


class CitationPrecision(_Citations):
    """Share of the passages the answer cites that are relevant; 0 for an answer that cites nothing."""

    def measure(self, example: Example, cited: Sequence[Citation]) -> float:
        """In [0, 1]."""
        return sum(any(matches(name, passage) for name in example.relevant) for passage in cited) / len(cited)


class CitationRecall(_Citations):
    """Share of the relevant names that the answer cites; 0 for an answer that cites nothing."""

    def measure(self, example: Example, cited: Sequence[Citation]) -> float:
        """In [0, 1]."""
        return recall(first_hits(example, cited), 0)


class CitationCoverage(_Citations):
    """1 when the answer cites anything, else 0: the share of answers with a source to look at."""

    def measure(self, example: Example, cited: Sequence[Citation]) -> float:
        """1."""
        return 1.0


def _path(source: str) -> str:
    return posixpath.normpath(source.strip().replace("\\", "/"))
