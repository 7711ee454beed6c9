"""How much an answer's text overlaps with its references. Knows no retrieval, no aggregation.

English is compared as SQuAD does, CJK text character by character (`text.words`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from slipway.core.answer import Answer
from slipway.core.material import Example
from slipway.text.words import answer_words, normalize_answer, normalize_label, words

_ROUGE_WORDS = 50_000  # words of a text that ROUGE-L reads: about a tenth of a second


class Plain(BaseModel):
    """No options."""

    model_config = ConfigDict(extra="forbid")


class BleuConfig(BaseModel):
    """`max_order`: the longest n-gram counted."""

    model_config = ConfigDict(extra="forbid")

    max_order: int = Field(default=4, ge=1, le=8)


def _best(example: Example, answer: Answer, measure: Callable[[str, str], float]) -> float | None:
    """The best of `measure(reference, text)` over the references; None without references."""
    if not example.expected:
        return None
    if answer.error:
        return 0.0
    return max(measure(reference, answer.text) for reference in example.expected)


class TokenF1:
    """Harmonic mean of precision and recall over the bag of words shared with a reference.

    SQuAD (Rajpurkar et al. 2016); CJK by mixed segmentation as MLQA (Lewis et al. 2020) and CMRC 2018 cut it, with
    SQuAD's bag of words where CMRC 2018 takes the longest common substring.
    """

    Config: ClassVar[type[Plain]] = Plain
    higher_is_better: ClassVar[bool] = True

    def __init__(self, config: Plain | None = None) -> None:
        self.config = config or Plain()

    def score(self, example: Example, answer: Answer) -> float | None:
        """F1 in [0, 1]; None without references."""
        return _best(example, answer, lambda reference, text: _token_f1(reference, text, example.language))


class ExactMatch:
    """1 when the normalised answer equals a normalised reference (SQuAD's rule), else 0."""

    Config: ClassVar[type[Plain]] = Plain
    higher_is_better: ClassVar[bool] = True

    def __init__(self, config: Plain | None = None) -> None:
        self.config = config or Plain()

    def score(self, example: Example, answer: Answer) -> float | None:
        """0 or 1; None without references."""
        language = example.language
        return _best(
            example,
            answer,
            lambda reference, text: float(normalize_answer(reference, language) == normalize_answer(text, language)),
        )


class RougeL:
    """F-measure (beta 1) of the longest common subsequence of words, without stemming (Lin 2004)."""

    Config: ClassVar[type[Plain]] = Plain
    higher_is_better: ClassVar[bool] = True

    def __init__(self, config: Plain | None = None) -> None:
        self.config = config or Plain()

    def score(self, example: Example, answer: Answer) -> float | None:
        """F-measure in [0, 1]; None without references."""
        return _best(example, answer, _rouge_l)


class Bleu:
    """Sentence BLEU (Papineni et al. 2002) in [0, 1], all references together.

    Words are `text.words.words`. An n-gram order without a match counts as 1 / (2^k n), k the number of such orders so
    far (NIST's smoothing, `exp` in sacreBLEU, Post 2018); orders longer than the answer are left out (effective
    order). The brevity penalty uses the reference length closest to the answer's, the shorter of two equally close.
    """

    Config: ClassVar[type[BleuConfig]] = BleuConfig
    higher_is_better: ClassVar[bool] = True

    def __init__(self, config: BleuConfig | None = None) -> None:
        self.config = config or BleuConfig()

    def score(self, example: Example, answer: Answer) -> float | None:
        """BLEU in [0, 1]; None without references."""
        if not example.expected:
            return None
        if answer.error:
            return 0.0
        return bleu([words(reference) for reference in example.expected], words(answer.text), self.config.max_order)


class Accuracy:
    """1 when the answer is a reference label: case, spacing and punctuation around it do not matter, else 0."""

    Config: ClassVar[type[Plain]] = Plain
    higher_is_better: ClassVar[bool] = True

    def __init__(self, config: Plain | None = None) -> None:
        self.config = config or Plain()

    def score(self, example: Example, answer: Answer) -> float | None:
        """0 or 1; None without references."""
        return _best(
            example, answer, lambda reference, text: float(normalize_label(reference) == normalize_label(text))
        )


def bleu(references: Sequence[Sequence[str]], hypothesis: Sequence[str], max_order: int = 4) -> float:
    """Smoothed sentence BLEU of words against several references, in [0, 1]; 0 when no word is shared."""
    logs: list[float] = []
    misses = 0
    for order in range(1, max_order + 1):
        total = len(hypothesis) - order + 1
        if total < 1:
            break
        matched = _clipped_matches(references, hypothesis, order)
        if not matched:
            if order == 1:
                return 0.0
            misses += 1
        logs.append(math.log(matched / total if matched else 1 / (2**misses * total)))
    if not logs:
        return 0.0
    length = len(hypothesis)
    closest = min((len(reference) for reference in references), key=lambda size: (abs(size - length), size))
    return math.exp(min(0.0, 1 - closest / length) + sum(logs) / len(logs))


def _clipped_matches(references: Sequence[Sequence[str]], hypothesis: Sequence[str], order: int) -> int:
    allowed: Counter[tuple[str, ...]] = Counter()
    for reference in references:
        allowed |= _ngrams(reference, order)
    return sum((_ngrams(hypothesis, order) & allowed).values())


def _ngrams(tokens: Sequence[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(tokens[start : start + order]) for start in range(len(tokens) - order + 1))


def _token_f1(reference: str, text: str, language: str) -> float:
    expected, found = answer_words(reference, language), answer_words(text, language)
    if not expected or not found:
        return float(expected == found)
    shared = sum((Counter(expected) & Counter(found)).values())
    return 2 * shared / (len(expected) + len(found))


def _rouge_l(reference: str, text: str) -> float:
    expected, found = words(reference)[:_ROUGE_WORDS], words(text)[:_ROUGE_WORDS]
    if not expected or not found:
        return float(expected == found)
    return 2 * _common_subsequence(expected, found) / (len(expected) + len(found))


def _common_subsequence(first: Sequence[str], second: Sequence[str]) -> int:
    """Length of the longest common subsequence, bit-parallel (Hyyro 2004): one big integer per word of `second`."""
    places: dict[str, int] = {}
    for index, token in enumerate(first):
        places[token] = places.get(token, 0) | 1 << index
    full = (1 << len(first)) - 1
    state = full
    for token in second:
        matches = state & places.get(token, 0)
        state = ((state + matches) | (state - matches)) & full
    return len(first) - state.bit_count()
