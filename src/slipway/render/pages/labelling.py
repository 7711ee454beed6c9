"""Queues of items to label: which there are, how one stands, what was written of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from slipway.core.labelling import Item, Judgement, Queue
from slipway.core.metrics import MetricInfo
from slipway.i18n import t
from slipway.loop.labelling.label_studio import Taken
from slipway.loop.labelling.rows import Written
from slipway.loop.labelling.standing import Agreed, Standing
from slipway.render.cells import Estimate
from slipway.render.document import Column, Document, Part, Passage, Section, Table, listed

_PLAIN = MetricInfo(name="agreement")


def queues(found: Sequence[Standing]) -> Document:
    """One a row, the newest first."""
    return listed([_data(one) for one in found], queue_table([[one.queue.name, *queue_cells(one)] for one in found]))


def queue_table(rows: Sequence[Sequence[Any]]) -> Table:
    """The name may be a link."""
    columns = [Column(t("queue")), Column(t("kind")), Column(t("from")), Column(t("items"), "count"),
               Column(t("done"), "count"), Column(t("in conflict"), "count"), Column(t("annotators")),
               Column(t("when"), "time")]  # fmt: skip
    return Table(t("Queues"), columns, rows)


def queue_cells(one: Standing) -> list[Any]:
    """All but the name."""
    queue, states = one.queue, one.states
    return [
        kinds()[queue.kind], sources()[queue.source], one.items, states["done"] + states["skipped"],
        states["conflict"], list(one.by), queue.created,
    ]  # fmt: skip


def standing(found: Standing) -> Document:
    """What is done, who did it, how far they agree, and what follows for all that was served."""
    queue = found.queue
    facts: list[list[Any]] = [
        [t("kind"), kinds()[queue.kind]], [t("from"), sources()[queue.source]],
        [t("drawn from"), queue.population or ""], [t("judgements for each item"), queue.annotators],
        [t("by"), queue.by], [t("instructions"), queue.instructions],
    ]  # fmt: skip
    facts += [[states()[name], n] for name, n in found.states.items()]
    parts: list[Part] = [
        Table(t("Queue"), [Column(t("field")), Column(t("value"))], [one for one in facts if one[1] != ""])
    ]
    if found.by:
        rows = [[who, n] for who, n in found.by.items()]
        parts.append(Table(t("Judgements"), [Column(t("annotator")), Column(t("number"), "count")], rows))
    if found.blind:
        parts.append(t("{n} were given before the model's label was shown, {changed} of them changed after it",
                       n=found.blind, changed=found.changed))  # fmt: skip
    if found.labels:
        rows = [[said().get(name, name), n] for name, n in found.labels.items()]
        parts.append(Table(t("Decided"), [Column(t("label")), Column(t("items"), "count")], rows))
    if found.agreement:
        parts.append(_agreement(found.agreement))
    if found.estimate is not None or (queue.population and found.estimable and queue.source != "documents"):
        parts.append(_estimate(found))
    if queue.left_out:
        columns = [Column(t("why")), Column(t("number"), "count")]
        left = [[_left().get(reason, reason), n] for reason, n in queue.left_out.items()]
        parts.append(Table(t("Not drawn from"), columns, left))
    return Document(_data(found), parts)


def _agreement(found: Sequence[Agreed]) -> Table:
    columns = [Column(t("measure")), Column(t("between")), Column(t("criterion")),
               Column(t("agreement"), "measure"), Column(t("items"), "count")]  # fmt: skip
    rows = [
        [measures().get(one.measure, one.measure), list(one.between) or t("all"), one.of,
         Estimate(one.found.value, _PLAIN, low=one.found.low, high=one.found.high), one.found.items]
        for one in found
    ]  # fmt: skip
    few = [t("fewer than five items, or no difference among them, give no interval")]
    bare = any(one.found.low is None for one in found)
    return Table(t("Agreement beyond chance"), columns, rows, few if bare else ())


def _estimate(found: Standing) -> Part:
    if found.estimate is None:
        return t("What holds for all cannot be said yet: label some of the items that were drawn at random.")
    one = found.estimate
    row = [_estimated()[found.queue.kind], Estimate(one.value, _PLAIN, low=one.low, high=one.high), one.n,
           found.queue.population]  # fmt: skip
    columns = [Column(t("what")), Column(t("estimate"), "measure"), Column(t("labels"), "count"),
               Column(t("drawn from"), "count")]  # fmt: skip
    note = t("by the probability with which each was drawn (Horvitz-Thompson), with its 95% interval")
    return Table(t("Estimate for all"), columns, [row], [note])


def written(found: Written) -> Document:
    """What became of a queue's labels."""
    columns = [Column(t("kind")), Column(t("rows"), "count"), Column(t("file"))]
    rows = [[kind, n, found.files[kind]] for kind, n in found.rows.items()]
    parts: list[Part] = [Table(t("Rows to train on"), columns, rows)]
    lost = [[t("close to an example that is held out"), found.held_out],
            [t("nearly the same as another"), found.repeats], [t("no row can be made of it"), found.unusable],
            *([states()[state], n] for state, n in found.states.items())]  # fmt: skip
    if any(n for _, n in lost):
        parts.append(Table(t("Left out"), [Column(t("why")), Column(t("number"), "count")], [o for o in lost if o[1]]))
    if found.rows:
        parts.append(t("`slipway improve` learns from these files; `data.examples` with `split: train` does so in "
                       "every run"))  # fmt: skip
    return Document(msgspec.to_builtins(found), parts)


def taken(found: Taken) -> Document:
    """What came of a file of Label Studio."""
    rows = [[t("items"), found.items], [t("judgements added"), found.judgements],
            [t("judgements that stand as they are"), found.standing]]  # fmt: skip
    rows += [[_left().get(reason, reason), n] for reason, n in found.left_out.items()]
    name = t("A new queue: {name}", name=found.queue) if found.created else t("Queue: {name}", name=found.queue)
    columns = [Column(t("what")), Column(t("number"), "count")]
    return Document(msgspec.to_builtins(found), [name, Table(t("Imported"), columns, rows)])


def item(queue: Queue, one: Item, *, shows_model: bool, flipped: bool = False) -> Document:
    """What an annotator reads. `shows_model`: the model's answer, too; `flipped`: the second of two answers first."""
    parts: list[Part] = []
    asked = " | ".join(str(value) for value in one.input.values())
    if queue.kind != "spans" or asked != one.text:
        parts.append(Section(t("input"), [Passage(asked, whole=True)], 2))
    first, second = (one.other, one.answer) if flipped else (one.answer, one.other)
    if queue.kind == "compare":
        parts += [Section(t("first answer"), [Passage(first or t("(empty)"), whole=True)], 2),
                  Section(t("second answer"), [Passage(second or t("(empty)"), whole=True)], 2)]  # fmt: skip
    elif shows_model and one.answer and queue.kind != "spans":
        title = t("the model's label") if queue.kind == "label" else t("answer")
        parts.append(Section(title, [Passage(one.answer, whole=True)], 2))
    if one.passages and shows_model:
        inner = [Section(source, [Passage(text)], 3) for source, text in one.passages]
        parts.append(Section(t("passages"), inner, 2))
    return Document(None, parts)


def conflict(queue: Queue, given: Sequence[Judgement]) -> Document:
    """What each annotator said of an item."""
    rows = [[one.by, value(queue, one), one.at] for one in given]
    columns = [Column(t("annotator")), Column(t("said"), "excerpt", 200), Column(t("when"), "time")]
    return Document(None, [Table(t("What was said"), columns, rows)])


def value(queue: Queue, one: Judgement) -> str:
    """A judgement in words."""
    given = one.value
    if one.skipped:
        return t("could not tell")
    match queue.kind:
        case "answer":
            text = f": {given['text']}" if "text" in given else ""
            return said()[given["decision"]] + text
        case "label":
            return given["label"]
        case "compare":
            return said()[given["choice"]]
        case "spans":
            return ", ".join(f"{label} {start}-{end}" for start, end, label in given["spans"]) or "-"
        case "rubric":
            return ", ".join(f"{name} {points}" for name, points in given["scores"].items())


def _data(found: Standing) -> dict[str, Any]:
    return msgspec.to_builtins(found)


def kinds() -> Mapping[str, str]:
    """What a queue asks, in words."""
    return {"answer": t("accept or correct"), "label": t("pick a label"), "compare": t("compare two"),
            "spans": t("mark spans"), "rubric": t("score by a rubric")}  # fmt: skip


def sources() -> Mapping[str, str]:
    """Where items come from, in words."""
    return {"traces": t("traces"), "examples": t("examples"), "documents": t("documents"), "file": t("a file")}


def states() -> Mapping[str, str]:
    """How items stand, in words."""
    return {"open": t("open"), "done": t("done"), "conflict": t("in conflict"), "skipped": t("nobody could tell")}


def said() -> Mapping[str, str]:
    """Fixed answers, in words."""
    return {"accept": t("right"), "correct": t("corrected"), "wrong": t("wrong"), "first": t("the first is better"),
            "second": t("the second is better"), "both": t("both are good"),
            "neither": t("neither is good")}  # fmt: skip


def measures() -> Mapping[str, str]:
    """Coefficients, by the names that people look them up under."""
    return {"cohen": t("Cohen's kappa"), "fleiss": t("Fleiss' kappa"),
            "krippendorff nominal": t("Krippendorff's alpha"),
            "krippendorff ordinal": t("Krippendorff's alpha, ordinal"),
            "overlap": t("overlap of what was marked (F1)")}  # fmt: skip


def _estimated() -> Mapping[str, str]:
    return {"answer": t("answers that are right"), "label": t("labels that are right"),
            "compare": t("the first is better (half for a tie)"), "rubric": t("mean points, from 0 to 1"),
            "spans": ""}  # fmt: skip


def _left() -> Mapping[str, str]:
    return {
        "held-out": t("close to an example that is held out"), "no-answer": t("it has no answer"),
        "history": t("it continues a conversation"), "input": t("what was asked is no input of the task"),
        "too-large": t("it is too long to train on"), "no-pair": t("no second answer differs"),
        "other-split": t("it is in another split"), "unknown-item": t("it is not in the queue"),
        "no-text": t("it has no text that the task takes"), "nobody": t("nobody is named as its annotator"),
        "not-of-this-queue": t("it says nothing that the queue asks for"),
    }  # fmt: skip
