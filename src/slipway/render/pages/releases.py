"""Releases: what may serve, what each channel points at, and how it came to that."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from itertools import accumulate
from typing import Any

from slipway.core.history import History
from slipway.core.release import Release, Verdict, is_consequence
from slipway.i18n import t
from slipway.release.promote import PASSED
from slipway.render.cells import moment
from slipway.render.document import Column, Document, Part, Passage, Section, Table
from slipway.render.pages.verdicts import verdict_table

_SHORT = 60  # characters up to which two texts are shown whole
_MOST = 4_000  # words of a text that are compared one by one
_AROUND = 3  # words shown before and after those that differ


def releases(found: Sequence[tuple[str, Release, list[str]]], history: History) -> Document:
    """Releases, the record of promotions, and the head of the history."""
    table = Table(
        t("Releases"),
        [Column(t("when"), "time"), Column(t("digest"), "digest"), Column(t("candidate")), Column(t("by")),
         Column(t("channels"))],
        [[r.created, r.digest, r.candidate.name, r.created_by, channels] for _, r, channels in found],
    )  # fmt: skip
    promotions = Table(
        t("Promotions"),
        [Column(t("when"), "time"), Column(t("action")), Column(t("channel")), Column(t("release"), "digest"),
         Column(t("by")), Column(t("why"))],
        [[one.at, decided(one.action), one.channel, one.release, one.by, _reason(one.why)]
         for one in history.decisions],
    )  # fmt: skip
    data = {
        "releases": [{"at": at, "digest": r.digest, "channels": c, "release": r} for at, r, c in found],
        "history": history.decisions,
        "head": history.head,
    }
    return Document(data, [table, promotions, *_head(history.head)], table)


def decided(action: str) -> str:
    """What was done to a channel, in the reader's language."""
    return {"promote": t("promote"), "rollback": t("rollback")}.get(action, action)


def _head(head: str) -> list[str]:
    return [t("head of the history: {head}", head=head)] if head else []


def _reason(why: str) -> str:
    """A person's own words; ours in the reader's language."""
    return t("passed the gate") if why == PASSED else why


def release(found: Release, judged: Verdict) -> Document:
    """A manifest and its verdict."""
    pins = Table(t("Pins"), [Column(t("what")), Column("sha256")], sorted(found.pins.items()))
    lines = [
        found.ref.short,
        f"  {found.candidate.short}",
        f"  {found.report.short}",
        f"  {moment(found.created)} {found.created_by} (slipway {found.slipway})",
        *(f"  {line}" for line in _head(found.history)),
    ]
    data = {"digest": found.digest, "release": found, "verdict": judged}
    return Document(data, [*lines, pins, verdict_table(judged)], pins)


def release_difference(found: Mapping[str, tuple[Any, Any]], *, whole: bool = False) -> Document:
    """What a person changed, then the digests that follow from it; of long texts the words that differ. `whole`: below
    them each long text as it is, with those words marked, for the forms that can.
    """
    columns = [Column(t("field")), Column(t("before"), "excerpt", 100), Column(t("after"), "excerpt", 100)]
    rows = [[key.removeprefix("candidate."), *_differing(*pair)] for key, pair in found.items()]
    split = sum(not is_consequence(key) for key in found)
    parts: list[Part] = [Table(t("What was changed"), columns, rows[:split])]
    parts += [_words_of(key.removeprefix("candidate."), before or "", after or "")
              for key, (before, after) in found.items()
              if whole and _long(before or "", after or "") and not is_consequence(key)]  # fmt: skip
    if rows[split:]:
        parts.append(Table(t("Digests that follow from it"), columns, rows[split:]))
    every = [[key, before, after] for key, (before, after) in found.items()]
    return Document(found, parts, Table(t("Differences"), columns, every))


def _differing(before: Any, after: Any) -> tuple[Any, Any]:
    """Two long texts cut to the words in which they differ, with some around them."""
    if not _long(before, after):
        return before, after
    left, right = _words(before), _words(after)
    first = next((n for n, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))
    most = min(len(left), len(right)) - first
    last = next((n for n in range(most) if left[-1 - n] != right[-1 - n]), most)
    return _cut(left, first, len(left) - last), _cut(right, first, len(right) - last)


def _long(before: Any, after: Any) -> bool:
    return isinstance(before, str) and isinstance(after, str) and max(len(before), len(after)) > _SHORT


def _words_of(title: str, before: str, after: str) -> Section:
    """Two texts whole; the words that are in one of them only are marked."""
    words = _words(before), _words(after)
    if max(map(len, words)) > _MOST:
        return Section(title, [t("The texts are too long to be compared word by word.")])
    found = SequenceMatcher(None, *words, autojunk=False).get_opcodes()
    gone = _spans(words[0], [(one[1], one[2]) for one in found if one[0] != "equal"])
    new = _spans(words[1], [(one[3], one[4]) for one in found if one[0] != "equal"])
    return Section(title, [
        Section(t("before"), [Passage(before, whole=True, marked=gone)], 3),
        Section(t("after"), [Passage(after, whole=True, marked=new)], 3),
    ])  # fmt: skip


def _spans(words: list[str], ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges of words as ranges of characters, those that are empty left out."""
    begins = [0, *accumulate(map(len, words))]
    return [(begins[start], begins[end]) for start, end in ranges if start < end]


def _words(text: str) -> list[str]:
    """Words, and each Chinese character by itself."""
    return re.findall(r"[\u4e00-\u9fff]|[^\s\u4e00-\u9fff]+\s*|\s+", text)


def _cut(words: list[str], first: int, last: int) -> str:
    start, end = max(0, first - _AROUND), last + _AROUND
    return ("…" if start else "") + "".join(words[start:end]) + ("…" if end < len(words) else "")


def checked(found: Sequence[str], after: str) -> Document:
    """What was looked at, then a sentence."""
    return Document(found, [*(f"  {line}" for line in found), after])
