"""Labels become rows to train on, in `feedback/` of the project, checked against what is held out as mined rows are.

A file is made anew each time, so that it holds what the queue says now. Each row tells what it was made of: trace,
example or document, queue, item, annotators; and the release that answered.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from slipway.core.labelling import Item, Judgement, Queue, Value
from slipway.core.ref import canonical
from slipway.loop.context import Context
from slipway.loop.feedback import clean
from slipway.loop.labelling.room import Room
from slipway.loop.labelling.values import Final
from slipway.loop.mine import Mined, Row, without_repeats
from slipway.loop.row_files import FOLDER
from slipway.store.blobs import write_aside
from slipway.text.words import answer_key

GOOD, BAD = 0.75, 0.25  # of a rubric's scale, from where on points are a thumb


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """`files`: kind -> where its rows are; `rows`: how many. `held_out`: rows that were left out, close to an example
    of dev, gate or reserve; `unusable`: labels that no row can be made of; `states`: items without a label, by state.
    """

    queue: str
    files: dict[str, str]
    rows: dict[str, int]
    held_out: int
    repeats: int
    unusable: int
    states: dict[str, int]


def write(room: Room, name: str) -> Written:
    """Write the rows of a queue into `feedback/NAME.KIND.jsonl`, each file whole or not at all."""
    context, queue, finals = room.context, room.queue(name), room.finals(name)
    made, plain, states, unusable = Mined(), list[Row](), dict[str, int](), 0
    for item, said, final in finals:
        if final.value is None:
            states[final.state] = states.get(final.state, 0) + 1
        elif not _add(context, queue, item, said, final, made, plain):
            unusable += 1
    without_repeats(context.task, made)
    repeats = sum(reasons.pop("near-repeat", 0) for reasons in made.dropped.values())
    by_kind = {kind: made.rows(kind) for kind in ("examples", "preferences", "thumbs")}
    before = sum(map(len, by_kind.values())) + len(plain)
    kept = clean(context, made).mined
    other = clean(context, Mined(examples=plain)).mined.examples if plain else []
    rows = {kind: kept.rows(kind) for kind in by_kind} | {queue.kind: other}
    files = {kind: path for kind, found in rows.items() if (path := _file(context, name, kind, found))}
    counts = {kind: len(found) for kind, found in rows.items() if kind in files}
    return Written(
        queue=name, files=files, rows=counts, held_out=before - sum(map(len, rows.values())), repeats=repeats,
        unusable=unusable, states=states,
    )  # fmt: skip


def _file(context: Context, name: str, kind: str, rows: Sequence[Row]) -> str:
    """Where rows were written; empty where there are none and no file of before has to be emptied."""
    path = context.root / FOLDER / f"{name}.{kind}.jsonl"
    if not rows and not path.exists():
        return ""
    write_aside(path, b"".join(canonical(row) + b"\n" for row in rows))
    return path.relative_to(context.root).as_posix()


def lineage(queue: Queue, item: Item, said: Sequence[Judgement]) -> dict[str, str]:
    """What a row was made of, and which releases answered."""
    who = dict.fromkeys(one.key or one.by.replace(" ", "_") for one in said)
    of = [item.lineage, f"queue:{queue.name}", f"item:{item.id}", *(f"annotator:{one}" for one in who)]
    answered = " ".join(one for one in item.release.split() if one != "-")
    return {"lineage": " ".join(filter(None, of)), "release": answered}


def _add(
    context: Context, queue: Queue, item: Item, said: Sequence[Judgement], final: Final, made: Mined, plain: list[Row]
) -> bool:
    """Add the rows of one item; whether there are any."""
    value: Value = final.value or {}
    about = lineage(queue, item, [one for one in said if not one.skipped])
    about |= {"from": "adjudication" if final.adjudicated else "label"}
    votes = len([one for one in said if not one.skipped and not one.settles])
    match queue.kind:
        case "answer":
            return _answer(context, item, value, about | {"votes": votes}, made)
        case "label":
            made.examples.append(item.input | {context.task.reference: value["label"]} | about | {"votes": votes})
        case "compare":
            return _compare(item, value, about | {"votes": votes}, made)
        case "rubric":
            plain.append(item.input | {"completion": item.answer, "scores": value["scores"]} | about)
            _thumb(queue, item, value, about | {"votes": votes}, made)
        case "spans":
            spans = [{"start": a, "end": b, "label": c, "text": item.text[a:b]} for a, b, c in value["spans"]]
            plain.append(item.input | {"marked": item.text, "spans": spans} | about)
    return True


def _answer(context: Context, item: Item, value: Value, about: Row, made: Mined) -> bool:
    decision = value["decision"]
    text = item.answer if decision == "accept" else str(value.get("text", ""))
    if text:
        made.examples.append(item.input | {context.task.reference: text} | about)
    if item.answer:
        made.thumbs.append(item.input | {"completion": item.answer, "label": decision == "accept"} | about)
        if text and answer_key(text) != answer_key(item.answer):
            made.preferences.append(item.input | {"chosen": text, "rejected": item.answer} | about)
    return bool(text or item.answer)


def _compare(item: Item, value: Value, about: Row, made: Mined) -> bool:
    if value["choice"] not in ("first", "second"):
        return False
    answers = (item.answer, item.other) if value["choice"] == "first" else (item.other, item.answer)
    made.preferences.append(item.input | dict(zip(("chosen", "rejected"), answers, strict=True)) | about)
    return True


def _thumb(queue: Queue, item: Item, value: Value, about: Row, made: Mined) -> None:
    shares = [(value["scores"][one.name] - one.low) / (one.high - one.low) for one in queue.rubric]
    mean = sum(shares) / len(shares)
    if item.answer and not BAD < mean < GOOD:
        made.thumbs.append(item.input | {"completion": item.answer, "label": mean >= GOOD} | about)
