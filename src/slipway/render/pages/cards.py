"""A release's two cards: what it is, what it was measured to do and not (a model card, Mitchell et al. 2019,
doi:10.1145/3287560.3287596), and what it was made and measured with (a datasheet, Gebru et al. 2021,
doi:10.1145/3458723).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from slipway.core.artifact import Artifact
from slipway.core.candidate import Candidate, ModelPin
from slipway.core.history import Decision
from slipway.core.material import Dataset
from slipway.core.release import Release, Verdict
from slipway.core.report import Report
from slipway.data.losses import Loss
from slipway.i18n import t
from slipway.render.cells import moment
from slipway.render.document import Column, Document, Part, Passage, Section, Table
from slipway.render.pages.releases import decided
from slipway.render.pages.reports import report_table
from slipway.render.pages.verdicts import verdict_table


@dataclass(frozen=True)
class Carded:
    """All that the cards are made of. `said`: what the project's `card` says, in the words of its people. `datasets`:
    those that the release rests on, by what they are. `sizes`: bytes of each model's files that are here, by name.
    """

    release: Release
    candidate: Candidate
    report: Report
    verdict: Verdict
    models: Sequence[ModelPin]
    sizes: Mapping[str, int]
    artifacts: Sequence[Artifact]
    datasets: Mapping[str, Dataset]
    losses: Sequence[Loss]
    decisions: Sequence[Decision]
    channels: Sequence[str]
    said: Mapping[str, str] = field(default_factory=dict[str, str])


def cards(found: Carded, limits: Sequence[str]) -> Document:
    """Both, as one document. `limits`: what is not known, a sentence each."""
    model = Section(t("Model card"), [
        Section(t("What it is"), _details(found), 3),
        Section(t("What it is for"), _use(found.said), 3),
        Section(t("How it was measured"), [report_table(found.report)], 3),
        Section(t("Why it may serve"), [verdict_table(found.verdict, found.report.currency)], 3),
        Section(t("Where it served"), [_served(found)], 3),
        Section(t("What is not known"), [f"– {line}" for line in limits], 3),
    ])  # fmt: skip
    data = Section(t("Data card"), [
        Section(t("What there is"), [_datasets(found)], 3),
        Section(t("Where it comes from"), _said(found.said, "data", t("The project does not say where its data come "
                "from and under which licence: `card.data` in slipway.yaml.")), 3),
        Section(t("What was lost or is doubtful"), _lost(found.losses), 3),
        Section(t("What was trained on it"), _trained(found.artifacts), 3),
    ])  # fmt: skip
    return Document(None, [model, data])


def _details(found: Carded) -> list[Part]:
    candidate, release = found.candidate, found.release
    rows: list[list[Any]] = [
        [t("release"), release.digest],
        [t("candidate"), f"{candidate.name}, {candidate.digest}"],
        [t("task"), candidate.task],
        [t("strategy"), candidate.strategy],
        [t("made"), f"{moment(release.created)} UTC, {release.created_by}, slipway {release.slipway}"],
        [t("serves now"), ", ".join(found.channels) or t("on no channel")],
    ]
    retrieval = candidate.retrieve
    if retrieval is not None:
        rows.append([t("passages"), t("{n} for an input, {mode}, from {digest}", n=retrieval.top_k, mode=retrieval.mode,
                                      digest=retrieval.chunks.digest)])  # fmt: skip
    if candidate.few_shot is not None:
        shown = t("{n} for an input, {how}", n=candidate.few_shot.k, how=candidate.few_shot.choose)
        rows.append([t("worked examples"), shown])
    rows += [[t("a note"), release.note]] if release.note else []
    columns = [Column(t("what")), Column(t("value"), "excerpt", 200)]
    parts: list[Part] = [Table(t("Release"), columns, rows), _models(found)]
    for title, text in ((t("system message"), candidate.system), (t("prompt"), candidate.prompt)):
        parts += [Section(title, [Passage(text, whole=True)], 4)] if text else []
    return parts


def _models(found: Carded) -> Table:
    columns = [Column(t("model")), Column(t("engine")), Column(t("source"), "excerpt", 100), Column(t("size"), "bytes"),
               Column(t("files by sha256"), "excerpt", 400)]  # fmt: skip
    rows = [
        [one.name, one.engine, one.source, found.sizes.get(one.name), _files(one.files)] for one in found.models
    ]  # fmt: skip
    notes = [] if rows else [t("no model is asked")]
    return Table(t("Models"), columns, rows, notes)


def _files(files: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {sha256}" for name, sha256 in sorted(files.items())) or t("no files here")


def _use(said: Mapping[str, str]) -> list[Part]:
    meant = _said(said, "use", t("The project does not say what it is for: `card.use` in slipway.yaml."))
    if said.get("not_for"):
        meant += [t("It is not for:"), Passage(said["not_for"], whole=True)]
    return [*meant, *([t("Who answers for it: {name}", name=said["owner"])] if said.get("owner") else [])]


def _said(said: Mapping[str, str], key: str, otherwise: str) -> list[Part]:
    return [Passage(said[key], whole=True)] if said.get(key) else [otherwise]


def _served(found: Carded) -> Table:
    digest = found.release.digest
    rows = [[one.at, decided(one.action), one.channel, one.by] for one in found.decisions if one.release == digest]
    return Table(t("Promotions"), [Column(t("when"), "time"), Column(t("action")), Column(t("channel")),
                                   Column(t("by"))], rows)  # fmt: skip


def _datasets(found: Carded) -> Table:
    columns = [Column(t("dataset")), Column(t("items"), "count"), Column(t("counts"), "excerpt", 300),
               Column(t("digest"), "excerpt", 80)]  # fmt: skip
    return Table(t("Data"), columns, [[n, one.size, one.counts, one.digest] for n, one in found.datasets.items()])


def _lost(losses: Sequence[Loss]) -> list[Part]:
    if not losses:
        return [t("Nothing was lost on the way in.")]
    columns = [Column(t("items"), "count"), Column(t("finding")), Column(t("for example")), Column(t("what to do"))]
    return [Table("", columns, [[one.count, one.what, ", ".join(one.items), one.how] for one in losses])]


def _trained(artifacts: Sequence[Artifact]) -> list[Part]:
    if not artifacts:
        return [t("Nothing: no model of this release was trained here.")]
    columns = [Column(t("made for")), Column(t("tuner")), Column(t("options"), "excerpt", 200), Column(t("from")),
               Column(t("data"), "excerpt", 200), Column(t("measured"), "excerpt", 200)]  # fmt: skip
    rows: list[list[Any]] = [
        [one.name, one.tuner, one.tuner_options, one.base.source if one.base else "",
         [ref.short for ref in one.data], one.measured]
        for one in artifacts
    ]  # fmt: skip
    return [Table("", columns, rows)]
