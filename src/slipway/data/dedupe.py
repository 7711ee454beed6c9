"""Documents that say the same: exactly (equal text), or nearly (Jaccard similarity of word shingles).

The first by order stays. MinHash proposes pairs, the exact similarity decides, so the result is repeatable.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from slipway.core.material import Change, Document
from slipway.data.shingles import bands, jaccard, shingles


def drop_exact(documents: Sequence[Document]) -> tuple[list[int], list[Change]]:
    """Numbers of the documents that stay, and a Change for each other one."""
    first: dict[bytes, str] = {}
    kept: list[int] = []
    changes: list[Change] = []
    for number, document in enumerate(documents):
        key = hashlib.sha256(document.text.encode()).digest()
        if key in first:
            changes.append(_dropped(document, "exact-duplicate", f"the same text as {first[key]}"))
        else:
            first[key] = document.source
            kept.append(number)
    return kept, changes


def drop_near(
    documents: Sequence[Document], signatures: Sequence[bytes], threshold: float
) -> tuple[list[int], list[Change]]:
    """Numbers of the documents that stay: none is as similar as `threshold` to one that stays before it."""
    buckets: dict[bytes, list[int]] = {}
    kept: list[int] = []
    changes: list[Change] = []
    for number, document in enumerate(documents):
        parts = list(bands(signatures[number], threshold))
        near = _most_similar(documents, number, sorted({n for part in parts for n in buckets.get(part, ())}), threshold)
        if near is not None:
            detail = f"{near[1]:.2f} of its word runs are those of {documents[near[0]].source}"
            changes.append(_dropped(document, "near-duplicate", detail))
            continue
        kept.append(number)
        for part in parts:
            buckets.setdefault(part, []).append(number)
    return kept, changes


def _most_similar(
    documents: Sequence[Document], number: int, others: list[int], threshold: float
) -> tuple[int, float] | None:
    if not others:
        return None
    own = shingles(documents[number].text)
    similar = [(other, jaccard(own, shingles(documents[other].text))) for other in others]
    best = max(similar, key=lambda pair: (pair[1], -pair[0]))
    return best if best[1] >= threshold else None


def _dropped(document: Document, reason: str, detail: str) -> Change:
    return Change(item=document.source, step="deduplicate", action="dropped", reason=reason, detail=detail)
