"""The public verbs. Everything the command line does, a Python program can do with these; they return plain values.

```python
from pathlib import Path

from slipway import api
from slipway.testing.projects import write_project

folder = write_project(Path("demo")).parent  # or a folder of your own with a slipway.yaml
with api.open_project(folder) as project:
    outcome = api.run(project)
    print(outcome.verdict.outcome, api.ask(project, "How much does the keel weigh?").text)
```

`project` is an open project (`open_project`); every verb may raise the errors of `slipway.errors`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import msgspec

from slipway.core.answer import Answer
from slipway.core.candidate import Candidate, ModelPin
from slipway.core.look import Look
from slipway.core.material import Change, Chunk, Dataset, Document, Example
from slipway.core.ref import canonical
from slipway.core.release import Comparison, Release, Verdict
from slipway.core.report import Report, Score
from slipway.core.run import Run
from slipway.core.trace import Feedback, Trace
from slipway.data import inspection as _show
from slipway.errors import ConfigError, NotFound, nearest
from slipway.evaluate import compare as _compare
from slipway.i18n import t
from slipway.loop import check as _check
from slipway.loop import run as _run
from slipway.loop.context import Context, Listener, whoami
from slipway.loop.model_lock import pin_models
from slipway.loop.retain import retention
from slipway.plugins import told
from slipway.privacy.redact import Redactor
from slipway.privacy.secrets import Own, of_environment
from slipway.project import load as _load
from slipway.project.scaffold import init as _init
from slipway.release import bundle as _bundle
from slipway.release import promote as _promote
from slipway.runtime.respond import answer as _answer
from slipway.store import backup as _backup
from slipway.store import gc as _gc
from slipway.store import models as _models
from slipway.store import restore as _restore
from slipway.store import stats as _stats
from slipway.store import verify as _verify

__all__ = [
    "ask",
    "changes",
    "check",
    "compare",
    "create_key",
    "datasets",
    "diff",
    "export_traces",
    "feedback",
    "find",
    "gate_looks",
    "init",
    "items",
    "json_schema",
    "keys",
    "models",
    "open_project",
    "promote",
    "pull_models",
    "releases",
    "remove_model",
    "reports",
    "revoke_key",
    "rollback",
    "rotate_gate",
    "run",
    "runs",
    "serve",
    "store_backup",
    "store_gc",
    "store_restore",
    "store_stats",
    "store_verify",
    "trace",
    "traces",
    "verdict",
    "verify",
]


# project -------------------------------------------------------------------------------------------------------
def init(folder: str | Path, template: str = "docs-assistant") -> list[Path]:
    """Scaffold a project that runs as it is; returns the files written. Never overwrites one."""
    return _init(Path(folder), template)


def open_project(folder: str | Path = ".", overrides: Sequence[str] = (), listener: Listener | None = None) -> Context:
    """Open the project in `folder` or above it; `overrides` are `key.path=value`. Close it, or use `with`."""
    file = _load.find(Path(folder))
    return Context(_load.load(file, overrides), file, listener)


def check(
    folder: str | Path = ".", overrides: Sequence[str] = (), *, run_plugins: bool = False
) -> list[_check.Finding]:
    """Validate the project file and look at the machine. Raises ConfigError when the file itself is wrong.

    The project's own plug-ins are parsed, not run, unless `run_plugins` says so.
    """
    file = _load.find(Path(folder))
    return _check.check(_load.load(file, overrides), file, run_plugins=run_plugins)


def json_schema() -> dict[str, Any]:
    """The JSON schema of `slipway.yaml`."""
    return _load.json_schema()


# the loop ------------------------------------------------------------------------------------------------------
def run(project: Context, until: _run.Stage = "release") -> _run.Outcome:
    """Bring the project up to date, up to a stage; a step whose inputs, config and code are unchanged is not run."""
    return _run.run(project, until)


def runs(project: Context, limit: int = 50) -> list[Run]:
    """Executed steps, newest first."""
    return project.store.catalog.runs(limit)


def ask(project: Context, text: str, candidate: str | None = None, channel: str | None = None) -> Answer:
    """One answer from a candidate by name, or from what a channel serves, by default the project's own."""
    if candidate is None:
        chosen = _candidate_of(project, _release(project, channel or project.project.serve.channel))
    else:
        chosen = _newest_candidate(project, candidate)
    with told("tasks", chosen.task):
        input = project.session.task(chosen).conversation([{"role": "user", "content": text}])
    return project.wait(_answer(chosen, input, project.session))


def serve(
    project: Context, host: str | None = None, port: int | None = None, ready: Callable[[str], None] | None = None
) -> None:
    """Serve the project's channels until SIGTERM or Ctrl-C; `ready` is told the base URL once it answers."""
    from slipway.loop.serving import serve as _serve

    _serve(project, host, port, ready)


# data ----------------------------------------------------------------------------------------------------------
def datasets(project: Context) -> list[tuple[str, Dataset]]:
    """(when, dataset), newest first."""
    return project.store.catalog.list("dataset", Dataset)


def changes(project: Context, dataset: str, reason: str | None = None) -> list[Change]:
    """What was dropped, changed or flagged on the way into a dataset (its name or digest), with the reasons."""
    return list(_show.changes(_dataset(project, dataset), project.store, reason))


def find(project: Context, kind: Literal["dataset", "report", "release"], name: str, split: str = "dev") -> Any:
    """A dataset by name (`name~1` is the one before) or digest; a report by candidate and split, or digest; a release
    by channel, digest or `name@digest`. Raises NotFound with the nearest name.
    """
    if kind == "report":
        return _report(project, name, split)
    return _dataset(project, name) if kind == "dataset" else _release(project, name)


def diff(project: Context, kind: Literal["dataset", "release"], before: str, after: str) -> dict[str, Any]:
    """What differs between two of a kind.

    Datasets: `added`, `removed`, `changed` (item, fields), and how many are the `same`. Releases: field -> (before,
    after).
    """
    if kind == "dataset":
        return _show.diff(_dataset(project, before), _dataset(project, after), project.store)
    sides = [_flat(project, _release(project, name)) for name in (before, after)]
    keys = sorted({*sides[0], *sides[1]})
    return {k: (sides[0].get(k), sides[1].get(k)) for k in keys if sides[0].get(k) != sides[1].get(k)}


def _dataset(project: Context, name: str) -> Dataset:
    """The newest dataset of a name (`name~1` is the one before), or the one with a digest."""
    base, _, back = name.partition("~")
    found = project.store.catalog.list("dataset", Dataset, base)
    if not found:
        known = sorted({d.name for _, d in datasets(project)})
        if base not in known and len(base) >= 8 and all(c in "0123456789abcdef" for c in base):
            return project.store.catalog.get("dataset", base, Dataset)
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


def items(project: Context, noun: Dataset | Report, limit: int | None = None) -> list[Any]:
    """The first items of a dataset (Document, Chunk or Example), or of a report: (Example, Score) pairs.

    Answers on the gate split are a look at it, which is counted; raises GateFailed when `release.looks` are used up.
    """
    if isinstance(noun, Report) and noun.split == "gate":
        _run.show_answers(project, noun)
    return _items(project, noun, limit)


def _items(project: Context, noun: Dataset | Report, limit: int | None = None) -> list[Any]:
    if isinstance(noun, Dataset):
        kinds: dict[str, Any] = {"documents": Document, "chunks": Chunk, "examples": Example}
        return list(islice(project.store.blobs.get_lines(noun.items, kinds[noun.kind]), limit))
    dataset = project.store.catalog.get("dataset", noun.dataset.digest, Dataset)
    examples = {e.id: e for e in project.store.blobs.get_lines(dataset.items, Example)}
    return [(examples[s.example], s) for s in islice(project.store.blobs.get_lines(noun.scores, Score), limit)]


# models --------------------------------------------------------------------------------------------------------
def pull_models(project: Context) -> dict[str, ModelPin]:
    """Fetch, check, quantise and pin every model of the project."""
    with project.store.lock():
        return pin_models(project.project, project.root, project.lock_file, project.listener.progress, project.plugins)


def models(name: str | None = None) -> list[_models.Model]:
    """Every model in this user's cache folder; or those of a source or name, re-hashed.

    Raises NotFound, or IntegrityError when bytes changed.
    """
    if name is None:
        return _models.list_models()
    found = _models.show(name)
    for model in found:
        _models.verify(model)
    return found


def remove_model(name: str) -> list[_models.Model]:
    """Delete a model and what was derived from it."""
    return _models.remove(name)


# evaluation ----------------------------------------------------------------------------------------------------
def reports(project: Context, split: str | None = None) -> list[tuple[str, Report]]:
    """(when, report), newest first; of one split, or all."""
    found = project.store.catalog.list("report", Report)
    return [(at, r) for at, r in found if split is None or r.split == split]


def compare(
    project: Context, champion: str, challenger: str, metric: str | None = None, split: str = "dev"
) -> tuple[Comparison, list[Any], dict[str, Example]]:
    """Challenger minus champion, paired on the examples of a split: the effect and the examples that changed most.

    On the gate split, candidates not yet measured there are measured, and the look is counted.
    """
    metric = metric or project.project.evaluate.names[0]
    pair: list[list[Score]] = []
    examples: dict[str, Example] = {}
    reports: list[Report] = []
    for name in (champion, challenger):
        reports.append(_run.report_for(project, name, split))
        found = _items(project, reports[-1])
        examples |= {example.id: example for example, _ in found}
        pair.append([score for _, score in found])
    info = reports[1].meaning(metric)
    found = _compare.compare(pair[0], pair[1], info)
    return found, list(_compare.most_changed(pair[0], pair[1], info)), examples


def _report(project: Context, name: str, split: str = "dev") -> Report:
    """The newest report of a candidate on a split, or the report with a digest."""
    for _, report in reports(project, split):
        if report.candidate.name == name:
            return report
    if len(name) >= 8 and all(c in "0123456789abcdef" for c in name):
        return project.store.catalog.get("report", name, Report)
    known = sorted({r.candidate.name for _, r in reports(project, split)})
    raise NotFound(
        t("no report of '{name}' on {split}", name=name, split=split),
        t("known: {names}", names=", ".join(known) or t("none yet; `slipway run evaluate` makes them")),
    )


def gate_looks(project: Context) -> list[Look]:
    """Every look at the examples that are in the gate split now, the first first."""
    return _run.looks(project)


def rotate_gate(project: Context) -> Dataset:
    """Make the reserve the gate split, and what was the gate dev; returns the new examples. See `data.split.reserve`.

    Raises ConfigError when nothing is in reserve.
    """
    return _run.rotate(project)


# releases ------------------------------------------------------------------------------------------------------
def releases(project: Context) -> list[tuple[str, Release, list[str]]]:
    """(when, release, the channels that point at it), newest first."""
    channels = project.store.catalog.channels()
    found = project.store.catalog.list("release", Release)
    return [(at, r, [c for c, digest in channels.items() if digest == r.digest]) for at, r in found]


def verdict(project: Context, release: str | None = None) -> Verdict:
    """The verdict of a release, or the newest verdict of all."""
    if release is not None:
        return project.store.catalog.get("verdict", _release(project, release).verdict.digest, Verdict)
    found = project.store.catalog.list("verdict", Verdict)
    if not found:
        raise NotFound(t("the gate has not judged anything yet"), "slipway run")
    return found[0][1]


def promote(project: Context, release: str, channel: str | None = None, why: str = "") -> bool:
    """Verify a release and point a channel at it; False when it already pointed there."""
    channel = channel or project.project.serve.channel
    found = _release(project, release)
    return _promote.promote(project.store, channel, found, by=whoami(), why=why, verify=_verifier(project))


def rollback(project: Context, channel: str | None = None, why: str = "") -> Release:
    """Point a channel at the release before; returns that release."""
    channel = channel or project.project.serve.channel
    return _promote.rollback(project.store, channel, by=whoami(), why=why, verify=_verifier(project))


def verify(project: Context, release: str | None = None, head: str = "") -> list[str]:
    """Re-hash all that a release pins and follow the project's history; returns what was checked, its head last.

    Without a release only the history. `head`: one that was printed earlier and kept elsewhere; the history must still
    stand on it. Raises IntegrityError at a single flipped bit.
    """
    heads = [head] if head else []
    if release is None:
        return [_bundle.verify_history(project.store, heads)]
    checked = _bundle.verify(_release(project, release), project.store, project.locate)
    return [*checked[:-1], _bundle.verify_history(project.store, heads)]


# traces and feedback -------------------------------------------------------------------------------------------
def traces(project: Context, limit: int = 50, channel: str | None = None) -> list[Trace]:
    """Served requests, newest first."""
    shown = _redactor(project)
    return [shown.trace(trace) for _, trace in project.store.catalog.traces(limit, channel=channel)]


def trace(project: Context, id: str) -> tuple[Trace, list[Feedback]]:
    """One served request and what its users said of it."""
    shown = _redactor(project)
    found = project.store.catalog.trace(id)
    return shown.trace(found), [shown.feedback(said) for said in project.store.catalog.feedback(id)]


def feedback(project: Context, limit: int = 50) -> list[Feedback]:
    """What users said, newest first."""
    shown = _redactor(project)
    return [shown.feedback(said) for said in project.store.catalog.feedback(limit=limit)]


def export_traces(
    project: Context, file: Path, limit: int = 100_000, redact: Literal["off", "mask", "hash"] | None = None
) -> int:
    """Write traces, oldest first, one JSON object a line with its feedback; returns how many.

    `redact`: what becomes of personal data; None is what serve.redact says, or `mask` where that says `off`.
    """
    kept = project.project.serve.redact
    cleaned = _redactor(project, redact or ("mask" if kept == "off" else kept))
    said: dict[str, list[Feedback]] = {}
    for one in project.store.catalog.feedback(limit=limit):
        said.setdefault(one.trace, []).append(cleaned.feedback(one))
    found = [trace for _, trace in reversed(project.store.catalog.traces(limit))]
    aside = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            for one in found:
                out.write(canonical({"trace": cleaned.trace(one), "feedback": said.get(one.id, [])}) + b"\n")
        os.link(aside, file)  # whole or not at all, and never over a file that is there
    except OSError as error:
        raise ConfigError(
            t("{path} cannot be written: {why}", path=file, why=error.strerror),
            t("name a new file in a folder you own"),
        ) from error
    finally:
        with suppress(OSError):
            aside.unlink()
    return len(found)


# the store -----------------------------------------------------------------------------------------------------
def store_stats(project: Context) -> _stats.Stats:
    """How much of what the store holds, how much it takes and how much room is left."""
    return _stats.stats(project.store)


def store_gc(project: Context, *, dry_run: bool = False) -> _gc.Swept:
    """Delete what nothing needs and what is over the time of `store.retention`; safe while a server answers.

    Raises Busy while a run is at work in the project.
    """
    return _gc.gc(project.store, retention(project.project), dry_run=dry_run)


def store_backup(project: Context, file: Path) -> _backup.Backup:
    """Write all of the project's state, as it is at one instant, into a new file; safe while a server answers."""
    return _backup.backup(project.store, file)


def store_restore(project: Context, file: Path, *, replace: bool = False) -> _restore.Restored:
    """Put a backup in the place of the project's state, whichever database it came from; all of it or nothing.

    Raises ConfigError where there is some, unless `replace`; IntegrityError, with nothing changed, for a damaged one.
    """
    return _restore.restore(project.store, file, replace=replace)


def store_verify(project: Context, head: str = "") -> _verify.Verified:
    """Read every row and blob and compare them with their digests; `head`: of the history, kept from an earlier day."""
    return _verify.verify(project.store, [head] if head else [])


# keys ----------------------------------------------------------------------------------------------------------
def create_key(project: Context, name: str, scopes: Sequence[str] = (), tenant: str = "") -> tuple[str, str]:
    """(id, secret) of a new API key. The secret is shown here once; only its hash is kept.

    `scopes`: what it is for, of `ask`, `read`, `admin`; empty: everything. `tenant`: whose traces it makes.
    """
    from slipway.serve.auth.keys import create_key as create

    return create(project.store, name, scopes, tenant)


def keys(project: Context) -> list[dict[str, Any]]:
    """Every key: id, name, at, revoked, scopes, tenant. Never the hash."""
    return [{k: v for k, v in key.items() if k != "hash"} for key in project.store.catalog.api_keys()]


def revoke_key(project: Context, id: str) -> None:
    """Make a key useless; raises NotFound when there is no such valid key."""
    if not project.store.catalog.revoke_key(id):
        raise NotFound(t("no valid key has the id '{id}'", id=id), t("`slipway keys list` shows them"))


# ---------------------------------------------------------------------------------------------------------------
def _release(project: Context, name: str) -> Release:
    """A release by channel or digest, either of them also as `name@...`."""
    catalog = project.store.catalog
    channels = catalog.channels()
    channel = name.removeprefix(f"{project.project.name}@")
    if channel in channels:
        return catalog.release(channels[channel])
    digest = name.rpartition("@")[2]
    if len(digest) >= 8 and all(c in "0123456789abcdef" for c in digest):
        return catalog.release(digest)
    near = nearest(name, channels)
    raise NotFound(
        t("no release or channel is called '{name}'", name=name),
        t("did you mean '{near}'?", near=near)
        if near
        else t("`slipway release list` shows them; `slipway run` makes one"),
    )


def _redactor(project: Context, mode: Literal["off", "mask", "hash"] = "off") -> Redactor:
    """For what is shown or exported: traces that an older version kept may hold secrets."""
    own = Own(of_environment())
    own.learn(project.secrets)
    return Redactor(mode, own, project.store.salt if mode == "hash" else b"")


def _verifier(project: Context) -> Callable[[Release], object]:
    return lambda release: _bundle.verify(release, project.store, project.locate)


def _candidate_of(project: Context, release: Release) -> Candidate:
    return project.store.catalog.get("candidate", release.candidate.digest, Candidate)


def _newest_candidate(project: Context, name: str) -> Candidate:
    found = project.store.catalog.list("candidate", Candidate, name)
    if not found:
        raise ConfigError(t("the candidate '{name}' has not been made yet", name=name), "slipway run adapt")
    return found[0][1]


def _flat(project: Context, release: Release) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    _flatten("candidate", msgspec.to_builtins(_candidate_of(project, release)), flat)
    _flatten("pins", release.pins, flat)
    return flat


def _flatten(prefix: str, value: Any, into: dict[str, Any]) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _flatten(f"{prefix}.{key}", item, into)
    else:
        into[prefix] = value
