"""Releases: what may serve, what does, and how it came to that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from slipway.api.finding import find
from slipway.core.history import Decision, History
from slipway.core.ref import Ref
from slipway.core.release import Release, Verdict
from slipway.core.report import Report, Score
from slipway.errors import ConfigError, NotFound
from slipway.files import why
from slipway.i18n import t
from slipway.loop import run as _run
from slipway.loop.context import Context, whoami
from slipway.release import bundle as _bundle
from slipway.release import promote as _promote
from slipway.release import recount as _recount
from slipway.render import csv
from slipway.render.pages import arithmetic
from slipway.store.new_file import new_file


def releases(project: Context) -> list[tuple[str, Release, list[str]]]:
    """(when, release, the channels that point at it), newest first."""
    channels = project.store.catalog.channels()
    found = project.store.catalog.list("release", Release)
    return [(at, r, [c for c, digest in channels.items() if digest == r.digest]) for at, r in found]


def history(project: Context) -> History:
    """Every promotion and rollback, newest first, what each channel points at, and the head of the ledger."""
    catalog = project.store.catalog
    decisions = [Decision(**{name: row[name] for name in Decision.__struct_fields__}) for row in catalog.history()]
    return History(decisions=decisions, channels=catalog.channels(), head=catalog.head())


def verdict(project: Context, release: str | None = None) -> Verdict:
    """The verdict of a release, or the newest verdict of all."""
    if release is not None:
        return project.store.catalog.get("verdict", find(project, "release", release).verdict.digest, Verdict)
    found = project.store.catalog.list("verdict", Verdict)
    if not found:
        raise NotFound(t("the gate has not judged anything yet"), "slipway run")
    return found[0][1]


def export_verdict(project: Context, folder: Path, release: str | None = None) -> list[Path]:
    """Write all that a verdict's arithmetic stands on into a new folder, `rules.csv` and `scores.csv`; returns both.

    `examples/recompute_verdict.py` does the arithmetic again. Whoever reads the scores of single gate examples has
    looked at them: that is counted as `slipway eval show --split gate` is, once for both, but never refused. Raises
    NotFound without a verdict or its scores, ConfigError where the folder cannot be written.
    """
    judged = verdict(project, release)
    catalog, blobs = project.store.catalog, project.store.blobs
    report = catalog.get("report", judged.report.digest, Report)
    rivals: dict[str, list[Score]] = {}
    for one in judged.rules:
        if one.champion is not None and one.against not in rivals:
            theirs = _same_examples(project, report, catalog.release(one.champion.digest).candidate)
            rivals[one.against] = list(blobs.get_lines(theirs.scores, Score))
    made = _recount.recount(judged, report, list(blobs.get_lines(report.scores, Score)), rivals)
    files = [folder / "rules.csv", folder / "scores.csv"]
    _new_folder(folder)
    if report.split == "gate":
        _run.show_answers(project, report, refuse=False)
    for file, table in zip(files, (arithmetic.rules_table(made), arithmetic.values_table(made)), strict=True):
        with new_file(file) as out:
            out.write(csv.write(table).encode())
    return files


def _same_examples(project: Context, report: Report, candidate: Ref) -> Report:
    """The newest report of another candidate on the very examples of a report."""
    for _, found in project.store.catalog.list("report", Report):
        if (found.candidate.digest, found.split, found.dataset) == (candidate.digest, report.split, report.dataset):
            return found
    raise NotFound(
        t("the scores of {candidate} on the examples of this verdict are not kept any more", candidate=candidate.short),
        t("`slipway run` judges again"),
    )


def _new_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise ConfigError(
            t("{path} cannot be written: {why}", path=folder, why=why(error)),
            t("name a new folder in a folder you own"),
        ) from error


def promote(project: Context, release: str, channel: str | None = None, why: str = "", by: str = "") -> bool:
    """Verify a release and point a channel at it; False when it already pointed there. `by`: who decided that, by
    default whoever runs this.
    """
    channel = channel or project.project.serve.channel
    found = find(project, "release", release)
    return _promote.promote(project.store, channel, found, by=by or whoami(), why=why, verify=_verifier(project))


def rollback(project: Context, channel: str | None = None, why: str = "", by: str = "") -> Release:
    """Point a channel at the release before; returns that release. `by`: as for `promote`."""
    channel = channel or project.project.serve.channel
    return _promote.rollback(project.store, channel, by=by or whoami(), why=why, verify=_verifier(project))


def verify(project: Context, release: str | None = None, head: str = "") -> list[str]:
    """Re-hash all that a release pins and follow the project's history; returns what was checked, its head last.

    Without a release only the history. `head`: one that was printed earlier and kept elsewhere; the history must still
    stand on it. Raises IntegrityError at a single flipped bit.
    """
    heads = [head] if head else []
    if release is None:
        return [_bundle.verify_history(project.store, heads)]
    checked = _bundle.verify(find(project, "release", release), project.store, project.locate)
    return [*checked[:-1], _bundle.verify_history(project.store, heads)]


def _verifier(project: Context) -> Callable[[Release], object]:
    return lambda release: _bundle.verify(release, project.store, project.locate)
