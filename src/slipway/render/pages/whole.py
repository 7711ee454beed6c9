"""The report that is sent to a customer: what was asked, of which data, how candidates did, what was decided, every
question with its answers, and what is not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from slipway.core.answer import Answer
from slipway.core.material import SAMPLE_OF, Dataset, Example
from slipway.core.metrics import MetricInfo, rounded
from slipway.core.release import Verdict
from slipway.core.report import Report, Score
from slipway.data.losses import Loss
from slipway.i18n import t, told
from slipway.release.claims import judged_by_point
from slipway.render.cells import Amount, Estimate, estimate, info_of, moment
from slipway.render.document import Column, Document, Part, Passage, Picture, Section, Table
from slipway.render.pages.frontier import frontier
from slipway.render.pages.reports import candidates_table
from slipway.render.pages.scales import verdict_picture
from slipway.render.pages.training import Trained, training
from slipway.render.pages.verdicts import about, claim_words, verdict_table
from slipway.render.pages.why import sentences
from slipway.render.pages.worth import Case, case_table

_EXTREMES = 5  # of the best and of the worst


@dataclass(frozen=True)
class Whole:
    """All that the report is made of. `answered`: each example shown, with the score of each candidate by name.

    `shown` names the split of `answered`, of `total` examples. `volume`: queries a month, where that is known.
    `case`: what answers are worth, where the project says what one is worth.
    """

    name: str
    task: str
    made: str
    slipway: str
    metrics: Sequence[str]
    datasets: dict[str, Dataset]
    losses: Sequence[Loss]
    dev: Sequence[Report]
    gate: Sequence[Report]
    verdict: Verdict | None
    judged: Report | None
    serves: str
    shown: str
    answered: Sequence[tuple[Example, dict[str, Score]]]
    total: int
    volume: float | None = None
    case: Case | None = None
    trained: Sequence[Trained] = ()


def whole(found: Whole) -> Document:
    """Chapters, in the order in which a customer asks."""
    chapters = [
        Section(t("Summary"), _summary(found)),
        Section(t("What was asked"), _asked(found)),
        Section(t("The data"), _data(found)),
        Section(t("The candidates"), _candidates(found)),
        *([Section(t("What was tuned"), training(found.trained))] if found.trained else []),
        Section(t("The decision"), _decision(found)),
        Section(t("What it costs"), _costs(found)),
        *([Section(t("What it is worth"), [case_table(found.case)])] if found.case else []),
        Section(t("Best and worst answers"), _extremes(found)),
        Section(t("Every question"), _questions(found)),
        Section(t("What is not known"), [f"– {line}" for line in limits(found)]),
    ]
    return Document(None, chapters)


def title(found: Whole) -> str:
    """Of the whole."""
    return t("Report on {name}", name=found.name)


def _summary(found: Whole) -> list[Part]:
    lines: list[Part] = [
        t("Made on {at} (UTC) by Slipway {version}.", at=moment(found.made), version=found.slipway),
        t("{documents} documents, {examples} questions, {n} candidates.",
          documents=_size(found, "documents"), examples=_size(found, "examples"), n=len(found.dev)),
    ]  # fmt: skip
    if found.verdict is not None and found.judged is not None:
        words = {
            "pass": t("'{name}' passed the gate.", name=found.judged.candidate.name),
            "fail": t("'{name}' failed the gate.", name=found.judged.candidate.name),
            "insufficient": t("'{name}' did not pass the gate: there were too few examples to tell.",
                              name=found.judged.candidate.name),
        }  # fmt: skip
        lines.append(words[found.verdict.outcome])
    lines.append(t("Now serving: {release}.", release=found.serves) if found.serves else t("Nothing serves yet."))
    return lines


def _size(found: Whole, name: str) -> int:
    return found.datasets[name].size if name in found.datasets else 0


def _asked(found: Whole) -> list[Part]:
    parts: list[Part] = [
        t("The task is '{task}'; measured were {metrics}.", task=found.task, metrics=", ".join(found.metrics)),
        t("Candidates are chosen on one part of the questions (dev) and confirmed on another that nobody looked at "
          "while they were made (gate)."),
    ]  # fmt: skip
    if found.verdict is not None and found.judged is not None:
        judged = found.judged
        rows = [
            [about(one), claim_words(one, info_of(one.metric, judged.meanings), judged.currency)]
            for one in found.verdict.rules
        ]
        parts.append(Table(t("Rules of the gate"), [Column(t("metric")), Column(t("asked"))], rows))
    return parts


def _data(found: Whole) -> list[Part]:
    columns = [Column(t("dataset")), Column(t("items"), "count"), Column(t("counts")), Column(t("digest"), "digest")]
    rows = [[one.name, one.size, one.counts, one.digest] for one in found.datasets.values()]
    parts: list[Part] = [Table(t("Data"), columns, rows)]
    if found.losses:
        columns = [Column(t("items"), "count"), Column(t("finding")), Column(t("for example")), Column(t("what to do"))]
        rows = [[loss.count, loss.what, ", ".join(loss.items), loss.how] for loss in found.losses]
        return [*parts, Table(t("What was lost or is doubtful"), columns, rows)]
    return [*parts, t("Nothing was lost on the way in.")]


def _candidates(found: Whole) -> list[Part]:
    parts: list[Part] = []
    if found.dev:
        parts.append(candidates_table(t("On the dev split (choose)"), found.dev, found.metrics))
        quality = quality_of(found)
        drawn = frontier(found.dev, quality.name) if quality else ""
        parts += [Picture(drawn)] if drawn else []
    if found.gate:
        parts.append(candidates_table(t("On the gate split (confirm)"), found.gate, found.metrics))
    return parts or [t("Nothing was measured yet.")]


def quality_of(found: Whole) -> MetricInfo | None:
    """The first quality metric that the project names, of those that were measured."""
    measured = {name: one.meaning(name) for one in found.dev for name in one.metrics}
    named = (measured[name] for name in found.metrics if name in measured)
    return next((info for info in named if info.kind == "quality"), None)


def _decision(found: Whole) -> list[Part]:
    if found.verdict is None or found.judged is None:
        return [t("The gate has not judged anything yet.")]
    parts: list[Part] = list(sentences(found.verdict, found.judged))
    if found.verdict.rules:
        parts.append(Picture(verdict_picture(found.verdict, found.judged)))
    return [*parts, verdict_table(found.verdict, found.judged.currency)]


def _costs(found: Whole) -> list[Part]:
    priced = [one for one in found.dev if one.currency and "cost_per_query" in one.metrics]
    if not priced:
        return [t("Nothing has a price: `machine.per_hour` or `models.NAME.price` in slipway.yaml gives one.")]
    columns = [Column(t("candidate")), Column(t("a query"), "measure")]
    columns += [Column(t("{n} queries a month", n=f"{found.volume:,.0f}"), "measure")] if found.volume else []
    rows: list[list[Any]] = []
    for one in priced:
        cost = estimate(one.metrics["cost_per_query"], info_of("cost_per_query"), one.currency)
        rows.append([one.candidate.name, cost, *([_times(cost, found.volume)] if found.volume and cost else [])])
    notes = [t("the interval is that of the mean over the questions measured; prices and volume are taken as given")]
    if not found.volume:
        notes.append(t("`slipway report --volume N` shows the cost of N queries a month"))
    return [Table(t("Costs on dev"), columns, rows, notes)]


def _times(cost: Estimate, volume: float) -> Estimate:
    low, high = (None if end is None else end * volume for end in (cost.low, cost.high))
    return Estimate(cost.value * volume, cost.info, cost.currency, low=low, high=high)


def _extremes(found: Whole) -> list[Part]:
    name, info = _first(found), quality_of(found)
    if not name or info is None:
        return [t("No answers are shown.")]
    ranked = [
        (scores[name].metrics[info.name], n) for n, (_, scores) in enumerate(found.answered)
        if name in scores and info.name in scores[name].metrics
    ]  # fmt: skip
    ranked.sort(key=lambda one: (-one[0] if info.higher_is_better else one[0], one[1]))
    columns = [Column(t("example"), "count"), Column(t("input"), "excerpt", 90), Column(info.name, "measure"),
               Column(t("answer"), "excerpt", 120)]  # fmt: skip

    def rows(chosen: Sequence[tuple[float, int]]) -> list[list[Any]]:
        return [
            [n + 1, found.answered[n][0].text, Amount(value, info), said(found.answered[n][1][name].answer)]
            for value, n in chosen
        ]

    half = min(_EXTREMES, len(ranked) // 2)
    if not half:
        return [t("There are too few answers to choose from.")]
    return [
        t("By {metric}, answers of '{name}' on the {split} split.", metric=info.name, name=name, split=found.shown),
        Table(t("Best"), columns, rows(ranked[:half])),
        Table(t("Worst"), columns, rows(ranked[::-1][:half])),
    ]


def _first(found: Whole) -> str:
    """The candidate that the report is about: the one that was judged, else the first."""
    names = [one.candidate.name for one in found.dev]
    judged = found.judged.candidate.name if found.judged is not None else ""
    return judged if judged in names else next(iter(names), "")


def _questions(found: Whole) -> list[Part]:
    head = t("{n} of the {total} questions of the {split} split, each with what every candidate answered.",
             n=len(found.answered), total=found.total, split=found.shown)  # fmt: skip
    info = quality_of(found)
    return [head, *(_question(n, example, scores, info, _first(found))
                    for n, (example, scores) in enumerate(found.answered, 1))]  # fmt: skip


def _question(n: int, example: Example, scores: dict[str, Score], info: MetricInfo | None, first: str) -> Section:
    parts: list[Part] = [Passage(example.text)]
    if example.expected:
        parts.append(Section(t("Expected"), [Passage(" | ".join(example.expected))], 4))
    for name, score in scores.items():
        parts.append(Section(name, _answered(score), 4))
    tags = [example.language] if example.language != "und" else []
    if first in scores:
        tags.append(_grade(scores[first], info))
    return Section(f"{n}.", parts, 3, tags=tags or ["-"])


def _grade(score: Score, info: MetricInfo | None) -> str:
    if score.answer.error:
        return t("error")
    if score.answer.abstained:
        return t("abstained")
    value = score.metrics.get(info.name) if info else None
    if info is None or value is None:
        return t("not-scored")
    better = value if info.higher_is_better else 1 - value
    return t("good") if better >= 0.5 else t("poor")


def _answered(score: Score) -> list[Part]:
    parts: list[Part] = [Passage(said(score.answer))]
    line = [f"{name} {value:.3g}" for name, value in score.metrics.items()]
    line.append(f"{rounded(score.answer.seconds)} s")
    parts.append(" · ".join(line))
    cited = [one for one in score.answer.citations if one.cited] or list(score.answer.citations)
    if cited:
        label = t("cites") if any(one.cited for one in score.answer.citations) else t("passages")
        places = dict.fromkeys("#".join([one.source, *one.path[-1:]]) for one in cited)
        parts.append(f"{label}: {'; '.join(places)}")
    return parts


def said(answer: Answer) -> str:
    """What a person reads: the answer, or why there is none."""
    if answer.error:
        return t("(no answer: {why})", why=told(answer.error))
    return answer.text or (t("(it declined to answer)") if answer.abstained else t("(empty)"))


def limits(found: Whole) -> list[str]:
    """What the numbers do not say, a sentence each."""
    lines: list[str] = []
    info, name = quality_of(found), _first(found)
    report = next((one for one in found.dev if one.candidate.name == name), None)
    got = report.metrics.get(info.name) if report and info else None
    if info is not None and got is not None and got.low is not None and got.high is not None:
        lines.append(t("{metric} of '{name}' lies between {low} and {high} with 95% confidence, from {n} questions.",
                       metric=info.name, name=name, low=f"{got.low:.2f}", high=f"{got.high:.2f}", n=got.n))  # fmt: skip
    lines += _languages(found)
    documents = found.datasets.get("documents")
    if documents is not None and SAMPLE_OF in documents.counts:
        lines.append(t("Only a sample of the {n} files was read, so retrieval looks better than it is.",
                       n=documents.counts[SAMPLE_OF]))  # fmt: skip
    lines += [
        t(
            "'{name}' got no answer to {n} questions; they count as the worst value.",
            name=one.candidate.name,
            n=one.errors,
        )
        for one in found.dev
        if one.errors
    ]
    if found.verdict is not None:
        by_value = [one.metric for one in found.verdict.rules if one.outcome == "pass" and judged_by_point(one)]
        if by_value:
            lines.append(t("{metrics} passed by the measured value alone, which chance may have favoured.",
                           metrics=", ".join(by_value)))  # fmt: skip
        if found.verdict.looks:
            lines.append(t("The gate's questions were looked at {n} times of {budget}.", n=found.verdict.gate_uses,
                           budget=found.verdict.looks))  # fmt: skip
    lost = sum(loss.count for loss in found.losses)
    if lost:
        lines.append(t("{n} items of the data were lost or doubtful: what they hold cannot be answered.", n=lost))
    lines.append(t("Whether the questions are those that users will ask was not measured."))
    lines.append(t("Safety, bias and the protection of personal data were not measured by these metrics."))
    return lines


def _languages(found: Whole) -> list[str]:
    """Languages of the documents that no question of the gate has."""
    documents, examples = (found.datasets.get(name) for name in ("documents", "examples"))
    if documents is None or examples is None:
        return []
    there = {key.removeprefix("language/") for key in documents.counts if key.startswith("language/")}
    asked = {key.removeprefix("gate/") for key in examples.counts if key.startswith("gate/")}
    return [
        t("There are documents in '{language}', but no question of the gate is in it.", language=one)
        for one in sorted(there - asked - {"und"})
    ]
