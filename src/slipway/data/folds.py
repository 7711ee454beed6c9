"""Which fold each example is in: whole groups and near duplicates together, labels and splits spread evenly.

A fold is a part of train and dev. What is fitted without it answers it, so that every example is answered by something
that knows neither it nor one like it (stratified group k-fold, with the groups joined where inputs are alike).
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from typing import NamedTuple

from slipway.core.material import Dataset, Example
from slipway.data.leaks import alike
from slipway.errors import ConfigError
from slipway.i18n import t

NEVER = -1  # the fold of an example that is only learnt from, and is like none that is answered

_NAME = re.compile(r"(.*):fold-\d+-of-(\d+)")


class _Unit(NamedTuple):
    """Examples that stay together, by number. `size`: how many of them are answered."""

    members: tuple[int, ...]
    size: int
    split: str
    label: str
    rank: str  # seeded hash


def assign_folds(
    examples: Sequence[Example],
    texts: Sequence[str],
    count: int,
    seed: int,
    labels: Sequence[str] = (),
    learnt: Collection[int] = (),
) -> list[int]:
    """The fold of each example of train and dev, 0 to `count` - 1.

    `texts`: their inputs. `labels`: one each, where the task has labels. `learnt`: numbers of examples that are only to
    be learnt from; they are in the fold of what they are like, else in none (`NEVER`). The order of the examples does
    not matter. Raises ConfigError for fewer independent groups than folds.
    """
    units = _units(examples, texts, seed, labels or [""] * len(examples), frozenset(learnt))
    if len(units) < count:
        raise ConfigError(
            t("evaluate.folds: {count} folds need as many independent groups in train and dev; there are {n}",
              count=count, n=len(units)),
            t("lower evaluate.folds, or add examples: groups and inputs that are alike stay in one fold"),
        )  # fmt: skip
    found = [NEVER] * len(examples)
    held: Counter[tuple[str, ...]] = Counter()
    for unit in units:
        kinds = ((unit.split, unit.label), (unit.label,), (unit.split, "", ""), ())

        def load(fold: int, kinds: tuple[tuple[str, ...], ...] = kinds) -> tuple[int, ...]:
            return (*(held[(str(fold), *kind)] for kind in kinds), fold)

        fold = min(range(count), key=load)
        for kind in kinds:
            held[(str(fold), *kind)] += unit.size
        for member in unit.members:
            found[member] = fold
    return found


def _units(
    examples: Sequence[Example], texts: Sequence[str], seed: int, labels: Sequence[str], learnt: frozenset[int]
) -> list[_Unit]:
    """Those with something to answer: the largest of a kind first, else by hash."""
    root = list(range(len(examples)))

    def find(number: int) -> int:
        while root[number] != number:
            root[number] = number = root[root[number]]
        return number

    groups: dict[str, int] = {}
    for number, example in enumerate(examples):
        if example.group:
            root[find(number)] = find(groups.setdefault(example.group, number))
    for one, other in alike(texts):
        root[find(other)] = find(one)
    together: defaultdict[int, list[int]] = defaultdict(list)
    for number in range(len(examples)):
        together[find(number)].append(number)
    units: list[_Unit] = []
    for members in together.values():
        asked = [number for number in members if number not in learnt]
        if asked:
            key = min(examples[number].id for number in asked)
            rank = hashlib.sha256(f"{seed}\0{key}".encode()).hexdigest()
            split = _most([str(examples[number].split) for number in asked])
            units.append(_Unit(tuple(members), len(asked), split, _most([labels[number] for number in asked]), rank))
    return sorted(units, key=lambda unit: (-unit.size, unit.rank))


def _most(names: Sequence[str]) -> str:
    """The most frequent, the first by name among equals."""
    counts = Counter(names)
    return min(counts, key=lambda name: (-counts[name], name))


def fold_name(name: str, fold: int, count: int) -> str:
    """What a set is called in which a fold, counted from 0, is held back."""
    return f"{name}:fold-{fold + 1}-of-{count}"


def folds_of(found: Dataset) -> str:
    """What the sets of one cross-validation have in common, a word that may stand in an address; empty for others."""
    named = _NAME.fullmatch(found.name)
    return f"{named[2]}-{found.lineage[0].digest}" if named and found.lineage else ""


def folds_together(found: Sequence[tuple[str, Dataset]]) -> list[tuple[str, Dataset, int]]:
    """(when, set, folds) in the same order, where the first of the sets of one cross-validation stands for all of
    them. `folds`: how many they are; 0 for a set that is none of them.
    """
    places: dict[str, int] = {}
    together: list[tuple[str, Dataset, int]] = []
    for at, one in found:
        same = folds_of(one)
        place = places.setdefault(same, len(together)) if same else len(together)
        if place < len(together):
            together[place] = (*together[place][:2], together[place][2] + 1)
        else:
            together.append((at, one, int(bool(same))))
    return together
