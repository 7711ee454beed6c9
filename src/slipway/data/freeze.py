"""Items and changes become a frozen Dataset: two blobs, counts, and the noun in the catalog."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from slipway.core.material import Change, Dataset
from slipway.core.ref import Noun, Ref
from slipway.store.store import Store


def freeze(
    kind: Literal["documents", "chunks", "examples"],
    items: Sequence[Noun],
    changes: Sequence[Change],
    counts: Mapping[str, int],
    store: Store,
    lineage: Iterable[Ref] = (),
) -> Dataset:
    """Write the items (in order) and changes, and record the dataset; the same content gives the same dataset.

    `counts` gains `dropped/REASON`, `changed/REASON` and `flagged/REASON`. Blobs are durable before the noun is.
    """
    tally = Counter(f"{change.action}/{change.reason}" for change in changes)
    dataset = Dataset(
        name=kind,
        kind=kind,
        items=store.blobs.put_lines(items),
        size=len(items),
        changes=store.blobs.put_lines(changes) if changes else "",
        lineage=tuple(lineage),
        counts={**counts, **dict(sorted(tally.items()))},
    )
    store.catalog.put("dataset", dataset.name, dataset)
    return dataset
