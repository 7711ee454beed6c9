"""What a name means: a dataset, a report or a release, what is in it, and how two differ."""

from __future__ import annotations

import re
from itertools import islice
from typing import Any, Literal, overload

import msgspec

from slipway.core.candidate import Candidate
from slipway.core.material import Chunk, Dataset, Document, Example
from slipway.core.ref import Ref, digest_of
from slipway.core.release import Release, is_consequence
from slipway.core.report import Report, Score
from slipway.data import inspection
from slipway.errors import ConfigError, IntegrityError, NotFound, instead, nearest
from slipway.i18n import t
from slipway.loop import run as _run
from slipway.loop.context import Context

_DIGEST = re.compile(r"[0-9a-f]{8,64}")
_ITEMS: dict[str, type[Document] | type[Chunk] | type[Example]] = {
    "documents": Document, "chunks": Chunk, "examples": Example
}  # fmt: skip


@overload
def find(project: Context, kind: Literal["dataset"], name: str) -> Dataset: ...
@overload
def find(project: Context, kind: Literal["report"], name: str, split: str = "dev") -> Report: ...
@overload
def find(project: Context, kind: Literal["release"], name: str) -> Release: ...
def find(
    project: Context, kind: Literal["dataset", "report", "release"], name: str, split: str = "dev"
) -> Dataset | Report | Release:
    """A dataset by name (`name~1` is the one before) or digest; a report by candidate and split, or digest; a release
    by channel, digest or `name@digest`. Raises NotFound with the nearest name.
    """
    if kind == "report":
        if split not in ("dev", "gate"):
            raise ConfigError(t("'{split}' is not dev or gate", split=split), instead(split, ("dev", "gate")))
        return _report(project, name, split)
    return _dataset(project, name) if kind == "dataset" else _release(project, name)


@overload
def diff(project: Context, kind: Literal["dataset"], before: str, after: str) -> inspection.Difference: ...
@overload
def diff(project: Context, kind: Literal["release"], before: str, after: str) -> dict[str, tuple[Any, Any]]: ...
def diff(
    project: Context, kind: Literal["dataset", "release"], before: str, after: str
) -> inspection.Difference | dict[str, tuple[Any, Any]]:
    """What differs between two of a kind.

    Datasets: keys `added` and `removed`, what `changed` (item, fields), and how many are the `same`. Releases: field ->
    (before, after), what a person changed first (prompts, models, settings, `documents.<source>` with the number of
    passages), digests that follow from it last.
    """
    if kind == "dataset":
        return inspection.diff(_dataset(project, before), _dataset(project, after), project.store)
    sides = [_flat(project, _release(project, name)) for name in (before, after)]
    keys = sorted({*sides[0], *sides[1]}, key=lambda key: (_rank(key), key))
    return {k: (sides[0].get(k), sides[1].get(k)) for k in keys if sides[0].get(k) != sides[1].get(k)}


@overload
def items(project: Context, noun: Dataset, limit: int | None = None) -> list[Document | Chunk | Example]: ...
@overload
def items(project: Context, noun: Report, limit: int | None = None) -> list[tuple[Example, Score]]: ...
def items(
    project: Context, noun: Dataset | Report, limit: int | None = None
) -> list[Document | Chunk | Example] | list[tuple[Example, Score]]:
    """The first items of a dataset (Document, Chunk or Example), or of a report: (Example, Score) pairs."""
    if isinstance(noun, Report):
        if noun.split == "gate":
            _run.show_answers(project, noun)
        return scored(project, noun, limit)
    return list(islice(project.store.blobs.get_lines(noun.items, _ITEMS[noun.kind]), limit))


def scored(project: Context, noun: Report, limit: int | None = None) -> list[tuple[Example, Score]]:
    """The first examples of a report with their scores, without counting a look."""
    blobs = project.store.blobs
    dataset = project.store.catalog.get("dataset", noun.dataset.digest, Dataset)
    examples = {e.id: e for e in blobs.get_lines(dataset.items, Example)}
    return [(examples[s.example], s) for s in islice(blobs.get_lines(noun.scores, Score), limit)]


def candidate_of(project: Context, release: Release) -> Candidate:
    """What a release lets serve."""
    return project.store.catalog.get("candidate", release.candidate.digest, Candidate)


def _dataset(project: Context, name: str) -> Dataset:
    """The newest dataset of a name (`name~1` is the one before), or the one with a digest."""
    catalog = project.store.catalog
    base, _, back = name.partition("~")
    found = catalog.list("dataset", Dataset, base)
    if not found:
        known = sorted({d.name for _, d in catalog.list("dataset", Dataset)})
        if base not in known and _DIGEST.fullmatch(base):
            return catalog.get("dataset", base, Dataset)
        raise NotFound(
            t("no dataset is called '{name}'", name=base),
            t("known: {names}", names=", ".join(known) or t("none yet; `slipway run data` makes them")),
        )
    index = int(back) if back.isdigit() else 0
    if index >= len(found):
        raise NotFound(
            t("'{name}' has only {n} versions", name=base, n=len(found)), t("`slipway data list` shows them")
        )
    return found[index][1]


def _report(project: Context, name: str, split: str) -> Report:
    """The newest report of a candidate on a split, or the report with a digest."""
    known: set[str] = set()
    for _, report in project.store.catalog.list("report", Report):
        if report.split == split:
            known.add(report.candidate.name)
            if report.candidate.name == name:
                return report
    if _DIGEST.fullmatch(name):
        return project.store.catalog.get("report", name, Report)
    raise NotFound(
        t("no report of '{name}' on {split}", name=name, split=split),
        t("known: {names}", names=", ".join(sorted(known)) or t("none yet; `slipway run evaluate` makes them")),
    )


def _release(project: Context, name: str) -> Release:
    """A release by channel or digest, either of them also as `name@...`."""
    catalog = project.store.catalog
    channels = catalog.channels()
    channel = name.removeprefix(f"{project.project.name}@")
    if channel in channels:
        return catalog.release(channels[channel])
    digest = name.rpartition("@")[2]
    if _DIGEST.fullmatch(digest):
        return catalog.release(digest)
    near = nearest(name, channels)
    raise NotFound(
        t("no release or channel is called '{name}'", name=name),
        t("did you mean '{near}'?", near=near)
        if near
        else t("`slipway release list` shows them; `slipway run` makes one"),
    )


def _flat(project: Context, release: Release) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    candidate = candidate_of(project, release)
    _flatten("candidate", msgspec.to_builtins(candidate), flat)
    if candidate.retrieve is not None:
        flat |= _documents(project, candidate.retrieve.chunks)
    _flatten("pins", release.pins, flat)
    return flat


def _documents(project: Context, chunks: Ref) -> dict[str, str]:
    """By document: how many passages it has, and a few characters that change with their text; empty when lost."""
    try:
        dataset = project.store.catalog.get("dataset", chunks.digest, Dataset)
        found: dict[str, list[str]] = {}
        for chunk in project.store.blobs.get_lines(dataset.items, Chunk):
            found.setdefault(chunk.source, []).append(chunk.id)
    except (NotFound, IntegrityError):
        return {}
    return {
        f"documents.{source}": t("{n} passages ({digest})", n=len(ids), digest=digest_of(ids)[:8])
        for source, ids in found.items()
    }


def _rank(key: str) -> int:
    """What a person wrote, then what data was, then what follows from it."""
    if is_consequence(key):
        return 3
    first = ("candidate.name", "candidate.prompt", "candidate.system", "candidate.strategy", "candidate.model")
    if key.startswith(first):
        return 0
    return 2 if key.startswith("documents.") else 1


def _flatten(prefix: str, value: Any, into: dict[str, Any]) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _flatten(f"{prefix}.{key}", item, into)
    else:
        into[prefix] = value
