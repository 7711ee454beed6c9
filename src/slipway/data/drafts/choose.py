"""Which drafts are offered: each unlike what is asked already, spread over rules, documents and sections."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from slipway.core.ref import digest_of
from slipway.data.drafts.draft import Draft
from slipway.data.shingles import jaccard, shingles
from slipway.text.words import fold, words

_ALIKE = 0.6  # of the word runs of two questions are shared: one is enough
# What is said of a name in passing may be said differently elsewhere: then neither is the answer.
_ONE_ANSWER = frozenset({"table", "term", "limit", "default", "purpose", "option", "count", "date", "description"})


class Asked:
    """Questions that are there already. Equal ones are found at once, alike ones by the word runs they share."""

    def __init__(self) -> None:
        self._same: set[str] = set()
        self._answers: set[tuple[str, str]] = set()
        self._runs: defaultdict[str, list[int]] = defaultdict(list)
        self._kept: list[set[str]] = []

    def add(self, question: str, answer: str = "", source: str = "") -> None:
        """Remember a question, and what is answered from a section."""
        self._same.add(_folded(question))
        if answer:
            self._answers.add((source, _folded(answer)))
        runs = shingles(question)
        for run in runs:
            self._runs[run].append(len(self._kept))
        self._kept.append(runs)

    def holds(self, draft: Draft) -> bool:
        """Whether the question, or one very like it, is asked, or its answer asked for from the same section."""
        if _folded(draft.question) in self._same or (draft.source, _folded(draft.answer)) in self._answers:
            return True
        runs = shingles(draft.question)
        near = Counter(number for run in runs for number in self._runs.get(run, ()))
        return any(jaccard(runs, self._kept[number]) >= _ALIKE for number, _ in near.most_common(20))


def unambiguous(drafts: Iterable[Draft]) -> list[Draft]:
    """Without questions that documents answer differently; of the same question with the same answer the first."""
    by: dict[str, list[Draft]] = {}
    for draft in drafts:
        by.setdefault(_folded(draft.question), []).append(draft)
    kept: list[Draft] = []
    for same in by.values():
        first = same[0]
        if first.rule not in _ONE_ANSWER or all(_alike(first.answer, other.answer) for other in same[1:]):
            kept.append(first)
    return kept


def choose(drafts: Sequence[Draft], count: int, seed: int, asked: Asked) -> list[Draft]:
    """At most `count` drafts, in the order in which they were chosen; the same for the same seed.

    Each next one is of the language and then the rule with the fewest so far, and of the document and section with the
    fewest; the seed breaks ties.
    """
    queues: dict[tuple[str, str], list[tuple[int, int, str, Draft]]] = defaultdict(list)
    for draft in drafts:
        queues[draft.language, draft.rule].append((0, 0, digest_of([seed, draft.id]), draft))
    for queue in queues.values():
        queue.sort(key=lambda entry: entry[2])
        heapq.heapify(queue)
    languages: Counter[str] = Counter()
    rules: Counter[tuple[str, str]] = Counter()
    documents: Counter[str] = Counter()
    sections: Counter[str] = Counter()
    chosen: list[Draft] = []
    while queues and len(chosen) < count:
        key = min(queues, key=lambda key: (languages[key[0]], rules[key], digest_of([seed, key])))
        draft = _next(queues[key], documents, sections)
        if draft is None:
            del queues[key]
        elif not asked.holds(draft):
            asked.add(draft.question, draft.answer, draft.source)
            chosen.append(draft)
            languages[key[0]] += 1
            rules[key] += 1
            documents[draft.document] += 1
            sections[draft.source] += 1
    return chosen


def _next(queue: list[tuple[int, int, str, Draft]], documents: Counter[str], sections: Counter[str]) -> Draft | None:
    """The draft of the document and section used least. What is out of date goes back."""
    while queue:
        *known, tie, draft = heapq.heappop(queue)
        now = [documents[draft.document], sections[draft.source]]
        if now == known:
            return draft
        heapq.heappush(queue, (now[0], now[1], tie, draft))
    return None


def _folded(text: str) -> str:
    return " ".join(words(fold(text))) or text


def _alike(one: str, other: str) -> bool:
    a, b = set(words(one)), set(words(other))
    return a <= b or b <= a
