"""What a judgement says: checked when it is given, brought together when several are there. Knows no storage."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from slipway.core.labelling import CHOICES, DECISIONS, PICKS, Criterion, Item, Judgement, Pick, Queue, Value
from slipway.core.protocols import Task
from slipway.core.ref import canonical
from slipway.data.clean import clean_text
from slipway.errors import ConfigError, instead
from slipway.i18n import t
from slipway.loop.mine import LONGEST
from slipway.text.words import answer_key, normalize_label

State = Literal["open", "done", "conflict", "skipped"]
MOST_SPANS = 200
_PLACE = re.compile(r"(?P<label>.+?)\s*[:：]?\s+(?P<start>\d{1,7})\s*[-–]\s*(?P<end>\d{1,7})")  # noqa: RUF001
_QUOTED = re.compile(r"(?P<label>[^:：]+)[:：]\s*(?P<text>.+)", re.DOTALL)  # noqa: RUF001


class Final(NamedTuple):
    """How an item stands; `value` where it is done. `adjudicated`: one person decided for the others."""

    state: State
    value: Value | None = None
    adjudicated: bool = False


def criteria(lines: Sequence[str]) -> tuple[Criterion, ...]:
    """A rubric as people write it: `helpful`, or `helpful:0-3`. Raises ConfigError."""
    found: list[Criterion] = []
    for line in lines:
        if not line.strip():
            continue
        name, _, scale = line.strip().rpartition(":") if ":" in line else (line.strip(), "", "1-5")
        low, _, high = scale.partition("-")
        if not (low.strip().isdecimal() and high.strip().isdecimal()):
            raise ConfigError(t("'{line}' is no line of a rubric", line=line[:80]), "--criterion helpful:1-5")
        found.append(Criterion(name.strip(), int(low), int(high)))
    return tuple(found)


def picked(names: Sequence[str]) -> tuple[Pick, ...]:
    """Reasons to want an item, by their names. Raises ConfigError for one that there is not."""
    for name in names:
        if name not in PICKS:
            raise ConfigError(t("items are not picked by '{name}'", name=name), instead(name, PICKS))
    return tuple(pick for name in names for pick in PICKS if pick == name)


def checked(queue: Queue, item: Item, value: Value, task: Task) -> Value:
    """The value as it is stored. Raises ConfigError for one that the queue does not ask for."""
    if value.get("skip"):
        return {"skip": True}
    match queue.kind:
        case "answer":
            return _answer(value, task)
        case "label":
            return {"label": _one_of(value.get("label"), queue.labels)}
        case "compare":
            return {"choice": _one_of(value.get("choice"), CHOICES)}
        case "spans":
            return {"spans": _spans(queue, item, value.get("spans"))}
        case "rubric":
            return {"scores": _scores(queue, value.get("scores"))}


def _one_of(given: object, known: Sequence[str]) -> str:
    if given not in known:
        raise ConfigError(t("'{value}' is not among what can be chosen", value=str(given or "")[:80]),
                          t("known: {names}", names=", ".join(known)))  # fmt: skip
    return str(given)


def _answer(value: Value, task: Task) -> Value:
    decision = _one_of(value.get("decision"), DECISIONS)
    if decision != "correct":
        return {"decision": decision}
    text = clean_text(str(value.get("text") or ""), Counter())
    if not text or len(text) > LONGEST:
        raise ConfigError(t("the corrected answer is empty or too long"), t("write at most {n} characters", n=LONGEST))
    return {"decision": decision, "text": task.expected(text)}


def _scores(queue: Queue, given: object) -> dict[str, int]:
    scores: Mapping[str, object] = given if isinstance(given, dict) else {}
    found: dict[str, int] = {}
    for one in queue.rubric:
        points = scores.get(one.name)
        if not isinstance(points, int) or isinstance(points, bool) or not one.low <= points <= one.high:
            raise ConfigError(
                t("'{name}' has no points from {low} to {high}", name=one.name, low=one.low, high=one.high)
            )
        found[one.name] = points
    return found


def _spans(queue: Queue, item: Item, given: object) -> list[list[int | str]]:
    spans: set[tuple[int, int, str]] = set()
    for one in given if isinstance(given, list) else []:
        start, end, label = one if isinstance(one, list | tuple) and len(one) == 3 else (None, None, None)
        if not isinstance(start, int) or not isinstance(end, int) or not 0 <= start < end <= len(item.text):
            raise ConfigError(t("a span lies outside the text: {span}", span=str(one)[:80]))
        spans.add((start, end, _one_of(label, queue.labels)))
    if len(spans) > MOST_SPANS:
        raise ConfigError(t("{n} spans are more than the {most} that a text may have", n=len(spans), most=MOST_SPANS))
    return [list(one) for one in sorted(spans)]


def spans_of(lines: str, item: Item) -> list[list[int | str]]:
    """Spans as a person writes them, one a line: `label 10-25` in characters, or `label: the words` of the text.

    Raises ConfigError for a line that is neither, or whose words do not stand in the text.
    """
    found: list[list[int | str]] = []
    for raw in lines.replace("\r", "").split("\n"):
        line = raw.strip()
        if not line:
            continue
        if place := _PLACE.fullmatch(line):
            found.append([int(place["start"]), int(place["end"]), place["label"].strip()])
        elif (quoted := _QUOTED.fullmatch(line)) and (at := item.text.find(words := _as_kept(quoted["text"]))) >= 0:
            found.append([at, at + len(words), quoted["label"].strip()])
        else:
            raise ConfigError(
                t("this line marks nothing: {line}", line=line[:80]),
                t("write `label 10-25`, or `label: words` with words of the text"),
            )
    return found


def _as_kept(words: str) -> str:
    """As texts of items are: some keyboards write an accent as a character of its own."""
    return clean_text(words, Counter())


def written(spans: Sequence[Sequence[int | str]]) -> str:
    """Spans as `spans_of` reads them."""
    return "\n".join(f"{label} {start}-{end}" for start, end, label in spans)


def same_as_model(queue: Queue, item: Item, value: Value) -> Value | None:
    """What a guess comes to that says what the model says, or None. Only such guesses need no second look."""
    corrected = queue.kind == "answer" and value.get("decision") == "correct"
    if corrected and answer_key(value["text"]) == answer_key(item.answer):
        return {"decision": "accept"}
    if queue.kind == "label" and normalize_label(str(value.get("label"))) == normalize_label(item.answer):
        return value
    return None


def settle(queue: Queue, judgements: Sequence[Judgement]) -> Final:
    """What an item's judgements come to: an adjudication, else what more than half of them say once all are there."""
    for one in judgements:
        if one.settles:
            return Final("skipped" if one.skipped else "done", None if one.skipped else one.value, adjudicated=True)
    if len(judgements) < queue.annotators:
        return Final("open")
    said = [one.value for one in judgements if not one.skipped]
    if not said:
        return Final("skipped")
    if queue.kind == "rubric":
        return _mean(queue, said)
    votes = Counter(canonical(_key(one)) for one in said)
    (first, n), *_ = votes.most_common()
    if 2 * n <= len(said):
        return Final("conflict")
    return Final("done", next(one for one in said if canonical(_key(one)) == first))


def _key(value: Value) -> Value:
    """Corrections are the same where they say the same words."""
    return value | {"text": answer_key(value["text"])} if "text" in value else value


def _mean(queue: Queue, said: Sequence[Value]) -> Final:
    """Mean points; a conflict where they lie further apart than half of the scale."""
    scores: dict[str, float] = {}
    for one in queue.rubric:
        points = [value["scores"][one.name] for value in said]
        if 2 * (max(points) - min(points)) > one.high - one.low:
            return Final("conflict")
        scores[one.name] = sum(points) / len(points)
    return Final("done", {"scores": scores})


def worth(queue: Queue, item: Item, value: Value) -> float | None:
    """How good what served is by a label, from 0 to 1; None where the label does not say.

    A request that got no label is one that the classifier abstained from: not right, as in accuracy.
    """
    match queue.kind:
        case "answer":
            return float(value["decision"] == "accept")
        case "label":
            if not item.answer:
                return 0.0 if item.lineage.startswith("trace:") else None
            return float(normalize_label(value["label"]) == normalize_label(item.answer))
        case "compare":
            return {"first": 1.0, "second": 0.0}.get(value["choice"], 0.5)
        case "spans":
            return float(not value["spans"])
        case "rubric":
            points = [(value["scores"][one.name] - one.low) / (one.high - one.low) for one in queue.rubric]
            return sum(points) / len(points)
