"""Queues as Label Studio's JSON, and its JSON as judgements and queues. No network: files only.

The format of tasks is https://labelstud.io/guide/task_format. What a queue needs to find its items again stands in
`meta.slipway` of a task, which Label Studio keeps. Spans are counted in code points, as Label Studio does since 2021;
older files counted UTF-16 units, and are told apart by the text that each span repeats.
"""

from __future__ import annotations

import re
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec

from slipway.core.labelling import CHOICES, DECISIONS, Criterion, Item, Judgement, Kind, Queue, Value
from slipway.data.clean import clean_text
from slipway.errors import ConfigError
from slipway.files import UNDECODABLE
from slipway.files import why as why_of
from slipway.i18n import t
from slipway.loop.labelling.room import Room
from slipway.loop.labelling.values import checked
from slipway.loop.mine import LONGEST
from slipway.store.catalog import now
from slipway.text import visible

Task = dict[str, Any]
_SIDES = {"first": "left", "second": "right"}
_LARGEST = 200_000_000  # bytes of a file
_LINEAGE = re.compile(r"[a-z]{1,20}:[!-~]{1,200}")


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """`judgements`: that were added; `standing`: that say what is there already, or where somebody's other word stands;
    `left_out`: tasks and annotations that say nothing here, by reason.
    """

    queue: str
    created: bool
    items: int
    judgements: int
    standing: int
    left_out: dict[str, int]


# out -----------------------------------------------------------------------------------------------------------------


def exported(room: Room, name: str) -> list[Task]:
    """The queue's items as tasks, with an annotation for each judgement and the model's label as a prediction."""
    queue = room.queue(name)
    return [
        {
            "id": number,
            "data": {"text": item.text, "answer": item.answer, "other": item.other},
            "meta": {"slipway": {"queue": name, "item": item.id, "input": item.input, "lineage": item.lineage,
                                 "release": item.release, "pick": item.pick, "probability": item.probability}},
            "annotations": [_annotation(queue, item, one) for one in said],
            "predictions": _predictions(queue, item),
        }
        for number, (item, said, _) in enumerate(room.finals(name), 1)
    ]  # fmt: skip


def _annotation(queue: Queue, item: Item, one: Judgement) -> Task:
    return {
        "id": one.id, "completed_by": {"email": one.by}, "created_at": one.at, "was_cancelled": one.skipped,
        "ground_truth": one.settles, "result": [] if one.skipped else _result(queue, item, one.value),
    }  # fmt: skip


def _predictions(queue: Queue, item: Item) -> list[Task]:
    if queue.kind != "label" or item.answer not in queue.labels:
        return []
    score = {} if item.confidence is None else {"score": item.confidence}
    return [{"model_version": item.release or "-", **score, "result": _result(queue, item, {"label": item.answer})}]


def _result(queue: Queue, item: Item, value: Value) -> list[Task]:
    def region(name: str, type_: str, given: Mapping[str, Any], to: str = "text") -> Task:
        return {"id": uuid.uuid4().hex[:10], "from_name": name, "to_name": to, "type": type_, "value": given}

    match queue.kind:
        case "answer":
            said = [region("decision", "choices", {"choices": [value["decision"]]})]
            return said + ([region("correction", "textarea", {"text": [value["text"]]})] if "text" in value else [])
        case "label":
            return [region("label", "choices", {"choices": [value["label"]]})]
        case "compare" if value["choice"] in _SIDES:
            return [region("preference", "pairwise", {"selected": _SIDES[value["choice"]]}, "answer,other")]
        case "compare":
            return [region("preference", "choices", {"choices": [value["choice"]]})]
        case "spans":
            return [
                region("label", "labels", {"start": a, "end": b, "text": item.text[a:b], "labels": [name]})
                for a, b, name in value["spans"]
            ]
        case "rubric":
            return [region(name, "rating", {"rating": points}) for name, points in value["scores"].items()]


def labelling_config(queue: Queue) -> str:
    """The labelling interface in Label Studio's XML that fits the tasks."""
    from xml.sax.saxutils import quoteattr

    def choices(name: str, values: Sequence[str]) -> str:
        inner = "".join(f"<Choice value={quoteattr(one)}/>" for one in values)
        return f'<Choices name="{name}" toName="text" choice="single">{inner}</Choices>'

    text, answer = '<Text name="text" value="$text"/>', '<Text name="answer" value="$answer"/>'
    match queue.kind:
        case "answer":
            body = text + answer + choices("decision", DECISIONS) + '<TextArea name="correction" toName="text"/>'
        case "label":
            body = text + choices("label", queue.labels)
        case "compare":
            body = (
                text + answer + '<Text name="other" value="$other"/><Pairwise name="preference" toName="answer,other"/>'
            )
        case "spans":
            inner = "".join(f"<Label value={quoteattr(one)}/>" for one in queue.labels)
            body = f'<Labels name="label" toName="text">{inner}</Labels>' + text
        case "rubric":
            rated = (f'<Rating name={quoteattr(c.name)} toName="text" maxRating="{c.high}"/>' for c in queue.rubric)
            body = text + answer + "".join(rated)
    return f"<View>{body}</View>"


# in ------------------------------------------------------------------------------------------------------------------


def imported(room: Room, name: str, path: Path, by: str) -> Taken:
    """Judgements of a file for the queue of this name; where there is none, a new queue of the file's tasks.

    A task is known by the item that its `meta` names, else by its text. Nothing is overwritten: whoever judged an item
    already keeps their word. Raises ConfigError for a file that is no list of tasks.
    """
    tasks, left = _read(path), Counter[str]()
    known = next((one for one in room.queues() if one.name == name), None)
    queue = known or _new_queue(room, name, tasks, by)
    items = {} if known is None else {one.id: one for one in room.labels.items(name)}
    pairs: list[tuple[Item, Task]] = []
    by_text = {one.text: one for one in reversed(items.values())}
    for task in tasks:
        item = _known(task, items, by_text) if known else _new_item(room, queue, task)
        if item is None:
            left["unknown-item" if known else "no-text"] += 1
        else:
            pairs.append((item, task))
    if known is None:
        if not pairs:
            raise ConfigError(t("{path} holds no task with a text", path=path), _hint())
        room.keep(msgspec.structs.replace(queue, left_out=dict(left)), [item for item, _ in pairs])
    added = standing = 0
    for item, task in pairs:
        for one in _annotations(task):
            made = _judgement(room, queue, item, one)
            if isinstance(made, str):
                left[made] += 1
            elif room.labels.judge(name, made) is made:
                added += 1
            else:
                standing += 1
    return Taken(queue=name, created=known is None, items=len(pairs), judgements=added, standing=standing,
                 left_out=dict(left))  # fmt: skip


def _read(path: Path) -> list[Task]:
    try:
        if path.stat().st_size > _LARGEST:
            raise ConfigError(t("{path} is larger than {n} bytes", path=path, n=_LARGEST), t("import it in parts"))
        found = msgspec.json.decode(path.read_bytes())
    except OSError as error:
        raise ConfigError(t("{path} cannot be read: {why}", path=path, why=why_of(error))) from error
    except UNDECODABLE as error:
        raise ConfigError(t("{path} is no JSON: {why}", path=path, why=str(error)[:200]), _hint()) from error
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in cast("list[Any]", found)):
        raise ConfigError(t("{path} is no list of tasks", path=path), _hint())
    return cast("list[Task]", found)


def _hint() -> str:
    return t("export from Label Studio as JSON; JSON-MIN and CSV leave out who said what")


def _dict(value: object) -> Task:
    return cast("Task", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _known(task: Task, items: Mapping[str, Item], by_text: Mapping[str, Item]) -> Item | None:
    id = _dict(_dict(task.get("meta")).get("slipway")).get("item")
    return items.get(id) if isinstance(id, str) and id in items else by_text.get(_text(task))


def _text(task: Task) -> str:
    """What a task shows: `text`, or else the first text there is."""
    data = _dict(task.get("data"))
    found = data.get("text", next((one for one in data.values() if isinstance(one, str)), ""))
    return found if isinstance(found, str) else ""


def _annotations(task: Task) -> list[Task]:
    return [_dict(one) for one in _list(task.get("annotations"))]


def _regions(tasks: Sequence[Task]) -> list[Task]:
    every = [one for task in tasks for one in (*_annotations(task), *map(_dict, _list(task.get("predictions"))))]
    return [_dict(region) for one in every for region in _list(one.get("result"))]


def _new_queue(room: Room, name: str, tasks: Sequence[Task], by: str) -> Queue:
    """What the regions of a file are about decides what its queue asks."""
    regions = _regions(tasks)
    types = Counter(str(one.get("type")) for one in regions)
    names = dict.fromkeys(str(x) for one in regions for x in _list(_dict(one.get("value")).get(str(one.get("type")))))
    kind: Kind = "label"
    if types["labels"]:
        kind = "spans"
    elif types["pairwise"]:
        kind = "compare"
    elif types["rating"]:
        kind = "rubric"
    elif types["textarea"] or (names and set(names) <= set(DECISIONS)):
        kind = "answer"
    rubric = dict.fromkeys(str(one.get("from_name")) for one in regions if one.get("type") == "rating")
    labels = tuple(one for one in names if kind in ("label", "spans"))
    if not regions or (kind in ("label", "spans") and not labels):
        raise ConfigError(
            t("the tasks have no annotations, so what they ask is not known"),
            t("make a queue with `slipway label create`, or annotate one task"),
        )
    return Queue(name=name, kind=kind, source="file", created=now(), by=by, labels=labels,
                 rubric=tuple(Criterion(one) for one in rubric) if kind == "rubric" else ())  # fmt: skip


def _new_item(room: Room, queue: Queue, task: Task) -> Item | None:
    data, meta, context = _dict(task.get("data")), _dict(_dict(task.get("meta")).get("slipway")), room.context
    text, answer, other = (
        room.redacted(clean_text(str(one or ""), Counter()))
        for one in (_text(task), data.get("answer"), data.get("other"))
    )
    if not text or max(map(len, (text, answer, other))) > LONGEST:
        return None
    try:
        input = context.task.input({context.task.inputs[0]: text})
    except ConfigError:
        return None
    text = visible.block(text) if queue.kind == "spans" else context.task.text(input)
    lineage = " ".join(filter(_LINEAGE.fullmatch, str(meta.get("lineage") or "").split()[:20]))
    return Item(id=uuid.uuid4().hex, input=input, text=text, answer=answer, other=other, lineage=lineage)


def _judgement(room: Room, queue: Queue, item: Item, one: Task) -> Judgement | str:
    """What an annotation says, or why it says nothing here."""
    who = one.get("completed_by")
    name = str(_dict(who).get("email") or _dict(who).get("id") or who or "")
    name = "".join(letter for letter in name if letter.isprintable())[:80]
    if not name:
        return "nobody"
    try:
        value: Value = {"skip": True} if one.get("was_cancelled") else _value(queue, item, one)
        value = checked(queue, item, value, room.context.task)
    except (ConfigError, KeyError, TypeError, ValueError, IndexError):
        return "not-of-this-queue"
    return Judgement(id=uuid.uuid4().hex, item=item.id, by=name, at=now(), value=value,
                     settles=one.get("ground_truth") is True)  # fmt: skip


def _value(queue: Queue, item: Item, one: Task) -> Value:
    regions = [_dict(region) for region in _list(one.get("result"))]
    values = [(str(region.get("from_name")), str(region.get("type")), _dict(region.get("value"))) for region in regions]
    first = {type_: value for _, type_, value in reversed(values)}
    match queue.kind:
        case "answer":
            texts = _list(_dict(first.get("textarea")).get("text"))
            decision = first["choices"]["choices"][0] if "choices" in first else "correct"
            return {"decision": decision, "text": texts[0] if texts else ""}
        case "label":
            return {"label": first["choices"]["choices"][0]}
        case "compare" if "pairwise" in first:
            return {"choice": CHOICES[0] if first["pairwise"]["selected"] == "left" else CHOICES[1]}
        case "compare":
            return {"choice": first["choices"]["choices"][0]}
        case "spans":
            return {
                "spans": [
                    [*_place(item.text, value), value["labels"][0]] for _, kind, value in values if kind == "labels"
                ]
            }
        case "rubric":
            return {"scores": {name: int(value["rating"]) for name, kind, value in values if kind == "rating"}}


def _place(text: str, value: Task) -> tuple[int, int]:
    """A span in code points. Where it repeats its text, that says whether it was counted in UTF-16 units."""
    start, end, said = int(value["start"]), int(value["end"]), value.get("text")
    if not isinstance(said, str) or text[start:end] == said:
        return start, end
    raw = text.encode("utf-16-le")
    if raw[2 * start : 2 * end].decode("utf-16-le", "replace") == said:
        before = len(raw[: 2 * start].decode("utf-16-le"))
        return before, before + len(said)
    raise ValueError(said)
