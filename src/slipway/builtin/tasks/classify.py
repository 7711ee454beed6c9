"""`task: classify`: a text, and the one label that fits it best."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from functools import cached_property
from typing import Any, ClassVar, cast

from pydantic import BaseModel, ConfigDict, field_validator

from slipway.builtin.tasks.label_files import labels_in
from slipway.builtin.tasks.text_input import LONGEST, TextInput
from slipway.core.answer import Output
from slipway.errors import ConfigError, nearest
from slipway.i18n import t
from slipway.text.words import normalize_label, words

MOST_LABELS = 10_000
MOST_CHARACTERS = 200  # of a label
_JOINED = re.compile(r"(?<=[^\W_])[_-](?=[^\W_])")


class ClassifyConfig(BaseModel):
    """`labels`: all that there are, a list, a mapping of each to what it means, or a file of them. Without them, those
    that examples of the splits train and dev have.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    labels: dict[str, str] = {}

    @field_validator("labels", mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple | dict):
            return value
        names = [_written(name) for name in cast("Iterable[Any]", value)]
        if twice := [name for name, n in Counter(names).items() if n > 1]:
            raise ValueError(t("the label '{name}' is listed twice", name=twice[0]))
        if isinstance(value, dict):
            meanings = list(cast("dict[Any, Any]", value).values())
            return {name: "" if what is None else what for name, what in zip(names, meanings, strict=True)}
        return dict.fromkeys(names, "")

    @field_validator("labels")
    @classmethod
    def _told_apart(cls, value: dict[str, str]) -> dict[str, str]:
        if len(value) == 1:
            raise ValueError(t("name at least two labels"))
        if len(value) > MOST_LABELS:
            raise ValueError(t("at most {n} labels are allowed", n=MOST_LABELS))
        known: dict[str, str] = {}
        for name in value:
            if not name.strip() or len(name) > MOST_CHARACTERS:
                raise ValueError(t("a label has 1 to {n} characters", n=MOST_CHARACTERS))
            same = known.setdefault(normalize_label(name), name)
            if same != name:
                raise ValueError(
                    t(
                        "the labels '{one}' and '{other}' differ only in case, spaces or punctuation",
                        one=same,
                        other=name,
                    )
                )
        return {name.strip(): meaning.strip() for name, meaning in value.items()}


class ClassifyTask(TextInput):
    """Rows have `text` and `label`; the last message of a chat is the text.

    Labels are compared without case, and without spaces and punctuation at their ends. What a model writes is a label
    when it is one, or when it names exactly one.
    """

    Config: ClassVar[type[ClassifyConfig]] = ClassifyConfig
    inputs: ClassVar[tuple[str, ...]] = ("text",)
    reference: ClassVar[str] = "label"

    def __init__(self, config: ClassifyConfig) -> None:
        self.config = config
        self._known = {normalize_label(name): name for name in config.labels}

    @staticmethod
    def read(options: Mapping[str, Any], text: Callable[[str, str], str]) -> dict[str, Any]:
        """See `core.protocols.ReadsFiles`: `labels` may name a file."""
        named = options.get("labels")
        return {**options, "labels": labels_in(named, text("labels", named))} if isinstance(named, str) else {**options}

    @property
    def labels(self) -> Mapping[str, str]:
        """Label -> what it means; empty as long as the examples are to tell."""
        return self.config.labels

    def learned(self, references: Sequence[str]) -> dict[str, Any]:
        """Options that name every label: those declared, else those of the references, in the spelling used most.

        Raises ConfigError for references of fewer than two labels.
        """
        if self.config.labels:
            return {"labels": dict(self.config.labels)}
        names = spellings(references)
        if len(names) < 2:
            raise ConfigError(
                t(
                    "the examples of train and dev have only the label '{name}': there is nothing to choose",
                    name=names[0],
                )
                if names
                else t("no example of train and dev has a label"),
                t(
                    "add examples of other labels, or name all labels: {example}",
                    example="task: {classify: {labels: [...]}}",
                ),
            )
        return {"labels": dict.fromkeys(names, "")}

    def expected(self, text: str) -> str:
        """The label as it is declared, else as it is written. Raises ConfigError for one that is not declared."""
        name = text.strip()
        if not name or len(name) > MOST_CHARACTERS:
            raise ConfigError(t("a label has 1 to {n} characters", n=MOST_CHARACTERS))
        if not self._known:
            return name
        if normalize_label(name) not in self._known:
            near = nearest(name, self.config.labels)
            raise ConfigError(
                t("'{name}' is none of the labels", name=name),
                t("did you mean '{near}'?", near=near) if near else t("name it under task: classify: labels"),
            )
        return self._known[normalize_label(name)]

    def output(self, text: str) -> Output:
        """The label that a model's text is, or the only one that it names. Raises ValueError for anything else."""
        said = text.strip()
        name = self._known.get(normalize_label(said)) if self._known else said[:MOST_CHARACTERS]
        if not name:
            named = self._named(said)
            if len(named) != 1:
                shown = " ".join(said.split())[:80]
                raise ValueError(f"'{shown}' names {' and '.join(sorted(named)[:5]) or 'no label'}")
            (name,) = named
        return Output(text=name, label=name)

    @cached_property
    def _by_words(self) -> dict[tuple[str, ...], str]:
        """Labels by their words; those that have the same words cannot be told within a text and are left out."""
        found: dict[tuple[str, ...], set[str]] = {}
        for name in self.config.labels:
            found.setdefault(_words(name), set()).add(name)
        return {key: names.pop() for key, names in found.items() if key and len(names) == 1}

    def _named(self, text: str) -> set[str]:
        """Labels whose words stand in the text one after the other; of labels that begin alike the longest."""
        tokens = _words(text[:LONGEST])
        longest = max(map(len, self._by_words), default=0)
        found: set[str] = set()
        at = 0
        while at < len(tokens):
            for size in range(min(longest, len(tokens) - at), 0, -1):
                name = self._by_words.get(tuple(tokens[at : at + size]))
                if name is not None:
                    found.add(name)
                    at += size - 1
                    break
            at += 1
        return found


def _written(name: Any) -> str:
    """A label of a list as its author wrote it. Raises ValueError for what YAML makes something else of, which nobody
    can tell from it: `no` and `false` are one.
    """
    if isinstance(name, bool | date) or name is None:
        raise ValueError(t("write labels such as yes, no, on, true, null and 2026-01-31 in quotes: YAML reads them as "
                           "something else"))  # fmt: skip
    if not isinstance(name, str | int | float):
        raise ValueError(t("a label must be text"))
    return str(name)


def spellings(references: Sequence[str]) -> list[str]:
    """The labels of references, sorted: of spellings that are compared as equal the most frequent, then the first."""
    counts: dict[str, Counter[str]] = {}
    for reference in references:
        counts.setdefault(normalize_label(reference), Counter())[reference.strip()] += 1
    return sorted(min(found, key=lambda name: (-found[name], name)) for found in counts.values())


def _words(text: str) -> tuple[str, ...]:
    return tuple(words(_JOINED.sub(" ", text)))
