"""What is in a frozen dataset, what was changed on the way in, and how two differ: plain data for those who show it."""

from __future__ import annotations

from collections import Counter

import msgspec

from slipway.core.material import Change, Chunk, Dataset, Document, Example
from slipway.core.ref import Noun, digest_of
from slipway.errors import ConfigError
from slipway.i18n import t
from slipway.store.store import Store

_TYPES: dict[str, type[Document] | type[Chunk] | type[Example]] = {
    "documents": Document, "chunks": Chunk, "examples": Example
}  # fmt: skip


def items(dataset: Dataset, store: Store) -> list[Noun]:
    """The documents, chunks or examples, in order."""
    return list(store.blobs.get_lines(dataset.items, _TYPES[dataset.kind]))


def changes(dataset: Dataset, store: Store, reason: str | None = None) -> list[Change]:
    """What was dropped, changed or flagged, in order; only one `reason` when it is given."""
    if not dataset.changes:
        return []
    every = store.blobs.get_lines(dataset.changes, Change)
    return [change for change in every if reason is None or change.reason == reason]


class ItemChange(msgspec.Struct, frozen=True, kw_only=True):
    """An item that is in both, and the names of its fields that differ."""

    item: str
    fields: list[str]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """From one dataset to another: keys `added` and `removed`, what `changed`, and how many are the `same`."""

    added: list[str]
    removed: list[str]
    changed: list[ItemChange]
    same: int


def diff(a: Dataset, b: Dataset, store: Store) -> Difference:
    """From `a` to `b`.

    Keys: a document's source; a chunk's source, headings and place under them; an example's input. Raises
    ConfigError for datasets of different kinds.
    """
    if a.kind != b.kind:
        raise ConfigError(
            t("{a} holds {kind_a}, {b} holds {kind_b}", a=a.ref.short, b=b.ref.short, kind_a=a.kind, kind_b=b.kind),
            t("compare two datasets of the same kind"),
        )
    before, after = _keyed(items(a, store)), _keyed(items(b, store))
    changed = [
        ItemChange(item=key, fields=_fields(before[key], item))
        for key, item in after.items()
        if key in before and digest_of(before[key]) != digest_of(item)
    ]
    return Difference(
        added=[key for key in after if key not in before],
        removed=[key for key in before if key not in after],
        changed=changed,
        same=sum(key in before for key in after) - len(changed),
    )


def _text(item: Noun) -> str:
    return item.text if isinstance(item, Example) else getattr(item, "text", "")


def _fields(before: Noun, after: Noun) -> list[str]:
    names = (field.name for field in msgspec.structs.fields(before))
    return [name for name in names if getattr(before, name) != getattr(after, name)]


def _keyed(held: list[Noun]) -> dict[str, Noun]:
    """Items by what they are called; those with the same name get a number."""
    found: dict[str, Noun] = {}
    seen: Counter[str] = Counter()
    for item in held:
        name = _name(item)
        seen[name] += 1
        found[name if seen[name] == 1 else f"{name} ({seen[name]})"] = item
    return found


def _name(item: Noun) -> str:
    if isinstance(item, Example):
        return _text(item)
    if isinstance(item, Chunk):
        return "#".join([item.source, " > ".join(item.path)]) if item.path else item.source
    return item.source if isinstance(item, Document) else item.digest
