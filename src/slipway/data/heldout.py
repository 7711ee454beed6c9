"""What may not be trained on: examples of dev, gate and reserve, and whatever is close to one of them.

Close is, in this order: the same text to a reader's eye (`exact`); a held out input stands in it word by word, or most
of its word runs, or of the weight of its words, are those of one (`near`); its vector is near (`meaning`), where there
is an embedder, whose cosines are measured from what it gives unrelated texts. A false alarm costs a row of training; a
leak costs the gate its meaning. So thresholds lean to the alarm.
"""

from __future__ import annotations

import html
import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from slipway.data.leaks import ALIKE
from slipway.data.shingles import jaccard, shingles
from slipway.text.simplified import simplified
from slipway.text.words import weigh, words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Reason = Literal["exact", "near", "meaning"]
RUNS = 0.5  # of the word runs of two long texts are shared where one was made from the other
INSIDE = 0.9  # of the weight of a held out input stands in a longer one
MEANT = 0.87  # nearness by an embedder, 0 what unrelated texts have: a cosine of 0.89 by all-MiniLM-L6-v2


class Close(NamedTuple):
    """`number` of the held out text that a text is close to, and how: similarity from 0 to 1."""

    reason: Reason
    number: int
    similarity: float


# Nothing to see: soft hyphens, joiners, marks of direction, fillers, variation selectors, tags (Unicode's
# Default_Ignorable_Code_Point); and accents, of which any number may stand on a letter.
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\U000e0000-\U000e0fff]"
)
_ACCENTS = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+")
_LOOKS = str.maketrans(  # Cyrillic and Greek letters that look like Latin ones (Unicode Technical Standard 39)
    "авсеԁһіјкмнорԛѕтухѵѡαεικνορτυχϲ", "abcedhijkmhopqstyxvwaeikvoptuxc"
)


def _looks(text: str) -> str:
    """What a reader sees of a text: without what takes no room, without accents, letters that look alike as one,
    traditional Chinese as simplified.
    """
    text = html.unescape(text) if "&" in text else text
    if not text.isascii():
        text = _UNSEEN.sub("", text)
        text = _ACCENTS.sub("", unicodedata.normalize("NFKD", text).casefold()).translate(_LOOKS)
        text = simplified(unicodedata.normalize("NFC", text))  # a syllable of Hangul is one character again
    return text


class Heldout:
    """Held out texts, to be asked of any other whether it is close to one. `vectors`: [n, dimension], unit length;
    `floor`: a cosine of theirs that says nothing.

    A word weighs the more the rarer it is. `parts`: what each text belongs to, such as its split; words are weighed
    within a part, so that a row is as close to the gate's examples whatever else is held out.
    """

    def __init__(
        self,
        texts: Sequence[str],
        vectors: NDArray[np.float32] | None = None,
        parts: Sequence[str] = (),
        floor: float = 0.0,
    ) -> None:
        texts = [_looks(text) for text in texts]
        self._exact: dict[str, int] = {}
        self._begun: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
        self._words = [words(text) for text in texts]
        for number, text in enumerate(texts):
            self._exact.setdefault(_joined(text), number)
            if len(self._words[number]) >= _BEGINNING and weigh("".join(self._words[number])) >= _WEIGHT:
                self._begun[tuple(self._words[number][:_BEGINNING])].append(number)
        self._bags = [set(words(text.casefold())) for text in texts]
        self._runs = [shingles(text) for text in texts]
        self._parts = list(parts) or [""] * len(texts)
        together: defaultdict[str, list[set[str]]] = defaultdict(list)
        for part, bag in zip(self._parts, self._bags, strict=True):
            together[part].append(bag)
        self._weights = {part: _Weights(bags) for part, bags in together.items()}
        self._totals = [self._weights[part].of(bag) for part, bag in zip(self._parts, self._bags, strict=True)]
        self._with: defaultdict[str, list[int]] = defaultdict(list)
        for number, bag in enumerate(self._bags):
            for word in bag:
                self._with[word].append(number)
        self._vectors, self._floor = vectors, floor

    def close(self, text: str, vector: NDArray[np.float32] | None = None) -> Close | None:
        """The nearest held out text by the first reason that holds, or None. `vector`: [dimension], unit length."""
        text = _looks(text)
        number = self._exact.get(_joined(text))
        if number is not None:
            return Close("exact", number, 1.0)
        return self._within(text) or self._near(text) or self._meant(vector)

    def _within(self, text: str) -> Close | None:
        """A held out text of a few words or more that stands in this one word by word."""
        said = words(text)
        for at in range(len(said) - _BEGINNING + 1):
            for number in self._begun.get(tuple(said[at : at + _BEGINNING]), ()):
                if said[at : at + len(self._words[number])] == self._words[number]:
                    return Close("near", number, 1.0)
        return None

    def _near(self, text: str) -> Close | None:
        bag, runs = set(words(text.casefold())), shingles(text)
        totals, common = {part: one.of(bag) for part, one in self._weights.items()}, defaultdict[int, float](float)
        for word in bag:
            for number in self._with.get(word, ()):
                common[number] += self._weights[self._parts[number]].words[word]
        best: Close | None = None
        for number, weight in common.items():
            alike = weight / (totals[self._parts[number]] + self._totals[number] - weight)
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
        near = (float(cosines[number]) - self._floor) / (1 - self._floor)
        return Close("meaning", number, near) if near >= MEANT else None


def _joined(text: str) -> str:
    """A text to compare: its words without the spaces between, so that letters set apart are the word."""
    return "".join(words(text.casefold())) or " ".join(text.split())


class _Weights:
    """What words weigh among some texts: those in few of them more."""

    def __init__(self, bags: Sequence[set[str]]) -> None:
        df = Counter(word for bag in bags for word in bag)
        self.words = {word: math.log(1 + len(bags) / n) for word, n in df.items()}
        self._unseen = math.log(1 + len(bags))

    def of(self, bag: set[str]) -> float:
        """The weight of all of its words."""
        return sum(self.words.get(word, self._unseen) for word in bag)


_LONG = 8  # words: shorter texts are compared by all of their words only
_BEGINNING, _WEIGHT = 4, 12  # words and characters (`weigh`) of a held out text that is looked for word by word
