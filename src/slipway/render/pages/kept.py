"""What is kept of those who ask, and what was deleted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slipway.core.erasure import Erasure
from slipway.i18n import joined, t
from slipway.loop.kept import Kept
from slipway.render.document import Column, Document, Part, Table

HOUR, DAY = 3600.0, 86_400.0


def kept(found: Kept, sending: Mapping[str, int] | None = None, trouble: str = "") -> Document:
    """`sending`: spans that were sent and dropped since the server began; `trouble`: why none can be sent now."""
    parts: list[Part] = [_rules(found), _there(found), _elsewhere(found, sending, trouble), _deleted(found.deleted)]
    return Document(found, parts)


def _rules(found: Kept) -> Table:
    rows: list[list[Any]] = [[_kinds()[kind], _span(seconds)] for kind, seconds in found.seconds.items()]
    rows.append([t("size of all traces"), _bytes(found.size) if found.size is not None else t("without limit")])
    rows.append([t("requests whose question, answer and passages are kept"), f"{found.bodies:.0%}"])
    how = {"off": t("as they are"), "mask": t("masked"), "hash": t("replaced by hashes")}
    rows.append([t("personal data in what is kept"), how.get(found.redact, found.redact)])
    notes = [
        t("A trace stays longer while feedback to it stays, or while examples that were made of it do."),
        t("The rules stand in the project file: store.retention, serve.bodies, serve.redact."),
    ]
    return Table(t("What is kept, and how long"), [Column(t("what")), Column(t("rule"))], rows, notes)


def _there(found: Kept) -> Table:
    columns = [
        Column(t("what")),
        Column(t("how many"), "count"),
        Column(t("size"), "bytes"),
        Column(t("oldest"), "time"),
    ]
    rows = [
        [_kinds()[kind], found.count[kind], found.bytes[kind], found.oldest if kind == "traces" else ""]
        for kind in found.count
    ]
    return Table(t("What there is now"), columns, rows)


def _elsewhere(found: Kept, sending: Mapping[str, int] | None, trouble: str) -> Part:
    if not found.sent:
        return t("No telemetry is sent anywhere (serve.telemetry).")
    names = {"input": t("questions"), "answer": t("answers"), "passages": t("passages")}
    rows: list[list[Any]] = [
        [t("to"), found.sent],
        [t("requests whose spans are sent"), f"{found.sent_share:.0%}"],
        [t("texts that go along"), joined((names[one] for one in found.sent_bodies), "、") or t("none")],
    ]
    if sending is not None:
        rows += [[t("spans sent"), sending["sent"]], [t("spans dropped"), sending["dropped"]]]
    if trouble:
        rows.append([t("trouble"), trouble])
    return Table(t("Telemetry that is sent elsewhere"), [Column(t("what")), Column(t("value"))], rows)


def _deleted(found: Sequence[Erasure]) -> Part:
    if not found:
        return t("Nothing was deleted yet.")
    columns = [Column(t("when"), "time"), Column(t("by")), Column(t("why"), "excerpt", 200),
               Column(t("traces"), "count"), Column(t("feedback"), "count"), Column(t("other"))]  # fmt: skip
    rows: list[list[Any]] = []
    for one in found:
        by_itself = one.kind == "retention"
        why = t("over its time or its size (store.retention)") if by_itself else one.why or t("(no reason given)")
        others = {_kinds().get(kind, kind): n for kind, n in one.rows.items()}
        others |= {name: n for name, n in ((t("blobs"), len(one.blobs)), (t("candidates"), len(one.candidates))) if n}
        other = joined((f"{name} {n}" for name, n in others.items()), "、")
        rows.append([one.at, "Slipway" if by_itself else one.by, why, one.traces, one.feedback, other])
    return Table(t("What was deleted"), columns, rows)


def _kinds() -> Mapping[str, str]:
    return {
        "traces": t("traces"), "feedback": t("feedback"), "answers": t("remembered answers"),
        "steps": t("steps and what they remember"), "runs": t("runs"),
    }  # fmt: skip


def _span(seconds: float | None) -> str:
    if seconds is None:
        return t("without limit")
    if seconds >= DAY:
        return t("{n:g} days", n=round(seconds / DAY, 2))
    return t("{n:g} hours", n=round(seconds / HOUR, 2))


def _bytes(size: float) -> str:
    for unit, least in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if size >= least:
            return f"{size / least:g} {unit}"
    return f"{size:g} B"
