"""Documents that say the same: exactly (equal text), or nearly (Jaccard similarity of word shingles, and one name).

The first by order stays, and each Change names it (`kept`), so that references can follow. MinHash proposes pairs, the
exact similarity decides, so the result is repeatable.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from slipway.core.material import Change, Document, Section
from slipway.data.shingles import bands, jaccard, shingles
from slipway.text.words import normalize_label

OTHER_NUMBERS = "; other numbers: "  # in the detail of a near duplicate
_NUMBER = re.compile(r"\d(?:[\d.,:/-]{0,30}\d)?")
_TOLD = 3
_SAME_SECTION = 0.5  # of the word runs of two sections are shared where one stands for the other


def drop_exact(documents: Sequence[Document]) -> tuple[list[int], list[Change]]:
    """Numbers of the documents that stay, and a Change for each other one."""
    first: dict[bytes, str] = {}
    kept: list[int] = []
    changes: list[Change] = []
    for number, document in enumerate(documents):
        key = hashlib.sha256(document.text.encode()).digest()
        if key in first:
            changes.append(_dropped(document, "exact-duplicate", f"the same text as {first[key]}", first[key]))
        else:
            first[key] = document.source
            kept.append(number)
    return kept, changes


def drop_near(
    documents: Sequence[Document], signatures: Sequence[bytes], threshold: float
) -> tuple[list[int], list[Change]]:
    """Numbers of the documents that stay: none is as similar as `threshold` to one of its name that stays before it."""
    buckets: dict[bytes, list[int]] = {}
    kept: list[int] = []
    changes: list[Change] = []
    for number, document in enumerate(documents):
        parts = list(bands(signatures[number], threshold))
        near = _most_similar(documents, number, sorted({n for part in parts for n in buckets.get(part, ())}), threshold)
        if near is not None:
            kept_one = documents[near[0]]
            detail = f"{near[1]:.2f} of its word runs are those of {kept_one.source}{_numbers(document, kept_one)}"
            headings = _headings(document, kept_one)
            changes.append(_dropped(document, "near-duplicate", detail, kept_one.source, headings))
            continue
        kept.append(number)
        for part in parts:
            buckets.setdefault(part, []).append(number)
    return kept, changes


def _most_similar(
    documents: Sequence[Document], number: int, others: list[int], threshold: float
) -> tuple[int, float] | None:
    others = [other for other in others if _called(documents[other]) == _called(documents[number])]
    if not others:
        return None
    own = shingles(documents[number].text)
    similar = [(other, jaccard(own, shingles(documents[other].text))) for other in others]
    best = max(similar, key=lambda pair: (pair[1], -pair[0]))
    return best if best[1] >= threshold else None


def _called(document: Document) -> tuple[str, str]:
    """Title and first heading: pages made from one pattern, of two functions or two versions, differ in these."""
    first = next((section.path[0] for section in document.sections if section.path), "")
    return normalize_label(document.title), normalize_label(first)


def _numbers(dropped: Document, kept: Document) -> str:
    """Numbers that one of them says and the other does not, such as a date: versions of one text differ in these."""
    ours, theirs = (dict.fromkeys(_NUMBER.findall(document.text)) for document in (dropped, kept))
    own, other = ([one for one in these if one not in those] for these, those in ((ours, theirs), (theirs, ours)))
    if not own and not other:
        return ""
    told = [", ".join(numbers[:_TOLD]) + (", ..." if len(numbers) > _TOLD else "") for numbers in (own, other)]
    return f"{OTHER_NUMBERS}{told[0] or 'none'} here, {told[1] or 'none'} there"


def _headings(dropped: Document, kept: Document) -> dict[str, str]:
    """Headings that the kept document does not have -> the heading of the section most like theirs, or ''."""
    there = {normalize_label(step) for section in kept.sections for step in section.path}
    bodies = [(section.path[-1], _words_under(kept, section)) for section in kept.sections if section.path]
    found: dict[str, str] = {}
    for section in dropped.sections:
        if section.path and normalize_label(section.path[-1]) not in there:
            own = _words_under(dropped, section)
            share, name = max(((jaccard(own, body), name) for name, body in bodies), default=(0.0, ""))
            found[section.path[-1]] = name if share >= _SAME_SECTION else ""
    return found


def _words_under(document: Document, section: Section) -> set[str]:
    return shingles(document.text[section.start : section.end].partition("\n")[2])


def _dropped(document: Document, reason: str, detail: str, kept: str, headings: dict[str, str] | None = None) -> Change:
    return Change(
        item=document.source, step="deduplicate", action="dropped", reason=reason, detail=detail, kept=kept,
        headings=headings or {},
    )  # fmt: skip
