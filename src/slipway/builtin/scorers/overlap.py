"""How much an answer's text overlaps with its references. Knows no retrieval, no aggregation.

English is compared in words, CJK text character by character (`text.words`).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from slipway.builtin.scorers.common import Options, WithoutOptions, best
from slipway.core.answer import Answer
from slipway.core.material import Example
from slipway.errors import MissingPrerequisite
from slipway.i18n import t
from slipway.text.words import answer_words, normalize_answer, normalize_label, words

_ASCII_WORD = re.compile("[a-z0-9]+")
_ROUGE_WORDS = 50_000  # words of a text that ROUGE-L reads: about a tenth of a second


class BleuConfig(Options):
    """`max_order`: the longest n-gram counted. `tokenize`: `words` (folded, CJK characters apart) or sacreBLEU's.

    sacreBLEU's tokenizers (`13a` for European languages, `zh`, `char`, `intl`, `none`) need the extra `metrics`; with
    them the whole score is sacreBLEU's, which minds case but for `lowercase`.
    """

    max_order: int = Field(default=4, ge=1, le=8)
    tokenize: Literal["words", "13a", "zh", "char", "intl", "none"] = "words"
    lowercase: bool = False


class RougeConfig(Options):
    """`tokenize`: `words` (folded, CJK characters apart), or `ascii`: the package rouge-score's rule.

    `ascii` cuts runs of a-z and 0-9; two texts that have none score 0.
    """

    tokenize: Literal["words", "ascii"] = "words"


class TokenF1(WithoutOptions):
    """Harmonic mean of precision and recall over the bag of words shared with a reference.

    As SQuAD's F1 (Rajpurkar et al. 2016), but numbers and names keep the marks that make them what they are, and CJK
    characters stand alone (MLQA, Lewis et al. 2020). The published rules are `squad_f1` and `cmrc_f1`.
    """

    def score(self, example: Example, answer: Answer) -> float | None:
        """F1 in [0, 1]; None without references."""
        return best(example, answer, lambda reference, text: _token_f1(reference, text, example.language))


class ExactMatch(WithoutOptions):
    """1 when the answer equals a reference but for case, articles and punctuation that says nothing, else 0."""

    def score(self, example: Example, answer: Answer) -> float | None:
        """0 or 1; None without references."""
        language = example.language
        return best(
            example,
            answer,
            lambda reference, text: float(normalize_answer(reference, language) == normalize_answer(text, language)),
        )


class RougeL:
    """F-measure (beta 1) of the longest common subsequence of words, without stemming (Lin 2004)."""

    Config: ClassVar[type[RougeConfig]] = RougeConfig
    higher_is_better: ClassVar[bool] = True

    def __init__(self, config: RougeConfig | None = None) -> None:
        self.config = config or RougeConfig()
        self._cut = words if self.config.tokenize == "words" else _ascii_words

    def score(self, example: Example, answer: Answer) -> float | None:
        """F-measure in [0, 1]; None without references."""
        return best(example, answer, lambda reference, text: self._measure(self._cut(reference), self._cut(text)))

    def _measure(self, expected: Sequence[str], found: Sequence[str]) -> float:
        return rouge_l(expected, found) if expected or found or self.config.tokenize == "words" else 0.0


class Bleu:
    """Sentence BLEU (Papineni et al. 2002) in [0, 1], all references together.

    An n-gram order without a match counts as 1 / (2^k n), k the number of such orders so far (NIST's smoothing, `exp`
    in sacreBLEU, Post 2018); orders longer than the answer are left out (effective order). The brevity penalty uses the
    reference length closest to the answer's, the shorter of two equally close.

    Raises MissingPrerequisite for a tokenizer of sacreBLEU without the extra `metrics`.
    """

    Config: ClassVar[type[BleuConfig]] = BleuConfig
    higher_is_better: ClassVar[bool] = True

    def __init__(self, config: BleuConfig | None = None) -> None:
        self.config = config or BleuConfig()
        self._sacrebleu = None if self.config.tokenize == "words" else _sacrebleu(self.config)

    def score(self, example: Example, answer: Answer) -> float | None:
        """BLEU in [0, 1]; None without references."""
        if not example.expected:
            return None
        if answer.error:
            return 0.0
        if self._sacrebleu is not None:
            # Its sum of floats may pass 1 by a hair.
            return min(1.0, self._sacrebleu.sentence_score(answer.text, list(example.expected)).score / 100)
        return bleu([words(reference) for reference in example.expected], words(answer.text), self.config.max_order)


def _sacrebleu(config: BleuConfig) -> Any:
    try:
        from sacrebleu.metrics.bleu import BLEU
    except ModuleNotFoundError as error:
        asked = f"{{tokenize: {config.tokenize}}}"
        raise MissingPrerequisite(
            t(
                "'{name}' needs the package '{package}', which is not installed",
                name=f"bleu: {asked}",
                package=error.name,
            ),
            "pip install 'slipway-ai[metrics]'",
        ) from error
    return BLEU(
        tokenize=config.tokenize, lowercase=config.lowercase, max_ngram_order=config.max_order, effective_order=True
    )


class AnswerRecall(WithoutOptions):
    """Share of a reference's words that are in the answer, as `token_f1` cuts them. Length costs nothing."""

    def score(self, example: Example, answer: Answer) -> float | None:
        """In [0, 1]; None without references."""
        return best(example, answer, lambda reference, text: _recall(reference, text, example.language))


class Accuracy(WithoutOptions):
    """1 when the answer is a reference label: case, spacing and punctuation around it do not matter, else 0."""

    def score(self, example: Example, answer: Answer) -> float | None:
        """0 or 1; None without references."""
        said = normalize_label(answer.label or answer.text)
        return best(example, answer, lambda reference, _: float(normalize_label(reference) == said))


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


def _recall(reference: str, text: str, language: str) -> float:
    expected, found = answer_words(reference, language), answer_words(text, language)
    if not expected:
        return float(not found)
    return sum((Counter(expected) & Counter(found)).values()) / len(expected)


def rouge_l(expected: Sequence[str], found: Sequence[str]) -> float:
    """F-measure of the longest common subsequence of two texts in words, in [0, 1]."""
    expected, found = expected[:_ROUGE_WORDS], found[:_ROUGE_WORDS]
    if not expected or not found:
        return float(expected == found)
    return 2 * _common_subsequence(expected, found) / (len(expected) + len(found))


def _ascii_words(text: str) -> list[str]:
    return _ASCII_WORD.findall(text.lower())


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
