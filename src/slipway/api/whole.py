"""The report that is sent: one file, HTML or Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from slipway import __version__
from slipway.adapt.tuning import observed_of
from slipway.api.finding import scored
from slipway.api.release import verdict as newest_verdict
from slipway.core.artifact import Artifact
from slipway.core.candidate import Candidate
from slipway.core.material import Dataset, Example
from slipway.core.release import Verdict
from slipway.core.report import Report, Score
from slipway.data.losses import losses
from slipway.errors import ConfigError, NotFound
from slipway.evaluate.worth import Terms, worth
from slipway.i18n import t
from slipway.loop import run as _run
from slipway.loop.context import Context
from slipway.project.schema import ValueConfig
from slipway.render import html, markdown
from slipway.render.document import Document
from slipway.render.pages.training import Trained
from slipway.render.pages.whole import Whole, title, whole
from slipway.render.pages.worth import Case
from slipway.store.catalog import now
from slipway.store.new_file import new_file

_FORMS = (".html", ".md")


def report(project: Context, file: Path, *, split: str = "dev", volume: float | None = None, limit: int = 300) -> Path:
    """Write the report of the project as it was last run into a new file, HTML or Markdown by its ending.

    `split`: whose questions are shown one by one; for `gate` that is a look, which is counted. `volume`: queries a
    month. `limit`: questions shown. Raises NotFound where nothing was measured yet, GateFailed when no look is left,
    ConfigError where the file cannot be written.
    """
    check_new(file)
    found = gathered(project, split, volume, limit)
    return written(file, whole(found), title(found))


def check_new(file: Path) -> None:
    """Raise ConfigError unless it can be written as HTML or Markdown, and is not there yet."""
    if file.suffix.lower() not in _FORMS:
        raise ConfigError(
            t("{path} ends neither in .html nor in .md", path=file), t("name the file, for example, report.html")
        )
    if file.exists():
        raise ConfigError(t("{path} is there already", path=file), t("name a new file, or delete this one"))


def written(file: Path, document: Document, name: str) -> Path:
    """Write a document with a title into a new file, in the form that its ending says."""
    text = f"# {markdown.escaped(name)}\n\n{markdown.write(document)}"
    if file.suffix.lower() == ".html":
        text = html.write(document, name)
    with new_file(file) as out:
        out.write(text.encode())
    return file


def gathered(project: Context, split: str, volume: float | None, limit: int) -> Whole:
    """What the report is made of: the newest of everything, on the newest examples."""
    if split not in ("dev", "gate"):
        raise ConfigError(t("'{split}' is not dev or gate", split=split), t("candidates are compared on dev or gate"))
    datasets: dict[str, Dataset] = {}
    for name in ("documents", "chunks", "examples"):
        found = project.store.catalog.list("dataset", Dataset, name)
        if found:
            datasets[name] = found[0][1]
    dev, gate = (_reports(project, datasets.get("examples"), one) for one in ("dev", "gate"))
    if not dev:
        raise NotFound(t("nothing was measured yet, so there is nothing to report"), "slipway run")
    verdict, judged = _judged(project)
    channels = project.store.catalog.channels()
    serving = channels.get(project.project.serve.channel)
    value = project.project.value
    answered, total = _answered(project, dev if split == "dev" else gate, limit)
    return Whole(
        name=project.project.name, task=project.project.task.name, made=now(), slipway=__version__,
        metrics=list(dict.fromkeys([*project.project.evaluate.names, *project.project.gate])),
        datasets=datasets, losses=losses(datasets, project.store), dev=dev, gate=gate, verdict=verdict, judged=judged,
        serves=project.store.catalog.release(serving).ref.short if serving else "",
        shown=split, answered=answered, total=total,
        volume=value.volume if volume is None and value else volume,
        case=case(project, value, [*dev, *gate]) if value else None,
        trained=_trained(project, dev),
    )  # fmt: skip


def business_case(project: Context) -> Case | None:
    """What the newest reports of each candidate say that answers are worth; None without `value` in the project file.

    Raises as `case` does.
    """
    value = project.project.value
    found = project.store.catalog.list("dataset", Dataset, "examples")[:1]
    if value is None or not found:
        return None
    reports = [one for split in ("dev", "gate") for one in _reports(project, found[0][1], split)]
    return case(project, value, reports) if reports else None


def case(project: Context, value: ValueConfig, reports: Sequence[Report]) -> Case | None:
    """What the answers of these reports are worth; None where none of them has the metric.

    Raises ConfigError for a metric that is not measured or no quality, and for costs in another currency.
    """
    name = value.metric or next(
        (name for name in project.project.evaluate.names if _quality(reports, name)), project.project.evaluate.names[0]
    )
    if not _quality(reports, name):
        raise ConfigError(
            t("value.metric: '{name}' is no quality metric that was measured", name=name),
            t("name one of evaluate.metrics that says how right an answer is, then `slipway run`"),
        )
    currency = value.per_hour.currency
    other = next((one.currency for one in reports if one.currency and one.currency != currency), "")
    if other:
        raise ConfigError(
            t("value.per_hour is in {currency}, and answers cost {other}", currency=currency, other=other),
            t("give all prices in one currency"),
        )
    gain = tuple(minutes / 60 * value.per_hour.amount for minutes in value.minutes_saved)
    terms = Terms(value.volume, (gain[0], gain[1]), value.loss_per_wrong, value.price, value.build)
    made = [
        (one, worth(list(project.store.blobs.get_lines(one.scores, Score)), one.meaning(name), terms))
        for one in reports if name in one.metrics
    ]  # fmt: skip
    found = [(one, reckoned) for one, reckoned in made if reckoned is not None]
    return Case(terms, currency, found[0][0].meaning(name), found) if found else None


def _quality(reports: Sequence[Report], name: str) -> bool:
    return any(name in one.metrics and one.meaning(name).kind == "quality" for one in reports)


def _reports(project: Context, examples: Dataset | None, split: str) -> list[Report]:
    """The newest of each candidate of the project, in the order of the project file."""
    found: dict[str, Report] = {}
    for _, one in project.store.catalog.list("report", Report):
        if examples is not None and one.split == split and one.dataset.digest == examples.digest:
            found.setdefault(one.candidate.name, one)
    return [found[name] for name in project.project.candidates if name in found]


def _trained(project: Context, reports: list[Report]) -> list[Trained]:
    """What tuners made of the candidates."""
    store, found = project.store, list[Trained]()
    for one in reports:
        made = store.catalog.get("candidate", one.candidate.digest, Candidate).artifact
        if made is not None:
            artifact = store.catalog.get("artifact", made.digest, Artifact)
            told = store.blobs.get_lines(artifact.log, dict) if artifact.log else ()
            found.append(Trained(one.candidate.name, artifact, list(told), observed_of(artifact, store)))
    return found


def _judged(project: Context) -> tuple[Verdict | None, Report | None]:
    """The newest verdict, and the report it judged."""
    try:
        verdict = newest_verdict(project)
        return verdict, project.store.catalog.get("report", verdict.report.digest, Report)
    except NotFound:
        return None, None


def _answered(
    project: Context, reports: list[Report], limit: int
) -> tuple[list[tuple[Example, dict[str, Score]]], int]:
    found: dict[str, tuple[Example, dict[str, Score]]] = {}
    for one in reports:
        if one.split == "gate":
            _run.show_answers(project, one)
        for example, score in scored(project, one):
            found.setdefault(example.id, (example, {}))[1][one.candidate.name] = score
    return list(found.values())[:limit], len(found)
