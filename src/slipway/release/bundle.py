"""What a release pins, and whether all of it is still what it was. Knows nothing of how the verdict was reached."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path

from slipway import __version__
from slipway.core.artifact import Artifact
from slipway.core.candidate import Candidate, ModelPin
from slipway.core.material import Dataset
from slipway.core.ref import Ref
from slipway.core.release import Release, Verdict
from slipway.core.report import Report
from slipway.errors import GateFailed, IntegrityError, NotFound
from slipway.i18n import t
from slipway.store.catalog import now
from slipway.store.models.content import check_file
from slipway.store.store import Store

Locate = Callable[[ModelPin], Mapping[str, Path]]


def make_release(
    project: str, candidate: Candidate, report: Report, verdict: Verdict, store: Store, by: str, note: str = ""
) -> Release:
    """A manifest of everything that answers. Raises GateFailed unless the verdict is `pass` and about this report."""
    if verdict.outcome != "pass" or verdict.report.digest != report.digest:
        raise GateFailed(
            t("{candidate} has no passing verdict; it cannot be released", candidate=candidate.name),
            t("`slipway run` shows what the gate found"),
        )
    return Release(
        name=project,
        candidate=candidate.ref,
        report=report.ref,
        verdict=Ref("verdict", candidate.name, verdict.digest),
        pins=pins_of(candidate, report, store),
        created=now(),
        created_by=by,
        slipway=__version__,
        note=note,
        history=store.catalog.head(),
    )


def pins_of(candidate: Candidate, report: Report, store: Store) -> dict[str, str]:
    """`blob:<what>` and `model:<name>/<file>` -> sha256, of all that the candidate needs and all that speaks for it."""
    pins = {"blob:scores": report.scores}
    if candidate.retrieve:
        pins["blob:chunks"] = store.catalog.get("dataset", candidate.retrieve.chunks.digest, Dataset).items
    pins["blob:examples"] = store.catalog.get("dataset", report.dataset.digest, Dataset).items
    pins.update({f"blob:adapter {name}": sha256 for name, sha256 in candidate.adapter_files.items()})
    pins.update({f"blob:file {name}": sha256 for name, sha256 in candidate.files.items()})
    if candidate.artifact is not None:
        pins["noun:artifact"] = candidate.artifact.digest
    if candidate.retrieve and candidate.retrieve.artifact is not None:
        pins["noun:embedder"] = candidate.retrieve.artifact.digest
    for model in models_of(candidate):
        pins.update({f"model:{model.name}/{file}": sha256 for file, sha256 in model.files.items()})
    return pins


def models_of(candidate: Candidate) -> list[ModelPin]:
    """Every model a candidate loads."""
    models = [model for model in (candidate.model, candidate.encoder) if model]
    if candidate.retrieve and candidate.retrieve.embedder:
        models.append(candidate.retrieve.embedder)
    if candidate.retrieve and candidate.retrieve.reranker:
        models.append(candidate.retrieve.reranker)
    if candidate.few_shot and candidate.few_shot.embedder:
        models.append(candidate.few_shot.embedder)
    return models


def verify(release: Release, store: Store, locate: Locate) -> list[str]:
    """Re-hash every pinned byte; returns what was checked, one line each.

    Raises IntegrityError at the first difference: a single flipped bit in a blob, a noun or a model file.
    """
    catalog = store.catalog
    candidate = catalog.get("candidate", release.candidate.digest, Candidate)
    report = catalog.get("report", release.report.digest, Report)
    verdict = catalog.get("verdict", release.verdict.digest, Verdict)
    checked = [release.candidate.short, release.report.short, release.verdict.short]
    if verdict.outcome != "pass" or pins_of(candidate, report, store) != release.pins:
        raise IntegrityError(
            t("release {digest} does not pin what its candidate needs", digest=release.digest[:12]),
            t("it was changed outside Slipway; promote another release"),
        )
    checked += check_blobs(release, store)
    made = (candidate.artifact, candidate.retrieve.artifact if candidate.retrieve else None)
    checked += [catalog.get("artifact", ref.digest, Artifact).ref.short for ref in made if ref is not None]
    for model in models_of(candidate):
        with _naming(t("the model '{name}'", name=model.name)):
            for file, path in sorted(locate(model).items()):
                check_file(path, model.files[file])
                checked.append(f"model:{model.name}/{file} {model.files[file][:12]}")
    checked.append(verify_history(store, [head for head in (verdict.history, release.history) if head]))
    return checked


def check_blobs(release: Release, store: Store) -> list[str]:
    """Re-hash what a release pins in the store; returns what was checked. Raises IntegrityError that says what a
    damaged or missing blob was, and how it is made again.
    """
    checked: list[str] = []
    for what, sha256 in sorted(release.pins.items()):
        if what.startswith("blob:"):
            name = what.removeprefix("blob:")
            with _naming(_told(name), _remedy(name)):
                store.blobs.verify(sha256)
            checked.append(f"{what} {sha256[:12]}")
    return checked


def _told(name: str) -> str:
    known = {
        "chunks": t("the passages that it retrieves from (chunks)"),
        "examples": t("the examples that it was measured with"),
        "scores": t("the scores that it passed the gate with"),
    }
    return known.get(name) or t("the {name}", name=name)


def _remedy(name: str) -> str:
    stage = {"chunks": "data", "examples": "data", "scores": "release"}.get(name, "adapt")
    return t(
        "`{command}` makes it again where documents, examples and settings are still those of this release; else "
        "restore it: `slipway store restore FILE`, or roll back",
        command=f"slipway run {stage}",
    )


@contextmanager
def _naming(what: str, remedy: str = "") -> Generator[None]:
    """Errors about bytes say which part of a release they are."""
    try:
        yield
    except (IntegrityError, NotFound) as error:
        raise IntegrityError(
            t("damaged or missing: {what}: {why}", what=what, why=error.said), remedy or error.hint
        ) from error


def verify_history(store: Store, heads: Iterable[str] = ()) -> str:
    """Check the record of what was decided against itself, against every release, and against heads kept elsewhere.

    Returns a line that names its present head. Raises IntegrityError.
    """
    return f"history {store.catalog.verify_history(heads)}"
