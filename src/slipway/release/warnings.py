"""What a person should know of a verdict before believing it. Changes no outcome and no digest of a decision.

Three weaknesses that a gate cannot see by itself: a candidate that retrieves nothing beside others that do, a bound so
low that it proves nothing, and a language, label or slice that no gate example has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from slipway.core.candidate import Candidate
from slipway.core.metrics import said_value
from slipway.core.report import Report
from slipway.i18n import Said, say
from slipway.release.planning import Place
from slipway.release.rules import Rule
from slipway.text.words import normalize_label

_WEAK = 0.5  # of the measured value: a bound below that leaves room to lose more than half of it
_CONSTANT = ("accuracy", "exact_match", "choice", "yes_no")  # metrics that one answer to everything may reach
_NAMED = 5


def warnings(
    rules: Mapping[str, Rule],
    candidate: Candidate,
    report: Report,
    others: Mapping[str, Candidate],
    places: Mapping[str, Sequence[Place]],
    references: Sequence[tuple[str, ...]],
    declared: Collection[str] = (),
) -> tuple[Said, ...]:
    """Of one candidate as the gate judged it. `others`: the project's candidates by name. `places`: split -> its
    examples. `references`: of each gate example. `declared`: languages that the project names.
    """
    return (
        *_retrieval(candidate, report, others),
        *_weak(rules, report, references),
        *_unmeasured(rules, places, declared),
        *_unmeasured_labels(candidate, references),
    )


def _retrieval(candidate: Candidate, report: Report, others: Mapping[str, Candidate]) -> Iterator[Said]:
    retrieving = [name for name, other in others.items() if other.retrieve is not None and name != candidate.name]
    recall = report.metrics.get("retrieval_recall")
    if candidate.retrieve is None and retrieving:
        yield say(
            "'{name}' retrieves nothing, while {others} do: read what it answers before you trust it, and ask whether "
            "the examples need the documents at all",
            name=candidate.name, others=_listed(retrieving),
        )  # fmt: skip
    elif candidate.retrieve is not None and recall is not None and recall.value == 0:
        yield say(
            "'{name}' found the source of none of {n} examples: check the field source (`slipway check`) and the index",
            name=candidate.name, n=recall.n,
        )  # fmt: skip


def _weak(rules: Mapping[str, Rule], report: Report, references: Sequence[tuple[str, ...]]) -> Iterator[Said]:
    common, share = _most_common(references)
    for metric, rule in rules.items():
        info, found = report.meaning(metric), report.metrics.get(metric)
        if info.kind != "quality" or not info.higher_is_better or rule.min is None or found is None:
            continue
        bound, value = said_value(info, rule.min, report.currency), said_value(info, found.value, report.currency)
        if metric in _CONSTANT and share > 1 / max(1, len(references)) and rule.min <= share:
            yield say(
                "{metric} at least {bound} is a weak bound: always answering '{answer}' would reach {share}",
                metric=metric, bound=bound, answer=common[:40], share=said_value(info, share),
            )  # fmt: skip
        elif rule.against is None and rule.min < _WEAK * found.value:
            yield say(
                "{metric} at least {bound} is a weak bound: it was {value}, and could lose more than half of that and "
                "still pass; raise min, or add against and margin",
                metric=metric, bound=bound, value=value,
            )  # fmt: skip


def _most_common(references: Sequence[tuple[str, ...]]) -> tuple[str, float]:
    """The reference that most examples share, and their share."""
    counts = Counter(text for those in references for text in {one.strip().casefold() for one in those} if text)
    if not counts:
        return "", 0.0
    text, n = min(counts.items(), key=lambda item: (-item[1], item[0]))
    return text, n / len(references)


def _unmeasured(
    rules: Mapping[str, Rule], places: Mapping[str, Sequence[Place]], declared: Collection[str]
) -> Iterator[Said]:
    for key in dict.fromkeys(["language", *(key for rule in rules.values() for key in rule.slices)]):
        measured = {_value(place, key) for place in places.get("gate", ())}
        there = Counter(_value(place, key) for split, those in places.items() if split != "gate" for place in those)
        wanted = {*there, *(declared if key == "language" else ())} - measured - {"", "und"}
        if wanted:
            yield say(
                "no gate example has {key} {values}: nothing is known of how it answers there; add examples",
                key=key, values=_listed(sorted(wanted)),
            )  # fmt: skip


def _unmeasured_labels(candidate: Candidate, references: Sequence[tuple[str, ...]]) -> Iterator[Said]:
    measured = {normalize_label(text) for those in references for text in those}
    lacking = [name for name in candidate.task_options.get("labels", ()) if normalize_label(name) not in measured]
    if lacking:
        yield say(
            "no gate example has the label {names}: nothing is known of it, and macro_f1 is over the others; add "
            "examples",
            names=_listed(sorted(lacking)),
        )  # fmt: skip


def _value(place: Place, key: str) -> str:
    return place.language if key == "language" else place.facets.get(key, "")


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" (+{more})" if more > 0 else "")
