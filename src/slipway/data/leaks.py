"""What one split knows of another: the same section behind two examples, or nearly the same input.

Inputs are alike by their words, rare ones weighing more: sum of log(1 + N / df) over the common words, divided by that
over all words of both (weighted Jaccard). So two questions made from one pattern, which differ in the word that
matters, are two questions. Traditional Chinese characters count as simplified ones. Pairs are proposed by prefixes
(Bayardo et al. 2007, Scaling up all pairs similarity search), which overlooks none unless hundreds of inputs have their
rarest words in common.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

from slipway.core.material import Change, Example, Split
from slipway.text.simplified import simplified
from slipway.text.words import words

ALIKE = 0.7
_ORDER: dict[Split | None, int] = {"train": 0, "dev": 1, "gate": 2}
_OFTEN = 200  # a word of more inputs proposes no pairs by itself


def find_leaks(examples: Sequence[Example], texts: Sequence[str], sections: Sequence[Sequence[str]]) -> list[Change]:
    """A Change for each example of dev or gate that an earlier split knows, at most one of each reason.

    `texts` and `sections` belong to `examples`: the input as text, and what its `source` covers.
    """
    changes: list[Change] = []

    def rank(number: int) -> tuple[int, int]:
        return _ORDER.get(examples[number].split, 3), number

    for reason, pairs in (("section-leak", _same_section(sections, rank)), ("question-leak", alike(texts))):
        told: set[int] = set()
        for one, other in pairs:
            early, late = sorted((one, other), key=rank)
            if examples[early].split == examples[late].split or late in told:
                continue
            told.add(late)
            detail = f"{examples[late].split}; {examples[early].source} ({examples[early].split}): {texts[early][:120]}"
            changes.append(
                Change(item=examples[late].source, step="split", action="flagged", reason=reason, detail=detail)
            )
    return changes


def _same_section(
    sections: Sequence[Sequence[str]], rank: Callable[[int], tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    """(first, other) for every other example of a section; the first is the one in the earliest split."""
    members: defaultdict[str, list[int]] = defaultdict(list)
    for number, names in enumerate(sections):
        for name in dict.fromkeys(names):
            members[name].append(number)
    for numbers in members.values():
        first = min(numbers, key=rank)
        yield from ((first, number) for number in numbers if number != first)


def alike(texts: Iterable[str], threshold: float = ALIKE) -> Iterator[tuple[int, int]]:
    """Pairs (earlier, later) of texts whose words are alike."""
    number_of: dict[str, int] = {}
    bags = [_bag(text, number_of) for text in texts]
    df = Counter(word for bag in bags for word in bag)
    weight = array("d", (math.log(1 + len(bags) / df[word]) for word in range(len(number_of))))
    rank = array("I", bytes(4 * len(number_of)))  # the rarest first, then by how they are spelt
    for place, (_, word) in enumerate(sorted(number_of.items(), key=lambda one: (-weight[one[1]], one[0]))):
        rank[word] = place
    totals = [sum(weight[word] for word in bag) for bag in bags]
    seen: dict[int, array[int]] = {}
    for number, bag in enumerate(bags):
        prefix = [word for word in _prefix(bag, weight, rank, totals[number] * (1 - threshold)) if df[word] > 1]
        proposed = {n for word in prefix if word in seen for n in seen[word][-_OFTEN:]}
        known = set(bag) if proposed else set[int]()
        for other in sorted(proposed):
            common = sum(weight[word] for word in bags[other] if word in known)
            if common >= threshold * (totals[number] + totals[other] - common):
                yield other, number
        for word in prefix:
            seen.setdefault(word, array("I")).append(number)


def _bag(text: str, number_of: dict[str, int]) -> array[int]:
    """The words of a text, each once, as numbers: of hundreds of thousands of texts these are small."""
    return array("I", sorted({number_of.setdefault(word, len(number_of)) for word in words(simplified(text))}))


def _prefix(bag: array[int], weight: array[float], rank: array[int], most: float) -> Iterator[int]:
    """The rarest words, of which a text that is alike must have one: without them it weighs less than the threshold.

    `most`: what words may weigh that are no part of what two such texts have in common.
    """
    taken = 0.0
    for word in sorted(bag, key=rank.__getitem__):
        if taken > most:
            break
        yield word
        taken += weight[word]
