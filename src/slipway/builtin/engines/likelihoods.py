"""How likely each of several answers is, when a model tells the probabilities of next tokens. Knows no engine.

Answers share beginnings, so their tokens make a tree (a trie). It is walked best first (uniform-cost search): a branch
is only followed while it may still lead near the best answer, which its probability so far bounds from above. With
77 labels of 6 tokens, a tenth of the tokens is evaluated; what is left out has a bound in place of a value.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from slipway.core.message import Likelihood

Ask = Callable[[tuple[int, ...], tuple[int, ...]], Awaitable[dict[int, float]]]
"""(tokens so far, tokens that may be next) -> the natural-log probability of each of these."""


@dataclass
class _Node:
    path: tuple[int, ...] = ()
    logprob: float = 0.0
    offset: float = -math.inf  # the highest of an answer below
    below: dict[int, _Node] = field(default_factory=dict)
    ending: list[int] = field(default_factory=list)  # answers that end here, by number

    @property
    def bound(self) -> float:
        """At most this is an answer below worth."""
        return self.logprob + self.offset


async def walk(
    answers: Sequence[Sequence[int]], offsets: Sequence[float], within: float, ask: Ask
) -> tuple[Likelihood, ...]:
    """The likelihood of each answer (tokens, in its order); see `core.protocols.ScoresAnswers` for the arguments.

    An answer without tokens has the probability 1. Raises what `ask` raises.
    """
    root = _tree(answers, offsets)
    worth, best = [math.nan] * len(answers), -math.inf
    count, heap = 0, [(-root.bound, 0, root)]
    left: list[_Node] = []
    while heap:
        bound, _, node = heapq.heappop(heap)
        if -bound < best - within:
            left.append(node)
            continue
        for number in node.ending:
            worth[number] = node.logprob
            best = max(best, node.logprob + offsets[number])
        if node.below:
            known = await ask(node.path, tuple(node.below))
            for token, child in node.below.items():
                child.logprob = node.logprob + known[token]
                count += 1
                heapq.heappush(heap, (-child.bound, count, child))
    bounds = {number: node.logprob for node in left for number in _under(node)}
    return tuple(
        Likelihood(logprob=bounds.get(n, worth[n]), tokens=len(ids), exact=n not in bounds)
        for n, ids in enumerate(answers)
    )


def _tree(answers: Sequence[Sequence[int]], offsets: Sequence[float]) -> _Node:
    root = _Node()
    for number, (ids, offset) in enumerate(zip(answers, offsets, strict=True)):
        node = root
        node.offset = max(node.offset, offset)
        for token in ids:
            node = node.below.setdefault(token, _Node(path=(*node.path, token)))
            node.offset = max(node.offset, offset)
        node.ending.append(number)
    return root


def _under(node: _Node) -> list[int]:
    found, waiting = list[int](), [node]
    while waiting:
        one = waiting.pop()
        found += one.ending
        waiting += one.below.values()
    return found
