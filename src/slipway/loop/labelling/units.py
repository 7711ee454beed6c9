"""What could be labelled: served requests, examples, or passages of documents, as units with reasons to want them.

Nothing of the splits gate and reserve is ever among them, nor what is close to an example of dev, gate or reserve: it
could not be learnt from. Texts are cleaned, and of traces redacted, before anybody sees them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from urllib.parse import quote

from slipway.core.labelling import Kind, Source
from slipway.core.material import Chunk, Dataset, Document, Example
from slipway.core.report import Report, Score
from slipway.core.trace import Feedback, Trace, Wanted
from slipway.data.clean import clean_text
from slipway.data.heldout import Heldout
from slipway.errors import ConfigError, MissingPrerequisite
from slipway.i18n import t
from slipway.loop.context import Context
from slipway.loop.feedback import heldout
from slipway.loop.labelling.drawing import Unit, novelty
from slipway.loop.mine import DISLIKED, LONGEST, input_of, key_by
from slipway.privacy.redact import Redactor
from slipway.text import visible
from slipway.text.words import answer_key

MOST = 20_000  # units that a queue is drawn from, the newest
PASSAGES = 5
SPLITS = ("train", "dev")


class Found:
    """Units, and how many things were left out, by reason."""

    def __init__(self) -> None:
        self.units: list[Unit] = []
        self.left: Counter[str] = Counter()


def units_of(context: Context, source: Source, kind: Kind, wanted: Wanted, split: str, redactor: Redactor) -> Found:
    """Everything of a source that a queue of this kind can ask about.

    Raises ConfigError for a kind that the source has nothing for, MissingPrerequisite where there is nothing yet.
    """
    if source == "traces":
        found = _traces(context, kind, wanted, redactor)
    elif source == "examples":
        found = _examples(context, kind, split)
    else:
        found = _documents(context, kind)
    dev = source == "examples" and split == "dev"
    _without_heldout(context, found, own=dev)
    if not found.units:
        raise MissingPrerequisite(
            t("there is nothing to label: {why}", why=", ".join(f"{k} {n}" for k, n in found.left.items()) or "-"),
            t("look at `slipway traces list` or `slipway data list`; a longer --since takes more"),
        )
    known = _known(context) if source != "examples" else []
    if known:
        for unit, new in zip(found.units, novelty([one.text for one in found.units], known), strict=True):
            unit.wanted["novelty"] = new
    return found


def _without_heldout(context: Context, found: Found, *, own: bool) -> None:
    """Leave out what is close to a held out example; `own`: units are themselves examples of dev."""
    held = [one for one in heldout(context) if not (own and one.split == "dev")]
    task, kept = context.task, list[Unit]()
    known = Heldout([task.text(one.input) for one in held], parts=[str(one.split) for one in held])
    for unit in found.units:
        if known.close(task.text(unit.input)):
            found.left["held-out"] += 1
        else:
            kept.append(unit)
    found.units = kept


def references_of(context: Context) -> list[str]:
    """The references of the examples of train and dev."""
    return [one for example in _seen(context) for one in example.expected]


def _known(context: Context) -> list[str]:
    return [context.task.text(one.input) for one in _seen(context)]


def _seen(context: Context) -> list[Example]:
    """The examples of train and dev."""
    dataset = _newest(context, "examples")
    lines = context.store.blobs.get_lines(dataset.items, Example) if dataset else ()
    return [one for one in lines if one.split in SPLITS]


def _newest(context: Context, kind: str) -> Dataset | None:
    store = context.store
    found = (d for _, d in store.catalog.list("dataset", Dataset) if d.kind == kind and store.blobs.has(d.items))
    return next(found, None)


# traces --------------------------------------------------------------------------------------------------------------


def _traces(context: Context, kind: Kind, wanted: Wanted, redactor: Redactor) -> Found:
    found, asked = Found(), defaultdict[bytes, list[tuple[Trace, Unit]]](list)
    said = _thumbs(context.store.catalog.feedback(limit=100_000))
    for place, (_, raw) in enumerate(context.store.catalog.traces(MOST, wanted=wanted)):
        trace = redactor.trace(raw)
        given = input_of(context.task, trace)
        answer = clean_text(trace.said, Counter())
        if isinstance(given, str) or trace.status != 200 or not trace.answer or len(answer) > LONGEST:
            found.left[given if isinstance(given, str) else "no-answer"] += 1
            continue
        key, input = given
        unit = _of_trace(context, kind, trace, input, answer)
        if trace.id in said:
            unit.wanted["thumbs-down"] = 1 - place / MOST  # the newest first
        asked[key].append((trace, unit))
    says = key_by(context.task)
    for group in asked.values():
        answers = Counter(says(unit.answer) for _, unit in group)
        for trace, unit in group:
            samples = [says(one) for one in trace.answer.samples] if trace.answer else []
            split = max(_unlike(answers), _unlike(Counter(samples)))
            if split > 0:
                unit.wanted["disagreement"] = split
        found.units += _pairs([unit for _, unit in group], found) if kind == "compare" else [one for _, one in group]
    return found


def _thumbs(feedback: Sequence[Feedback]) -> set[str]:
    """Traces that somebody disliked or corrected."""
    return {
        one.trace
        for one in feedback
        if one.thumb == "down" or one.correction or (one.score is not None and one.score <= DISLIKED)
    }


def _of_trace(context: Context, kind: Kind, trace: Trace, input: dict[str, object], answer: str) -> Unit:
    made = trace.answer
    assert made is not None
    cited = sorted(made.citations, key=lambda one: not one.cited)[:PASSAGES]
    text = visible.block(answer) if kind == "spans" else context.task.text(input)
    unit = Unit(
        input=input, text=text, answer=answer, confidence=made.confidence, release=trace.release,
        lineage=f"trace:{trace.id}", passages=tuple((one.source, one.shown or one.text) for one in cited),
    )  # fmt: skip
    if made.confidence is not None or made.abstained:
        unit.wanted["low-confidence"] = 1.0 if made.abstained or made.confidence is None else 1 - made.confidence
    return unit


def _unlike(texts: Mapping[str, int]) -> float:
    """The share of those who do not say what most say."""
    return 1 - max(texts.values()) / sum(texts.values()) if texts else 0.0


def _pairs(units: Sequence[Unit], found: Found) -> Iterator[Unit]:
    """One pair of different answers to the same input."""
    first = units[0]
    other = next((one for one in units[1:] if answer_key(one.answer) != answer_key(first.answer)), None)
    found.left["no-pair"] += len(units) - (2 if other else 0)
    if other is not None:
        yield Unit(
            input=first.input, text=first.text, answer=first.answer, other=other.answer, wanted=first.wanted,
            lineage=f"{first.lineage} {other.lineage}", release=f"{first.release or '-'} {other.release or '-'}",
        )  # fmt: skip


# examples and documents ----------------------------------------------------------------------------------------------


def _examples(context: Context, kind: Kind, split: str) -> Found:
    if split not in SPLITS:
        raise ConfigError(
            t("examples of the split '{split}' are not shown to anybody", split=split),
            t("known: {names}", names=", ".join(SPLITS)),
        )
    dataset, found = _newest(context, "examples"), Found()
    if dataset is None:
        raise MissingPrerequisite(t("no examples were frozen yet"), "slipway run data")
    answers = _answered(context, dataset) if split == "dev" else {}
    for one in context.store.blobs.get_lines(dataset.items, Example):
        said = answers.get(one.id, {})
        if one.split != split or (kind == "compare" and len(set(map(answer_key, said.values()))) < 2):
            found.left["other-split" if one.split != split else "no-pair"] += 1
            continue
        text = context.task.text(one.input)
        unit = Unit(
            input=one.input, text=visible.block(text) if kind == "spans" else text,
            answer=one.expected[0] if one.expected else "",
            lineage=" ".join(filter(None, (f"example:{one.id}", str(one.meta.get("lineage", ""))))),
        )  # fmt: skip
        if unlike := _unlike(Counter(map(key_by(context.task), said.values()))):
            unit.wanted["disagreement"] = unlike
        if kind == "compare":
            (unit.answer, a), (unit.other, b) = _two(said)
            unit.release = f"{a} {b}"
        found.units.append(unit)
    return found


def _answered(context: Context, dataset: Dataset) -> dict[str, dict[str, str]]:
    """Example -> candidate -> what it answered, from the newest report of each on dev."""
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    seen: set[str] = set()
    store = context.store
    for _, report in store.catalog.list("report", Report):
        name = report.candidate.name
        if report.split != "dev" or report.dataset.digest != dataset.digest or name in seen:
            continue
        if store.blobs.has(report.scores):
            seen.add(name)
            for score in store.blobs.get_lines(report.scores, Score):
                if not score.answer.failed and len(score.answer.text) <= LONGEST:
                    found[score.example][name] = clean_text(score.answer.text, Counter())
    return found


def _two(said: Mapping[str, str]) -> tuple[tuple[str, str], tuple[str, str]]:
    """(answer, who) of two that differ."""
    (a, first), *others = sorted(said.items())
    b, other = next((b, one) for b, one in others if answer_key(one) != answer_key(first))
    return (first, a), (other, b)


def _documents(context: Context, kind: Kind) -> Found:
    if kind in ("answer", "compare"):
        raise ConfigError(
            t("documents have no answers: a queue of them cannot be of the kind '{kind}'", kind=kind),
            t("known: {names}", names="label, spans, rubric"),
        )
    dataset, found, name = _newest(context, "chunks") or _newest(context, "documents"), Found(), context.task.inputs[0]
    if dataset is None:
        raise MissingPrerequisite(t("no documents were frozen yet"), "slipway run data")
    items = context.store.blobs.get_lines(dataset.items, Chunk if dataset.kind == "chunks" else Document)
    for one in islice(items, MOST):
        text = visible.block(one.passage if isinstance(one, Chunk) else one.text)
        try:
            input = context.task.input({name: text})
        except ConfigError:
            input = {name: text}
        if not text.strip() or len(text) > LONGEST:
            found.left["too-large" if text.strip() else "input"] += 1
            continue
        found.units.append(Unit(input=input, text=text, lineage=f"document:{quote(one.source, safe='/.#-_')}"))
    return found
