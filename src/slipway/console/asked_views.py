"""The part of a trace's page that tells what its model read: each request to it, in order, or why there was none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slipway.core.answer import Answer
from slipway.core.candidate import Candidate
from slipway.core.message import Message
from slipway.core.trace import Trace
from slipway.i18n import t
from slipway.loop.prompts import Sent
from slipway.render.document import Column, Part, Passage, Section, Table


def read(found: Trace, by: Candidate | None, sent: Sequence[Sent]) -> list[Part]:
    """`by`: who answered, where that is known."""
    return [Section(t("the prompt as the model read it"), _parts(found, by, sent)), *steps(found.answer)]


def _parts(found: Trace, by: Candidate | None, sent: Sequence[Sent]) -> list[Part]:
    if sent:
        note = t("The engine puts these messages into the chat template of its model.")
        several = len(sent) > 1
        return [note, *(part for n, one in enumerate(sent, 1) for part in _call(n, one, several=several))]
    if not found.release:
        return [t("A raw model was asked: it read what stands above, as it is.")]
    if by is None:
        return [t("It is not known any more: the release that answered is not kept.")]
    if by.model is None:
        parts: list[Part] = [
            t("No model was asked: the strategy '{name}' makes its answer without one.", name=by.strategy)
        ]
        return [*parts, *([looked] if (looked := _looked_at(found.answer)) else [])]
    return [t("What the model read was not noted: the request ended before it was asked, or an older version of "
              "Slipway answered.")]  # fmt: skip


def _looked_at(answer: Answer | None) -> Table | None:
    """What there was to answer from, in the order it was found."""
    if answer is None or not answer.citations:
        return None
    columns = [Column(t("rank"), "count"), Column(t("source")), Column(t("heading")), Column(t("score"), "number"),
               Column(t("used"))]  # fmt: skip
    rows: list[list[Any]] = [
        [n, one.source, " > ".join(one.path), one.score, t("yes") if one.cited else ""]
        for n, one in enumerate(answer.citations, 1)
    ]
    return Table(t("What it looked at"), columns, rows)


def _call(n: int, one: Sent, *, several: bool) -> list[Part]:
    call, parts = one.call, list[Part]()
    if call.after is not None:
        parts.append(t("after all of request {n} and what follows here:", n=call.after + 1))
    if call.times > 1:
        parts.append(t("sent {n} times, to draw as many answers", n=call.times))
    if call.scored:
        parts.append(t("the model wrote nothing: it told how likely each of {n} given answers is", n=call.scored))
    if call.tools:
        parts.append(t("tools that were offered: {names}", names=", ".join(call.tools)))
    if one.lost:
        parts.append(t("The prompt cannot be shown: {why}.", why=one.lost))
    level = 4 if several else 3
    parts += [
        Section(t("raw text") if call.raw else message.role, _message(message), level) for message in one.messages
    ]
    return [Section(t("request {n}", n=n), parts, 3)] if several else parts


def _message(one: Message) -> list[Part]:
    parts: list[Part] = [Passage(one.text)] if one.text or not one.tool_calls else []
    if one.images:
        parts.append(t("and images: {n}", n=len(one.images)))
    rows = [[call.name, call.arguments, call.id] for call in one.tool_calls]
    if rows:
        columns = [Column(t("name")), Column(t("arguments"), "excerpt", 2000), Column("id")]
        parts.append(Table(t("calls of tools"), columns, rows))
    if one.tool_call_id:
        parts.insert(0, t("the result of the call {id}", id=one.tool_call_id))
    return parts


def steps(answer: Answer | None) -> list[Part]:
    """What the strategy did on its way."""
    rows = [[one.name, one.input, one.output, one.seconds or None, one.error] for one in answer.steps] if answer else []
    columns = [Column(t("name")), Column(t("input"), "excerpt", 400), Column(t("result"), "excerpt", 400),
               Column(t("seconds"), "seconds"), Column(t("error"), "excerpt", 400)]  # fmt: skip
    return [Table(t("Steps on the way"), columns, rows)] if rows else []
