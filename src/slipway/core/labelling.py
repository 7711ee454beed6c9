"""What people label: a queue of items, and what each annotator said of an item. Values only; no storage, no arithmetic.

A judgement's value by kind of queue: `answer` {decision: accept | correct | wrong, text}, `label` {label}, `compare`
{choice: first | second | both | neither}, `spans` {spans: [[start, end, label], ...]} in characters of the item's text,
`rubric` {scores: {criterion: points}}. All of them may be {skip: true}.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import msgspec

from slipway.core.ref import Noun

Kind = Literal["answer", "label", "compare", "spans", "rubric"]
Source = Literal["traces", "examples", "documents", "file"]
Pick = Literal["random", "thumbs-down", "low-confidence", "disagreement", "novelty"]
KINDS: tuple[Kind, ...] = get_args(Kind)
PICKS: tuple[Pick, ...] = get_args(Pick)
DECISIONS = ("accept", "correct", "wrong")
CHOICES = ("first", "second", "both", "neither")
Value = dict[str, Any]


class Criterion(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of a rubric: whole points from `low` to `high`."""

    name: str
    low: int = 1
    high: int = 5


class Queue(Noun, frozen=True, kw_only=True):
    """What is asked of the items of one queue. `name` is its identity.

    `annotators`: judgements that an item needs. `blind`: the model's own label is shown after the person's.
    `population`: how many units the items were drawn from, and `left_out` how many others were not, by reason.
    """

    name: str
    kind: Kind
    source: Source
    created: str
    by: str
    labels: tuple[str, ...] = ()
    rubric: tuple[Criterion, ...] = ()
    instructions: str = ""
    annotators: int = 1
    blind: bool = False
    population: int = 0
    left_out: dict[str, int] = {}
    seed: int = 0


class Item(Noun, frozen=True, kw_only=True):
    """One thing to label. `input` has the fields of the project's task; `text` is what is read and marked.

    `answer`: what is judged, or the label that a model gave; `other`: the second of a comparison. `probability`: that
    the drawing took this unit, in (0, 1]; None where nobody drew. `lineage`: `trace:ID` and the like, with spaces
    between them.
    """

    id: str
    input: dict[str, Any]
    text: str
    answer: str = ""
    other: str = ""
    passages: tuple[tuple[str, str], ...] = ()  # (source, text) that the answer rests on
    confidence: float | None = None
    lineage: str = ""
    release: str = ""
    pick: Pick = "random"
    probability: float | None = None


class Judgement(Noun, frozen=True, kw_only=True):
    """What one annotator said of one item. `by`: name of the key, `key`: its id, empty on a server without keys.

    `guess`: what was said before the model's label was shown; `open`: it was shown, and the last word is still to come.
    `settles`: it is the adjudication of an item, of which there is one.
    """

    id: str
    item: str
    by: str
    at: str
    value: Value
    key: str = ""
    guess: Value | None = None
    open: bool = False
    settles: bool = False

    @property
    def who(self) -> str:
        """What tells annotators apart: the key, for two of them may have one name."""
        return self.key or self.by

    @property
    def skipped(self) -> bool:
        """Whether the annotator could not tell."""
        return bool(self.value.get("skip"))
