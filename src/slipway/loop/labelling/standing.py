"""How a queue stands: what is done, how far annotators agree, and what the labels say of all that was served."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import msgspec

from slipway.core.labelling import Item, Judgement, Queue, Value
from slipway.loop.labelling.room import Room
from slipway.loop.labelling.values import Final, same_as_model, worth
from slipway.stats.agreement import Agreement, Distance, cohen, fleiss, krippendorff, mean_over_items
from slipway.stats.drawn import Drawn, population_mean
from slipway.text.words import normalize_label

Said = Sequence[tuple[Item, list[Judgement], Final]]


class Agreed(msgspec.Struct, frozen=True, kw_only=True):
    """One coefficient: `cohen`, `fleiss`, `krippendorff`, or `overlap` of spans. `of`: a criterion, or empty."""

    measure: str
    found: Agreement
    of: str = ""
    between: tuple[str, ...] = ()


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """`states`: items by state; `by`: judgements of each annotator; `changed`: of blind guesses, how many were given up
    once the model's label was shown; `labels`: how often what was decided. `estimate`: of the share of what served that
    is right (of the rubric: mean points on a scale from 0 to 1), over the whole population; `estimable`: whether labels
    can say that at all.
    """

    queue: Queue
    items: int
    states: dict[str, int]
    by: dict[str, int]
    blind: int
    changed: int
    labels: dict[str, int]
    agreement: list[Agreed]
    estimate: Drawn | None
    estimable: bool


def standing(room: Room, name: str, *, whole: bool = True) -> Standing:
    """Of one queue. Raises NotFound. Not `whole`: without agreement and estimate, whose intervals take their time."""
    queue, said = room.queue(name), room.finals(name)
    given = [one for _, every, _ in said for one in every if not one.settles]
    names = _names(given)
    blind = [(item, one) for item, every, _ in said for one in every if one.guess is not None and not one.open]
    states = Counter[str](open=0, done=0, conflict=0, skipped=0)
    states.update(final.state for _, _, final in said)
    often = Counter(one.who for one in given).most_common()
    decided = [_short(queue, final.value) for _, _, final in said if final.value is not None]
    return Standing(
        queue=queue, items=len(said), states=dict(states), by={names[who]: n for who, n in often},
        blind=len(blind), changed=sum(_gave_up(queue, *one) for one in blind),
        labels=dict(Counter(one for one in decided if one).most_common()),
        agreement=_agreement(queue, said, names) if whole else [],
        estimate=_estimate(queue, said) if whole else None, estimable=_estimable(queue, said),
    )  # fmt: skip


def _names(given: Sequence[Judgement]) -> dict[str, str]:
    """Annotator -> name, with the beginning of the key where another has the same."""
    people = {one.who: one.by for one in given}
    often = Counter(people.values())
    return {who: f"{name} ({who[:6]})" if often[name] > 1 else name for who, name in people.items()}


def _gave_up(queue: Queue, item: Item, one: Judgement) -> bool:
    """Whether something else was said after the model's label than before."""
    guess = one.guess or {}
    return one.value != guess and one.value != same_as_model(queue, item, guess)


def _alone(queue: Queue, one: Judgement) -> Value:
    """What somebody said by themselves; of an answer that they wrote blind, what they decided on the model's."""
    return one.guess if queue.kind == "label" and one.guess else one.value


def _short(queue: Queue, value: Value) -> str:
    return str(value.get("decision") or value.get("label") or value.get("choice") or "")


def _estimable(queue: Queue, said: Said) -> bool:
    """Whether its labels say how good what served is: drawn items, and labels of what served, not of something else."""
    if queue.kind == "spans" or any(item.probability is None for item, _, _ in said):
        return False
    known = set(map(normalize_label, queue.labels))
    return queue.kind != "label" or any(normalize_label(item.answer) in known for item, _, _ in said if item.answer)


def _estimate(queue: Queue, said: Said) -> Drawn | None:
    """What was looked at and has no label (a conflict, or skipped) is no random part: the interval lets all of it be
    good, and all of it bad.
    """
    if not _estimable(queue, said):
        return None
    values = [None if final.value is None else worth(queue, item, final.value) for item, _, final in said]
    probabilities = [item.probability or 1.0 for item, _, _ in said]
    stood_for = round(sum(1 / one for one in probabilities))  # fewer where items were forgotten since
    population = min(queue.population, stood_for)
    found = population_mean(values, probabilities, population)
    undecided = [final.state in ("conflict", "skipped") for _, _, final in said]
    if found is None or not any(undecided):
        return found
    worst, best = (
        population_mean([end if u else v for u, v in zip(undecided, values, strict=True)], probabilities, population)
        for end in (0.0, 1.0)
    )
    assert worst is not None
    assert best is not None
    return replace(found, low=min(found.low, worst.low), high=max(found.high, best.high))


def _agreement(queue: Queue, said: Said, names: Mapping[str, str]) -> list[Agreed]:
    """Of what each said by themselves: a blind guess counts, not what came of it; an adjudication does not."""
    rows = [
        {one.who: _alone(queue, one) for one in every if not one.settles and not one.skipped}
        for _, every, _ in said
    ]  # fmt: skip
    rows = [{names[who]: value for who, value in row.items()} for row in rows if len(row) > 1]
    if not rows:
        return []
    if queue.kind == "spans":
        found = mean_over_items([_overlap(list(row.values())) for row in rows])
        return [Agreed(measure="overlap", found=found)] if found else []
    if queue.kind == "rubric":
        return [
            one
            for criterion in queue.rubric
            for one in _coefficients(
                [{who: value["scores"][criterion.name] for who, value in row.items()} for row in rows],
                "ordinal", criterion.name,
            )
        ]  # fmt: skip
    return _coefficients([{who: _short(queue, value) for who, value in row.items()} for row in rows], "nominal", "")


def _coefficients(rows: Sequence[dict[str, Any]], distance: Distance, of: str) -> list[Agreed]:
    found: list[Agreed] = []
    alpha = krippendorff([list(row.values()) for row in rows], distance)
    if alpha:
        found.append(Agreed(measure=f"krippendorff {distance}", found=alpha, of=of))
    if distance != "nominal":
        return found
    sizes = {len(row) for row in rows}
    if len(sizes) == 1 and (kappa := fleiss([list(row.values()) for row in rows])):
        found.append(Agreed(measure="fleiss", found=kappa, of=of))
    together: defaultdict[tuple[str, str], list[tuple[Any, Any]]] = defaultdict(list)
    for row in rows:
        for a, b in combinations(sorted(row), 2):
            together[a, b].append((row[a], row[b]))
    for pair, labels in sorted(together.items())[:30]:
        if kappa := cohen(labels):
            found.append(Agreed(measure="cohen", found=kappa, of=of, between=pair))
    return found


def _overlap(values: Sequence[Value]) -> float:
    """Mean F1 of the marked characters over pairs of annotators; 1 where none of two marked anything."""
    marked = [{(place, label) for start, end, label in one["spans"] for place in range(start, end)} for one in values]
    pairs = [2 * len(a & b) / (len(a) + len(b)) if a or b else 1.0 for a, b in combinations(marked, 2)]
    return sum(pairs) / len(pairs)
