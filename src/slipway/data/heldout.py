"""What may not be trained on: examples of dev, gate and reserve, and whatever is close to one of them.

Close is, in this order: the same text after normalisation (`exact`); most of its word runs, or of the weight of its
words, are those of a held out input (`near`); its vector is near (`meaning`), where there is an embedder. A false alarm
costs a row of training; a leak costs the gate its meaning. So thresholds lean to the alarm.
"""

from __future__ import annotations

import math
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from slipway.data.leaks import ALIKE
from slipway.data.shingles import jaccard, shingles
from slipway.text.words import words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Reason = Literal["exact", "near", "meaning"]
RUNS = 0.5  # of the word runs of two long texts are shared where one was made from the other
INSIDE = 0.9  # of the weight of a held out input stands in a longer one
COSINE = 0.9


class Close(NamedTuple):
    """`number` of the held out text that a text is close to, and how: similarity from 0 to 1."""

    reason: Reason
    number: int
    similarity: float


def normalised(text: str) -> str:
    """A text to compare: compatibility forms, case, white space and punctuation do not count."""
    return " ".join(words(unicodedata.normalize("NFKC", text).casefold())) or " ".join(text.split())


class Heldout:
    """Held out texts, to be asked of any other whether it is close to one. `vectors`: [n, dimension], unit length."""

    def __init__(self, texts: Sequence[str], vectors: NDArray[np.float32] | None = None) -> None:
        self._exact: dict[str, int] = {}
        for number, text in enumerate(texts):
            self._exact.setdefault(normalised(text), number)
        self._bags = [set(words(text.casefold())) for text in texts]
        self._runs = [shingles(text) for text in texts]
        df = Counter(word for bag in self._bags for word in bag)
        self._weight = {word: math.log(1 + len(texts) / n) for word, n in df.items()}
        self._unseen = math.log(1 + len(texts))
        self._totals = [self._sum(bag) for bag in self._bags]
        self._with: defaultdict[str, list[int]] = defaultdict(list)
        for number, bag in enumerate(self._bags):
            for word in bag:
                self._with[word].append(number)
        self._vectors = vectors

    def close(self, text: str, vector: NDArray[np.float32] | None = None) -> Close | None:
        """The nearest held out text by the first reason that holds, or None. `vector`: [dimension], unit length."""
        number = self._exact.get(normalised(text))
        if number is not None:
            return Close("exact", number, 1.0)
        return self._near(text) or self._meant(vector)

    def _near(self, text: str) -> Close | None:
        bag, runs = set(words(text.casefold())), shingles(text)
        total, common = self._sum(bag), defaultdict[int, float](float)
        for word in bag:
            for number in self._with.get(word, ()):
                common[number] += self._weight[word]
        best: Close | None = None
        for number, weight in common.items():
            alike = weight / (total + self._totals[number] - weight)
            inside = weight / self._totals[number] if len(self._bags[number]) >= _LONG else 0.0
            shared = jaccard(runs, self._runs[number]) if len(bag) >= _LONG else 0.0
            if alike >= ALIKE or inside >= INSIDE or shared >= RUNS:
                found = Close("near", number, max(alike, inside, shared))
                if best is None or (found.similarity, -found.number) > (best.similarity, -best.number):
                    best = found
        return best

    def _meant(self, vector: NDArray[np.float32] | None) -> Close | None:
        if vector is None or self._vectors is None or not len(self._vectors):
            return None
        cosines = self._vectors @ vector
        number = int(cosines.argmax())
        return Close("meaning", number, float(cosines[number])) if cosines[number] >= COSINE else None

    def _sum(self, bag: set[str]) -> float:
        return sum(self._weight.get(word, self._unseen) for word in bag)


_LONG = 8  # words: shorter texts are compared by all of their words only
