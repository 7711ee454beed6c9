"""Examples of a task of labels: which labels are in which split, and what no candidate can learn. Knows no file."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from slipway.core.material import Change, Example
from slipway.text.words import normalize_label


def labels_of(examples: Sequence[Example]) -> list[str]:
    """The label of each example as labels are compared, of several the first; empty without one."""
    return [normalize_label(example.expected[0]) if example.expected else "" for example in examples]


def label_problems(examples: Sequence[Example], declared: Mapping[str, str]) -> list[Change]:
    """A Change for each label that no example of train has, each that is spelled in several ways, and where train and
    dev have fewer than two labels. `declared`: the labels that the project names.
    """
    spelled: defaultdict[str, Counter[str]] = defaultdict(Counter)
    where: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for example, label in zip(examples, labels_of(examples), strict=True):
        if label:
            spelled[label][example.expected[0]] += 1
            where[label][str(example.split)] += 1
    changes: list[Change] = []
    for label, splits in sorted(where.items()):
        name = min(spelled[label], key=lambda one: (-spelled[label][one], one))
        if not splits["train"]:
            told = ", ".join(f"{split} {n}" for split, n in sorted(splits.items()))
            changes.append(_flagged(name, "label-untrained", told))
        if len(spelled[label]) > 1:
            changes.append(_flagged(name, "label-spelling", ", ".join(sorted(spelled[label]))))
    seen = [label for label, splits in where.items() if splits["train"] or splits["dev"]]
    if len(seen) < 2 and not declared:
        changes.append(_flagged(seen[0] if seen else "-", "one-label", ""))
    return changes


def _flagged(label: str, reason: str, detail: str) -> Change:
    return Change(item=f"label:{label}", step="split", action="flagged", reason=reason, detail=detail)
