"""Documents about what was asked and answered: the list, and one trace with all that is known of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slipway.console.page import ROOT
from slipway.console.shared_text import markers, taken_over
from slipway.core.answer import Answer, Citation
from slipway.core.trace import Feedback, Trace
from slipway.i18n import t, told
from slipway.render.cells import Link, duration, price
from slipway.render.document import Column, Document, Part, Passage, Section, Table
from slipway.render.pages.served import feedback_table, not_kept
from slipway.render.pages.whole import said


def traces(found: Sequence[Trace], asked: str, *links: Link) -> Document:
    """Each leads to itself, with the filter that was `asked` for; `links` stand below."""
    columns = [
        Column(t("question"), "excerpt", 80),
        Column(t("answer"), "excerpt", 80),
        Column(t("when"), "time"),
        Column(t("channel")),
        Column(t("status")),
        Column(t("seconds"), "seconds"),
    ]
    rows: list[list[Any]] = [
        [
            Link(one.asked or (t("(empty)") if one.kept else t("(not kept)")), f"{ROOT}/traces/{one.id}{asked}"),
            one.said if one.answer else told(one.error),
            one.at,
            one.channel,
            one.status,
            one.seconds,
        ]
        for one in found
    ]
    return Document(None, [Table(t("Traces"), columns, rows), *links])


def trace(found: Trace, said: Sequence[Feedback], read: Sequence[Part]) -> Document:
    """What was asked, what answered, the passages with those that it cites first, what it took, what users said.

    `read`: what its model read.
    """
    if not found.kept:
        return Document(None, [not_kept(), _facts(found), feedback_table(said)])
    parts: list[Part] = [Section(who or t("input"), [Passage(what, whole=True)]) for who, what in found.turns]
    if found.answer is not None:
        parts += answer(found.answer)
    if found.error:
        parts.append(Section(t("error"), [told(found.error)]))
    parts += [_facts(found), feedback_table(said), *read]
    return Document(None, parts)


def answer(found: Answer, level: int = 2) -> list[Part]:
    """What was said, and what it rests on."""
    if found.error:
        return [Section(t("error"), [told(found.error)], level)]
    text = said(found)
    parts: list[Part] = [
        Section(t("answer"), [Passage(text, whole=True, marked=markers(text, len(found.citations)))], level)
    ]
    if found.citations:
        ordered = sorted(enumerate(found.citations, 1), key=lambda pair: not pair[1].cited)
        shown: list[Part] = [
            Section(_named(n, one), [_passage(one, found.text)], level + 1, ("cited",) if one.cited else ())
            for n, one in ordered
        ]
        parts.append(Section(t("passages"), shown, level))
    if found.raw and found.raw != found.text:
        parts.append(Section(t("what the model said"), [Passage(found.raw)], level))
    return parts


def _named(n: int, one: Citation) -> str:
    where = f"{one.source} {' > '.join(one.path)}".strip()
    return f"[{n}] {where} ({one.score:.3f}){' · ' + t('cited') if one.cited else ''}"


def _passage(one: Citation, said: str) -> Passage:
    """With what the answer took over from it, where it cites it."""
    text = one.shown or one.text
    return Passage(text, marked=taken_over(text, said) if one.cited else ())


def facts_of(found: Answer) -> list[list[Any]]:
    """(what, value) of what an answer took."""
    return [
        [t("first token"), duration(found.first_token_seconds)],
        [t("retrieval"), duration(found.retrieve_seconds)],
        [t("tokens read and written"), f"{found.usage.prompt_tokens} + {found.usage.completion_tokens}"],
        [t("cost"), price(found.cost, found.currency)],
        [t("confidence"), "" if found.confidence is None else f"{found.confidence:.2f}"],
    ]


def _facts(found: Trace) -> Table:
    release = Link(found.release[:12], f"{ROOT}/releases/{found.release}") if found.release else t("a raw model")
    rows: list[list[Any]] = [
        [t("trace"), found.id],
        [t("when"), found.at],
        [t("endpoint"), found.endpoint],
        [t("channel"), found.channel],
        [t("release"), release],
        [t("status"), found.status],
        [t("time taken"), duration(found.seconds)],
        [t("key"), found.key],
        *(facts_of(found.answer) if found.answer is not None else ()),
    ]
    return Table(t("Facts"), [Column(t("field")), Column(t("value"))], [row for row in rows if row[1] != ""])
