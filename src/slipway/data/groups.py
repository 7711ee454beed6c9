"""Which examples belong together, so that no split knows what another is asked: by section, document, or any field.

The same input twice, in whichever script of Chinese, is one group whatever it is grouped by, and so are rows with the
same `group`.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from slipway.core.material import Change, Example
from slipway.data.parsing.tabular import missing, shown
from slipway.data.references import Place
from slipway.errors import ConfigError, nearest
from slipway.i18n import t
from slipway.text.simplified import simplified

_OPTIONAL = ("source", "document")  # what an example need not say
_KNOWN = ("source", "document", "language", "group")


class Entry(msgspec.Struct):
    """A valid row on its way: the example without group and split, its field `group`, what its sources stand for."""

    example: Example
    group: str
    places: tuple[Place, ...] = ()
    train: bool = False  # its file is one to learn from: it is in no other split


def folded(text: str) -> str:
    """A text to compare: case and white space do not count."""
    return " ".join(text.casefold().split())


def with_groups(
    entries: Sequence[Entry], texts: Sequence[str], group_by: str | None, changes: list[Change]
) -> list[Example]:
    """Examples with their group: what `group_by` names, joined where one example names several, or asks the same.

    By `source`: examples that rest on the same section, in any language, or on one within it. By `document`: on the
    same document or its translation. `texts` are the inputs. Where no example says its source, each is a group of its
    own, and told. Raises ConfigError when no example has another thing that it names.
    """
    named = [_values(entry, group_by) for entry in entries]
    if group_by is not None and group_by not in _OPTIONAL and not any(named):
        keys = [*_KNOWN, *sorted({name for entry in entries for name in entry.example.meta})]
        near = nearest(group_by, [key for key in keys if key != group_by])
        hint = t("did you mean '{near}'?", near=near) + " " if near else ""
        raise ConfigError(
            t("data.split.group_by: no example has '{name}'", name=group_by),
            hint + t("known: {names}; or delete data.split.group_by", names=", ".join(keys)),
        )
    union = _Union()
    for n, (entry, values) in enumerate(zip(entries, named, strict=True)):
        if group_by is not None and not values:
            place = entry.example.source
            changes.append(Change(item=place, step="split", action="flagged", reason="missing-group", detail=group_by))
        for value in [*values, *([entry.group] if entry.group else [])]:
            union.join(f"\1{n}", value)
        if group_by == "source":
            for section in (name for place in entry.places for name in place.sections):
                union.join(f"\1{n}", f"\3{section}")
        union.join(f"\1{n}", f"\2{simplified(folded(texts[n]))}")
    labels = union.labels()
    return [msgspec.structs.replace(e.example, group=labels.get(f"\1{n}", "")) for n, e in enumerate(entries)]


def _values(entry: Entry, group_by: str | None) -> list[str]:
    example = entry.example
    if group_by is None or group_by == "group":
        return [entry.group] if entry.group else []
    if group_by == "source":
        return [place.label for place in entry.places] or list(example.relevant)
    if group_by == "document":
        return [place.document for place in entry.places] or [name.partition("#")[0] for name in example.relevant]
    if group_by == "language":
        return [example.language]
    value = example.input.get(group_by, example.meta.get(group_by))
    return [] if missing(value) else [shown(value)]


class _Union:
    """Which names belong together (disjoint sets). Names that start with a control character are ours."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}

    def join(self, one: str, other: str) -> None:
        """These two belong together."""
        first, second = sorted((self._top(one), self._top(other)))
        if first != second:
            self._above[second] = first

    def labels(self) -> dict[str, str]:
        """Name -> its set's smallest given name; for a set without one, its text when several have it, else ''."""
        members: dict[str, list[str]] = {}
        for name in self._above:
            members.setdefault(self._top(name), []).append(name)
        found: dict[str, str] = {}
        for names in members.values():
            given = sorted(name for name in names if name[0] not in "\1\2\3")
            asked = sorted(name[1:] for name in names if name[0] == "\2")
            several = sum(name[0] == "\1" for name in names) > 1
            label = given[0] if given else asked[0] if several else ""
            found.update(dict.fromkeys(names, label))
        return found

    def _top(self, name: str) -> str:
        above = self._above.setdefault(name, name)
        while above != name:
            self._above[name] = self._above[above]
            name, above = above, self._above[above]
        return name
