"""The cards of a release: one file about what it is and what it was measured with."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from slipway import __version__
from slipway.api.finding import find
from slipway.api.release import history
from slipway.api.whole import check_new, written
from slipway.core.artifact import Artifact
from slipway.core.candidate import Candidate, ModelPin
from slipway.core.material import Dataset
from slipway.core.release import Release, Verdict
from slipway.core.report import Report
from slipway.data.losses import losses
from slipway.errors import SlipwayError
from slipway.i18n import t
from slipway.loop.context import Context
from slipway.release.bundle import models_of
from slipway.render.document import Document
from slipway.render.pages.cards import Carded
from slipway.render.pages.cards import cards as cards_of
from slipway.render.pages.whole import Whole, limits
from slipway.store.catalog import now


def card(project: Context, file: Path, release: str | None = None) -> Path:
    """Write the model card and the data card of a release into a new file, HTML or Markdown by its ending.

    Without `release`, of the one that serves. Raises NotFound, ConfigError where the file cannot be written.
    """
    check_new(file)
    found, document = about_release(project, release or project.project.serve.channel)
    return written(file, document, t("Cards of {name}", name=found.ref.short))


def about_release(project: Context, release: str) -> tuple[Release, Document]:
    """A release, and its two cards. Raises NotFound."""
    found, store = find(project, "release", release), project.store
    report = store.catalog.get("report", found.report.digest, Report)
    verdict = store.catalog.get("verdict", found.verdict.digest, Verdict)
    candidate = store.catalog.get("candidate", found.candidate.digest, Candidate)
    datasets = _rests_on(project, candidate, report)
    made = [candidate.artifact] if candidate.artifact else []
    done = history(project)
    carded = Carded(
        release=found, candidate=candidate, report=report, verdict=verdict, models=models_of(candidate),
        sizes=_sizes(project, models_of(candidate)), datasets=datasets, losses=losses(datasets, store),
        artifacts=[store.catalog.get("artifact", ref.digest, Artifact) for ref in made],
        decisions=done.decisions, channels=[name for name, digest in done.channels.items() if digest == found.digest],
        said={key: text for key, text in project.project.card.model_dump().items() if text},
    )  # fmt: skip
    known = Whole(
        name=found.name, task=candidate.task, made=now(), slipway=__version__, metrics=list(report.metrics),
        datasets=datasets, losses=carded.losses, dev=[report], gate=[], verdict=verdict, judged=report, serves="",
        shown="gate", answered=[], total=0,
    )  # fmt: skip
    return found, cards_of(carded, limits(known))


def _rests_on(project: Context, candidate: Candidate, report: Report) -> dict[str, Dataset]:
    """The documents, passages and examples of a release, by name."""
    catalog = project.store.catalog
    todo = [report.dataset, *([candidate.retrieve.chunks] if candidate.retrieve else [])]
    found: dict[str, Dataset] = {}
    while todo:
        one = catalog.get("dataset", todo.pop().digest, Dataset)
        found[one.name] = one
        todo += [ref for ref in one.lineage if ref.kind == "dataset"]
    return dict(sorted(found.items(), key=lambda pair: ("documents", "chunks", "examples").index(pair[1].kind)))


def _sizes(project: Context, models: Sequence[ModelPin]) -> dict[str, int]:
    """Bytes of the files of those models that are on this machine."""
    found: dict[str, int] = {}
    for one in models:
        with suppress(SlipwayError, OSError):
            found[one.name] = sum(path.stat().st_size for path in project.locate(one).values())
    return {name: size for name, size in found.items() if size}
