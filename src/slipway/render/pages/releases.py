"""Releases: what may serve, what each channel points at, and how it came to that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slipway.core.history import History
from slipway.core.release import Release, Verdict
from slipway.i18n import t
from slipway.release.promote import PASSED
from slipway.render.cells import moment
from slipway.render.document import Column, Document, Table, listed
from slipway.render.pages.verdicts import verdict_table


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
        [[one.at, one.action, one.channel, one.release, one.by, _reason(one.why)] for one in history.decisions],
    )  # fmt: skip
    data = {
        "releases": [{"at": at, "digest": r.digest, "channels": c, "release": r} for at, r, c in found],
        "history": history.decisions,
        "head": history.head,
    }
    return Document(data, [table, promotions, *_head(history.head)], table)


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


def release_difference(found: Mapping[str, tuple[Any, Any]]) -> Document:
    """Field by field."""
    columns = [Column(t("field")), Column(t("before"), "excerpt", 70), Column(t("after"), "excerpt", 70)]
    return listed(found, Table(t("Differences"), columns, [[k, a, b] for k, (a, b) in found.items()]))


def checked(found: Sequence[str], after: str) -> Document:
    """What was looked at, then a sentence."""
    return Document(found, [*(f"  {line}" for line in found), after])
