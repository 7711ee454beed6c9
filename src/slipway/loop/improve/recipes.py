"""Recipes: candidates that a turn tries, and the protocol of those who propose them. Measures nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any, ClassVar, Protocol

from slipway.core.protocols import Tuner
from slipway.core.ref import digest_of
from slipway.project.schema import CandidateConfig

_MARK = re.compile(r"-[0-9a-f]{6}$")


@dataclass(frozen=True)
class Recipe:
    """`change`: what is different from `parent`, in a few words; `prompt`: the text of a prompt of its own."""

    name: str
    parent: str
    by: str
    change: str
    config: CandidateConfig
    prompt: str = ""


@dataclass(frozen=True)
class Miss:
    """An example of train that what serves answers badly. `score`: of the metric that quality means, 0 to 1. `common`:
    its reference is that of other examples, too; `heard`: it is a row of feedback; `example`: its id.
    """

    text: str
    expected: Sequence[str]
    answer: str
    score: float
    language: str = "und"
    example: str = ""
    common: bool = False
    heard: bool = False


@dataclass(frozen=True)
class Situation:
    """What proposers know. `parents`: the project's candidates, whole, what serves first; `misses`: asks what serves
    about examples of train, once; `labels`: whether the task's references are a closed set.
    """

    parents: Mapping[str, CandidateConfig]
    tuner: Callable[[str], type[Tuner]]
    prompt: Callable[[str], str]
    misses: Callable[[], Sequence[Miss]]
    labels: bool = False
    learnt: int = 0  # rows that feedback gave


class Proposer(Protocol):
    """Proposes recipes, the most promising first, the same for the same situation."""

    name: ClassVar[str]

    def propose(self, situation: Situation) -> Iterable[Recipe]:
        """Recipes, as many as it has."""
        ...


def recipe(parent: str, by: str, change: str, config: CandidateConfig, prompt: str = "") -> Recipe:
    """A recipe whose name tells its parent and its content: `probe-3fa2c1`."""
    content = config.model_dump(mode="json", exclude_unset=True, exclude={"extends"})
    if prompt:
        content["prompt"] = prompt
    base = _MARK.sub("", parent)[:50]
    return Recipe(f"{base}-{digest_of(content)[:6]}", parent, by, change, config, prompt)


def changed(config: CandidateConfig, **keys: Any) -> CandidateConfig:
    """The candidate with these keys; a mapping is merged into the one that is there."""
    data = config.model_dump(exclude_unset=True, exclude={"extends"})
    for key, new in keys.items():
        old = data.get(key)
        data[key] = {**old, **new} if isinstance(old, dict) and isinstance(new, dict) and key != "tune" else new
    return CandidateConfig.model_validate(data)


def gather(proposers: Sequence[Proposer], situation: Situation, most: int) -> list[Recipe]:
    """One of each proposer in turn, without repeats, at most so many."""
    rounds = zip_longest(*(proposer.propose(situation) for proposer in proposers))
    found: dict[str, Recipe] = {}
    for one in chain.from_iterable(rounds):
        if one is not None and len(found) < most:
            found.setdefault(one.name, one)
    return list(found.values())
