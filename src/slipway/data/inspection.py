"""What is in a frozen dataset, what was changed on the way in, and how two differ: plain data for those who show it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from slipway.core.material import Change, Chunk, Dataset, Document, Example
from slipway.core.ref import Noun, digest_of
from slipway.data.reasons import explain
from slipway.errors import ConfigError
from slipway.i18n import t
from slipway.store.store import Store
from slipway.text.words import weigh

_TYPES: dict[str, type[Document] | type[Chunk] | type[Example]] = {
    "documents": Document, "chunks": Chunk, "examples": Example
}  # fmt: skip


def items(dataset: Dataset, store: Store) -> list[Noun]:
    """The documents, chunks or examples, in order."""
    return list(store.blobs.get_lines(dataset.items, _TYPES[dataset.kind]))


def describe(dataset: Dataset, store: Store, first: int = 3) -> dict[str, Any]:
    """ref, kind, size, counts, lineage, sizes, reasons, and the `first` items.

    `lengths`: weighted characters (min, median, max) of texts or inputs. `reasons`: a list of {action, reason,
    meaning, count}, most frequent first.
    """
    held = items(dataset, store)
    lengths = sorted(weigh(_text(item)) for item in held)
    tally = Counter((change.action, change.reason) for change in changes(dataset, store))
    return {
        "ref": str(dataset.ref),
        "name": dataset.name,
        "kind": dataset.kind,
        "size": dataset.size,
        "counts": dataset.counts,
        "lineage": [str(ref) for ref in dataset.lineage],
        "lengths": {"min": lengths[0], "median": lengths[len(lengths) // 2], "max": lengths[-1]} if lengths else {},
        "reasons": [
            {"action": action, "reason": reason, "meaning": explain(reason), "count": count}
            for (action, reason), count in sorted(tally.items(), key=lambda pair: (-pair[1], pair[0]))
        ],
        "first": [msgspec.to_builtins(item) for item in held[:first]],
    }


def changes(dataset: Dataset, store: Store, reason: str | None = None) -> list[Change]:
    """What was dropped, changed or flagged, in order; only one `reason` when it is given."""
    if not dataset.changes:
        return []
    every = store.blobs.get_lines(dataset.changes, Change)
    return [change for change in every if reason is None or change.reason == reason]


def diff(a: Dataset, b: Dataset, store: Store) -> dict[str, Any]:
    """From `a` to `b`: `added` and `removed` keys, `changed` [{item, fields}], and how many are the `same`.

    Keys: a document's source; a chunk's source, headings and place under them; an example's input. Raises
    ConfigError for datasets of different kinds.
    """
    if a.kind != b.kind:
        raise ConfigError(
            t("{a} holds {kind_a}, {b} holds {kind_b}", a=a.ref.short, b=b.ref.short, kind_a=a.kind, kind_b=b.kind),
            t("compare two datasets of the same kind"),
        )
    before, after = _keyed(items(a, store)), _keyed(items(b, store))
    changed: list[dict[str, Any]] = []
    for key, item in after.items():
        if key in before and digest_of(before[key]) != digest_of(item):
            changed.append({"item": key, "fields": _fields(before[key], item)})
    return {
        "added": [key for key in after if key not in before],
        "removed": [key for key in before if key not in after],
        "changed": changed,
        "same": sum(key in before for key in after) - len(changed),
    }


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
