"""What was asked and answered, what users said of it, and who may ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from slipway.core.answer import Answer
from slipway.core.trace import Feedback, Trace
from slipway.i18n import joined, t, told
from slipway.render.cells import price
from slipway.render.document import Column, Document, Passage, Table, listed
from slipway.render.pages.feedback import why_left
from slipway.serve.auth.keys import Key


def traces(found: Sequence[Trace], *, more: bool = False) -> Document:
    """Served requests. `more`: there may be older ones."""
    columns = [Column(t("when"), "time"), Column(t("trace"), "digest"), Column(t("channel")),
               Column(t("status")), Column(t("seconds"), "seconds"), Column(t("input"), "excerpt", 50),
               Column(t("answer"), "excerpt", 50)]  # fmt: skip
    rows = [[f.at, f.id, f.channel, f.status, f.seconds, f.asked, f.said if f.answer else told(f.error)] for f in found]
    notes = [t("older ones: {option}", option=f"--before {found[-1].id}")] if found and more else []
    return listed(found, Table(t("Traces"), columns, rows, notes))


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
    if not found.kept:
        return Document({"trace": found, "feedback": said}, [*parts, not_kept(), feedback_table(said)])
    for who, what in found.turns:
        parts += [f"{who}:" if who else t("input:"), Passage(what)]
    if found.answer:
        parts += [t("answer:"), Passage(found.answer.text), *_sources(found.answer)]
    return Document({"trace": found, "feedback": said}, [*parts, feedback_table(said)])


def not_kept() -> str:
    """Why a trace has no texts."""
    return t("Question, answer and passages of this request were not kept: serve.bodies keeps those of a share only.")


def feedback(found: Sequence[tuple[Feedback, Trace | None]]) -> Document:
    """What users said, and of what."""
    columns = [Column(t("when"), "time"), Column(t("trace")), Column(t("thumb")), Column(t("score"), "number"),
               Column(t("input"), "excerpt", 40), Column(t("answer"), "excerpt", 40),
               Column(t("correction")), Column(t("comment"))]  # fmt: skip
    rows = [
        [f.at, f.trace, f.thumb, f.score, of.asked if of else "", of.said if of else "", f.correction, f.comment]
        for f, of in found
    ]
    data = [
        {**msgspec.to_builtins(f), "asked": of.asked if of else None, "answer": of.said if of else None}
        for f, of in found
    ]
    return listed(data, Table(t("Feedback"), columns, rows))


def mined(made: Mapping[str, int], left: Mapping[str, int], file: Path) -> Document:
    """What was written as examples to review, and what was not."""
    lines = [t("nothing to write: no feedback has a correction or a thumb up")]
    if made:
        corrections, liked = made.get("correction", 0), made.get("thumb-up", 0)
        lines = [
            t("{n} examples written to {file}: {corrections} from corrections, {liked} proposed from answers with a "
              "thumb up", n=corrections + liked, file=file, corrections=corrections, liked=liked),
            t("review each, then delete its `review` and list the file under data.examples"),
        ]  # fmt: skip
    words = why_left()
    if left:
        why = joined((f"{words[reason]} {n}" for reason, n in left.items()), "、")
        lines.append(t("left out: {why}", why=why))
    return Document({"written": made, "left_out": left, "file": str(file)}, lines)


def feedback_table(found: Sequence[Feedback]) -> Table:
    """One a row."""
    columns = [Column(t("when"), "time"), Column(t("trace"), "digest"), Column(t("thumb")),
               Column(t("score"), "number"), Column(t("correction")), Column(t("comment"))]  # fmt: skip
    rows = [[f.at, f.trace, f.thumb, f.score, f.correction, f.comment] for f in found]
    return Table(t("Feedback"), columns, rows)


def keys(found: Sequence[Key]) -> Document:
    """API keys, never their secrets."""
    columns = [Column("id"), Column(t("name")), Column(t("for")), Column(t("tenant")), Column(t("when"), "time"),
               Column(t("revoked"), "time")]  # fmt: skip
    rows = [[k.id, k.name, k.scopes or t("everything"), k.tenant, k.at, k.revoked] for k in found]
    return listed(found, Table(t("Keys"), columns, rows))


def answer(found: Answer, *, unmeasured: bool = False) -> Document:
    """An answer and where it comes from. `unmeasured`: it is no candidate's, which is said."""
    tokens = found.usage.prompt_tokens + found.usage.completion_tokens
    took = t("{seconds:.2f} s, {tokens} tokens", seconds=found.seconds, tokens=tokens)
    took = joined(filter(None, (took, price(found.cost, found.currency))), "，")
    note = [t("a quote found by words alone: it was not measured, and is not what serves")] if unmeasured else []
    said = [Passage(found.text, whole=True)] if found.text or not found.abstained else []
    return Document(found, [*said, *_sure(found), *_sources(found), took, *note])


def _sure(found: Answer) -> list[str]:
    """How sure a label is, and what else it may be."""
    if found.error:
        return [told(found.error)]
    lines = [t("it abstained")] if found.abstained else []
    if found.confidence is not None and (found.label or not found.text):
        lines.append(t("confidence {value:.2f}", value=found.confidence))
        lines += [step.output for step in found.steps if step.name == "labels"]
    return lines


def _sources(found: Answer) -> list[str]:
    return [
        f"  [{n}]{'◀' if c.cited else ' '} {'#'.join([c.source, *c.path[-1:]])} ({c.score:.3f})"
        for n, c in enumerate(found.citations, 1)
    ]
