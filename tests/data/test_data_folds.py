"""Folds: whole groups and near duplicates together, labels and splits spread, the same whatever the order of rows."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from slipway.core.material import Example, Split
from slipway.data.folds import NEVER, assign_folds
from slipway.errors import ConfigError

WORDS = ("anchor", "beacon", "cable", "davit", "ensign", "fender", "gangway", "hatch", "keel", "lantern")


def rows(n: int, group: int = 1) -> list[Example]:
    """Inputs of words of their own; `group` in a row share one. Every third is dev."""
    made: list[Example] = []
    for number in range(n):
        split: Split = "dev" if number // group % 3 == 2 else "train"
        text = f"{WORDS[number % 10]}{number} {WORDS[number * 7 % 10]}{number} row{number}"
        made.append(Example(input={"text": text}, split=split, group=f"g{number // group}" if group > 1 else ""))
    return made


def texts(examples: list[Example]) -> list[str]:
    return [str(example.input["text"]) for example in examples]


def test_groups_and_what_is_alike_stay_together() -> None:
    examples = rows(60, group=3)
    asked = texts(examples)
    asked[5], asked[40] = "the reader on table four restarts", "The reader on table four restarts again"
    found = assign_folds(examples, asked, 5, seed=1)
    by_group = {example.group: fold for example, fold in zip(examples, found, strict=True)}
    assert [by_group[example.group] for example in examples] == found
    assert found[5] == found[40]
    assert max(Counter(found).values()) - min(Counter(found).values()) <= 3, "no more than a group apart"


def test_each_label_and_each_split_is_spread_over_the_folds() -> None:
    examples = rows(90)
    labels = ["rare" if number % 9 == 0 else "often" for number in range(90)]
    found = assign_folds(examples, texts(examples), 5, seed=3, labels=labels)
    for kind in (labels, [str(example.split) for example in examples]):
        for name in set(kind):
            counts = Counter(fold for fold, one in zip(found, kind, strict=True) if one == name)
            assert max(counts.values()) - min(counts[fold] for fold in range(5)) <= 2, (name, counts)


def test_the_seed_decides_and_the_order_does_not() -> None:
    examples = rows(40)
    found = dict(zip(texts(examples), assign_folds(examples, texts(examples), 4, seed=1), strict=True))
    shuffled = random.Random(5).sample(examples, 40)
    again = assign_folds(shuffled, texts(shuffled), 4, seed=1)
    assert dict(zip(texts(shuffled), again, strict=True)) == found
    assert assign_folds(examples, texts(examples), 4, seed=2) != list(found.values())


def test_what_is_only_learnt_from_is_held_back_with_what_it_is_like() -> None:
    examples = rows(12)
    asked = [*texts(examples)[:10], "a text like no other here", texts(examples)[3].upper() + "!"]
    found = assign_folds(examples, asked, 3, seed=1, learnt=(10, 11))
    assert found[10] == NEVER
    assert found[11] == found[3]
    assert sorted(Counter(found[:10]).values()) == [3, 3, 4]


def test_fewer_groups_than_folds_are_refused() -> None:
    examples = rows(12, group=6)
    with pytest.raises(ConfigError, match="5 folds need as many independent groups in train and dev; there are 2"):
        assign_folds(examples, texts(examples), 5, seed=1)
