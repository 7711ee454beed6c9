"""Questions of train with the passages that answer them, and passages that look like answers and are none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from slipway.builtin.classifiers.features import Vocabulary, grams
from slipway.builtin.scorers.retrieval import matches
from slipway.core.material import Chunk, Example
from slipway.core.protocols import Job
from slipway.errors import ConfigError
from slipway.i18n import t
from slipway.text.words import normalize_answer, words

DEPTH = 50  # passages of each ranking among which negatives are looked for


class Pair(NamedTuple):
    """A question, the place of the passage that answers it, all places that may, and places that do not."""

    text: str
    positive: int
    relevant: frozenset[int]
    negatives: tuple[int, ...]


def pairs(job: Job, passages: Sequence[Chunk], split: Literal["train", "dev"], negatives: int) -> list[Pair]:
    """One pair for each example of the split that names where its answer stands; of the passages there, the one that
    shares most words with the answer. Negatives stand high in the base's ranking or in that of the words, belong to
    nothing that the example names, and do not hold its answer.

    Raises ConfigError where no example of train names a passage that there is.
    """
    examples = [example for example in job.examples(split) if example.relevant]
    texts = [job.text(example) for example in examples]
    found = [_relevant(example, passages) for example in examples]
    kept = [n for n, places in enumerate(found) if places]
    if not kept:
        if split == "dev":
            return []
        raise ConfigError(
            t("no example of train names a passage: there is nothing to tune the retriever on"),
            t("give examples a `source`, such as docs/a.md#Heading, or data.split.train a larger share"),
        )
    rankings = [_near(job, [texts[n] for n in kept], passages), _alike([texts[n] for n in kept], passages)]
    made: list[Pair] = []
    for at, n in enumerate(kept):
        places, example = found[n], examples[n]
        best = max(places, key=lambda place: (_shared(example, passages[place]), -place))
        hard = _hard([ranking[at] for ranking in rankings], places, example, passages, negatives)
        made.append(Pair(texts[n], best, frozenset(places), hard))
    return made


def _relevant(example: Example, passages: Sequence[Chunk]) -> list[int]:
    return [n for n, chunk in enumerate(passages) if any(matches(name, chunk) for name in example.relevant)]


def _shared(example: Example, chunk: Chunk) -> float:
    """The share of the words of an answer that a passage has."""
    has = set(words(chunk.passage))
    shares = [sum(word in has for word in said) / len(said) for text in example.expected if (said := words(text))]
    return max(shares, default=0.0)


def _hard(
    rankings: Sequence[Sequence[int]], relevant: Sequence[int], example: Example, passages: Sequence[Chunk], count: int
) -> tuple[int, ...]:
    """The first of each ranking in turn."""
    answers = [said for text in example.expected if (said := normalize_answer(text))]
    texts: set[str] = {passages[place].text for place in relevant}
    chosen: list[int] = []
    for place in (place for both in zip(*rankings, strict=False) for place in both):
        if len(chosen) == count:
            break
        text = passages[place].text
        if place in relevant or text in texts or any(said in normalize_answer(text) for said in answers):
            continue
        texts.add(text)
        chosen.append(place)
    return tuple(chosen)


def _near(job: Job, questions: Sequence[str], passages: Sequence[Chunk]) -> list[list[int]]:
    """Passages by the cosine that the base gives them, the nearest first, for each question."""
    return _ranked(job.vectors(questions), job.vectors([chunk.passage for chunk in passages]).T)


def _alike(questions: Sequence[str], passages: Sequence[Chunk]) -> list[list[int]]:
    """Passages by the words and runs of characters that they share with each question."""
    counted = [grams(chunk.passage) for chunk in passages]
    vocabulary = Vocabulary.of(counted, 1)
    turned = vocabulary.matrix(counted).T.tocsr()
    return _ranked(vocabulary.matrix([grams(text) for text in questions]), turned)


def _ranked(questions: Any, passages: Any) -> list[list[int]]:
    import numpy as np

    found: list[list[int]] = []
    for start in range(0, questions.shape[0], 64):
        product = questions[start : start + 64] @ passages
        scores = product if isinstance(product, np.ndarray) else product.toarray()
        found += np.argsort(-scores, axis=1, kind="stable")[:, :DEPTH].tolist()
    return found
