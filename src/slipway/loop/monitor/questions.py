"""Questions compared with those before: words that were not seen, how near the nearest one lies, and its topic.

Half of what is learnt from gives vocabulary, vectors and topics; the other half says what is usual against them, so
that a new question and a usual one are treated alike. Words are kept as hashes, never as words.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from slipway.loop.monitor.rules import TOPICS
from slipway.loop.monitor.seen import Question
from slipway.text.language import of_short_text
from slipway.text.words import cjk_bigrams

if TYPE_CHECKING:
    from slipway.stats.grouping import Floats

LONGEST = 2000  # characters of a question that are looked at
KNOWN = 1000  # vectors that new ones are compared with
DIMENSION = 251  # of vectors without an embedder; no embedder has as many
LEAST = 10  # questions that topics and vocabulary are made of


class Known(msgspec.Struct):
    """`vectors`: float16 unit vectors [n, d] as base64; `topics`: the same of their centres. `by`: what made
    vectors. `nearest`: of each topic, the trace whose question lies nearest to its centre; empty where it has none.
    """

    by: str
    words: list[int]
    vectors: str = ""
    topics: str = ""
    dimension: int = 0
    nearest: list[str] = []


def read(text: str, vector: Floats | None = None) -> Question:
    """What a question can be compared by; a vector of its words where no embedder made one."""
    text = text[:LONGEST]
    words = tuple(hashed(word) for word in cjk_bigrams(text))
    digest = hashed(" ".join(text.split()).casefold())
    return Question(words, of_short_text(text), digest, _by_words(words) if vector is None else vector)


def hashed(text: str) -> int:
    """48 bits that stand for a text, alike in every process."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=6).digest(), "big")


def _by_words(words: Sequence[int]) -> Floats | None:
    """Signed feature hashing (Weinberger et al. 2009) of the words, dampened by square roots, as a unit vector."""
    if not words:
        return None
    vector = np.zeros(DIMENSION)
    for word in words:
        vector[word % DIMENSION] += 1.0 if word >> 40 & 1 else -1.0
    vector = np.sign(vector) * np.sqrt(np.abs(vector))
    length = float(np.linalg.norm(vector))
    return vector / length if length else None


def learn(questions: Mapping[str, Question], by: str) -> Known | None:
    """From the first half of what is learnt from, by the ids of their traces; None with too few."""
    if len(questions) < LEAST:
        return None
    words = sorted({word for one in questions.values() for word in one.words})
    given = [(id, one.vector) for id, one in questions.items() if one.vector is not None]
    if len(given) < LEAST:
        return Known(by, words)
    given = given[:: max(1, -(-len(given) // KNOWN))]
    vectors = np.stack([vector for _, vector in given])
    centres = _centres(vectors)
    near = vectors @ centres.T
    of, best = np.argmax(near, axis=1), np.argmax(near, axis=0)
    nearest = [given[one][0] if of[one] == place else "" for place, one in enumerate(best)]
    return Known(by, words, _packed(vectors), _packed(centres), vectors.shape[1], nearest)


def _centres(vectors: Floats) -> Floats:
    """Spherical k-means (Dhillon and Modha 2001), begun as k-means++ (Arthur and Vassilvitskii 2007), always alike."""
    draw = np.random.default_rng(0)
    centres = [vectors[int(draw.integers(len(vectors)))]]
    while len(centres) < TOPICS:
        far = np.maximum(0.0, 1.0 - np.max(vectors @ np.stack(centres).T, axis=1)) + 1e-12
        centres.append(vectors[int(draw.choice(len(vectors), p=far / far.sum()))])
    found = np.stack(centres)
    for _ in range(20):
        of = np.argmax(vectors @ found.T, axis=1)
        sums = [vectors[of == place].sum(axis=0) if (of == place).any() else found[place] for place in range(TOPICS)]
        found = np.stack([one / max(float(np.linalg.norm(one)), 1e-12) for one in sums])
    return found


class Familiar:
    """Tells how new a question is."""

    def __init__(self, known: Known) -> None:
        self.by = known.by
        self._words = frozenset(known.words)
        self._vectors = _unpacked(known.vectors, known.dimension)
        self._topics = _unpacked(known.topics, known.dimension)

    def values(self, question: Question) -> tuple[dict[str, float], dict[str, str]]:
        """(metric -> value, metric -> category)."""
        values: dict[str, float] = {}
        if question.words:
            values["unknown_words"] = sum(word not in self._words for word in question.words) / len(question.words)
        vector = question.vector
        if vector is None or self._vectors is None or self._topics is None or len(vector) != self._vectors.shape[1]:
            return values, {}
        values["novelty"] = 1.0 - float(np.max(self._vectors @ vector))
        return values, {"topics": f"topic {int(np.argmax(self._topics @ vector)) + 1}"}


def split(found: Mapping[str, Question], order: Sequence[str]) -> tuple[list[str], list[str]]:
    """Ids of the questions to learn from, and of those that say what is usual: by turns, so that both span all
    hours.
    """
    there = [id for id in order if id in found]
    return there[::2], there[1::2]


def _packed(vectors: Floats) -> str:
    return base64.b64encode(vectors.astype(np.float16).tobytes()).decode()


def _unpacked(text: str, dimension: int) -> Floats | None:
    if not text:
        return None
    return np.frombuffer(base64.b64decode(text), dtype=np.float16).reshape(-1, dimension).astype(np.float64)
