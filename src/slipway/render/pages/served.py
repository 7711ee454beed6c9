"""What was asked and answered, what users said of it, and who may ask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from slipway.core.answer import Answer
from slipway.core.trace import Feedback, Trace
from slipway.i18n import t, told
from slipway.render.document import Column, Document, Passage, Table, listed
from slipway.serve.auth.keys import Key


def traces(found: Sequence[Trace]) -> Document:
    """Served requests."""
    columns = [Column(t("when"), "time"), Column(t("trace")), Column(t("channel")), Column(t("status")),
               Column(t("seconds"), "seconds"), Column(t("answer"), "excerpt")]  # fmt: skip
    rows = [[f.at, f.id, f.channel, f.status, f.seconds, f.answer.text if f.answer else told(f.error)] for f in found]
    return listed(found, Table(t("Traces"), columns, rows))


def trace(found: Trace, said: Sequence[Feedback]) -> Document:
    """One served request: what was asked, what answered, the passages, what users said."""
    facts = [
        [t("trace"), found.id],
        [t("when"), found.at],
        [t("endpoint"), found.endpoint],
        [t("channel"), found.channel],
        [t("release"), found.release],
        [t("status"), found.status],
        [t("seconds"), found.seconds],
        [t("key"), found.key],
        [t("tenant"), found.tenant],
        [t("error"), told(found.error)],
    ]
    parts: list[Any] = [Table("", [Column(t("field")), Column(t("value"))], [row for row in facts if row[1] != ""])]
    for who, what in _asked(found.request):
        parts += [f"{who}:" if who else t("input:"), Passage(what)]
    if found.answer:
        parts += [t("answer:"), Passage(found.answer.text), *_sources(found.answer)]
    return Document({"trace": found, "feedback": said}, [*parts, feedback_table(said)])


def _asked(request: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(role, text) of each message; of a prompt or texts to embed, without a role."""
    whole = request.get("messages") or request.get("prompt") or request.get("input") or []
    for one in whole if isinstance(whole, list) else [whole]:
        content = one.get("content") if isinstance(one, dict) else one
        parts = content if isinstance(content, list) else [content or ""]
        said = "\n".join(str(part.get("text") or part) if isinstance(part, dict) else str(part) for part in parts)
        yield str(one.get("role", "")) if isinstance(one, dict) else "", said


def feedback(found: Sequence[Feedback]) -> Document:
    """What users said."""
    return listed(found, feedback_table(found))


def feedback_table(found: Sequence[Feedback]) -> Table:
    """One a row."""
    columns = [Column(t("when"), "time"), Column(t("trace")), Column(t("thumb")), Column(t("score"), "number"),
               Column(t("correction")), Column(t("comment"))]  # fmt: skip
    rows = [[f.at, f.trace, f.thumb, f.score, f.correction, f.comment] for f in found]
    return Table(t("Feedback"), columns, rows)


def keys(found: Sequence[Key]) -> Document:
    """API keys, never their secrets."""
    columns = [Column("id"), Column(t("name")), Column(t("for")), Column(t("tenant")), Column(t("when"), "time"),
               Column(t("revoked"), "time")]  # fmt: skip
    rows = [[k.id, k.name, k.scopes or t("everything"), k.tenant, k.at, k.revoked] for k in found]
    return listed(found, Table(t("Keys"), columns, rows))


def answer(found: Answer) -> Document:
    """An answer and where it comes from."""
    tokens = found.usage.prompt_tokens + found.usage.completion_tokens
    spent = f", {found.cost:.6f} {found.currency}" if found.currency else ""
    took = t("{seconds:.2f} s, {tokens} tokens", seconds=found.seconds, tokens=tokens) + spent
    return Document(found, [Passage(found.text, whole=True), *_sources(found), took])


def _sources(found: Answer) -> list[str]:
    return [
        f"  [{n}]{'◀' if c.cited else ' '} {c.source}#{c.path[-1] if c.path else ''} ({c.score:.3f})"
        for n, c in enumerate(found.citations, 1)
    ]
