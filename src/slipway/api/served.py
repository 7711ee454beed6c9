"""What was asked and answered, what users said of it, and the keys they ask with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from slipway.core.ref import canonical
from slipway.core.trace import Feedback, Trace, Wanted
from slipway.data.imports.training_files import KIND
from slipway.errors import ConfigError, instead
from slipway.i18n import t
from slipway.loop import feedback as _feedback_rows
from slipway.loop import forget as _forgetting
from slipway.loop import imported_rows as _imported_rows
from slipway.loop.context import Context
from slipway.loop.mine import left_out, mine
from slipway.privacy.redact import Mode, Redactor
from slipway.privacy.secrets import Own, of_environment
from slipway.serve.auth import keys as _keys
from slipway.store.new_file import new_file


def traces(project: Context, limit: int = 50, channel: str | None = None, wanted: Wanted | None = None) -> list[Trace]:
    """Served requests, newest first; of them those that are wanted (`slipway.core.trace.Wanted`)."""
    shown = _redactor(project)
    wanted = wanted or Wanted()
    if channel is not None:
        wanted = msgspec.structs.replace(wanted, channel=channel)
    return [shown.trace(trace) for _, trace in project.store.catalog.traces(limit, wanted=wanted)]


def trace(project: Context, id: str) -> tuple[Trace, list[Feedback]]:
    """One served request and what its users said of it."""
    shown = _redactor(project)
    found = project.store.catalog.trace(id)
    return shown.trace(found), [shown.feedback(said) for said in project.store.catalog.feedback(found.id)]


def feedback(project: Context, limit: int = 50) -> list[tuple[Feedback, Trace | None]]:
    """What users said, newest first, each with what it is about; None where that is not kept any more."""
    shown = _redactor(project)
    said = project.store.catalog.feedback(limit=limit)
    about = {id: shown.trace(trace) for id, trace in _about(project, said).items()}
    return [(shown.feedback(one), about.get(one.trace)) for one in said]


def _about(project: Context, said: Sequence[Feedback]) -> dict[str, Trace]:
    ids, found = sorted({one.trace for one in said}), dict[str, Trace]()
    for start in range(0, len(ids), 500):
        part = tuple(ids[start : start + 500])
        found |= {trace.id: trace for _, trace in project.store.catalog.traces(len(part), wanted=Wanted(ids=part))}
    return found


def export_examples(
    project: Context, file: Path, limit: int = 100_000, redact: Mode | None = None
) -> tuple[dict[str, int], dict[str, int]]:
    """Write what users said as examples to be reviewed, JSON lines that `data.examples` reads; returns how many of each
    kind were written, and how many were left out for which reason.

    With nothing to write no file is made. A correction becomes the reference, an answer with a thumb up a proposed one
    (`loop.mine`). `redact`: as for `export_traces`. Raises ConfigError where the file is there already or cannot be
    written.
    """
    cleaned, said = exporting(project, redact), project.store.catalog.feedback(limit=limit)
    about = _about(project, said)
    pairs = [(cleaned.feedback(one), cleaned.trace(about[one.trace])) for one in said if one.trace in about]
    mined = mine(project.task, pairs)
    mined.left["trace"] += len({one.trace for one in said} - about.keys())
    if mined.examples:
        with new_file(file) as out:
            for row in mined.examples:
                out.write(canonical(row) + b"\n")
    return mined.made, left_out(mined)


def _feedback(project: Context, reading: _feedback_rows.Reading) -> _feedback_rows.Found:
    cleaned, said = exporting(project, reading.redact), project.store.catalog.feedback(limit=reading.limit)
    about = _about(project, said)
    pairs = [(cleaned.feedback(one), cleaned.trace(about[one.trace])) for one in said if one.trace in about]
    keys = _feedback_rows.key_ids(project, reading.shared)
    found = _feedback_rows.find(project, pairs, reading.per_user, keys)
    found.mined.left["trace"] += len({one.trace for one in said} - about.keys())
    return found


def mine_feedback(project: Context, reading: _feedback_rows.Reading = _feedback_rows.ALL) -> _feedback_rows.Harvest:
    """Make of what users said rows to train on, in `feedback/mined.*.jsonl` of the project: examples, pairs of answers
    of which one is preferred, and thumbs; without what is close to an example of dev, gate or reserve.
    """
    return _feedback_rows.write(project, _feedback(project, reading))


def export_feedback(
    project: Context, file: Path, format: str, reading: _feedback_rows.Reading = _feedback_rows.ALL
) -> _feedback_rows.Harvest:
    """Write what `mine_feedback` would make into a new file, in a format of other tools: openai-chat, sharegpt, alpaca,
    preference, kto. With nothing to write no file is made. Raises ConfigError for any other format.
    """
    if format not in KIND:
        raise ConfigError(t("no format is called '{name}'", name=format), instead(format, KIND))
    found = _feedback(project, reading)
    rows = _feedback_rows.export(project, found, format)
    if rows:
        with new_file(file) as out:
            for row in rows:
                out.write(canonical(row) + b"\n")
    kind = KIND[format]
    return _feedback_rows.told(found, {kind: str(file)} if rows else {}, {kind: len(rows)})


def import_feedback(
    project: Context, file: Path, format: str = "auto", redact: Mode | None = None
) -> _imported_rows.Taken:
    """Turn a file of chats, preferences or thumbs (openai-chat, sharegpt, alpaca, preference, kto) into a new file of
    rows in the project's `feedback/`, redacted, without repeats and without what is close to a held out example.
    """
    cleaned = exporting(project, redact)
    return _imported_rows.take(project, file, format, cleaned.value)


def forget(
    project: Context,
    trace: str = "",
    user: str = "",
    matching: str = "",
    *,
    yes: bool = False,
    by: str = "",
    why: str = "",
) -> _forgetting.Forgotten:
    """Take out what came from one trace (its id), one user (id or name of a key), or holds a text, and tell what it
    went into; without `yes` only tell. Done again it finds nothing. Raises Busy while a run is at work.

    `by` (default: who runs this) and `why` are kept with the note that it was done (`api.kept`).
    """
    origin = _forgetting.Origin(trace=trace, user=user, matching=matching)
    return _forgetting.forget(project, origin, yes=yes, by=by, why=why)


def export_traces(project: Context, file: Path, limit: int = 100_000, redact: Mode | None = None) -> int:
    """Write traces, oldest first, one JSON object a line with its feedback; returns how many.

    `redact`: what becomes of personal data; None is what serve.redact says, or `mask` where that says `off`.
    """
    cleaned = exporting(project, redact)
    said: dict[str, list[Feedback]] = {}
    for one in project.store.catalog.feedback(limit=limit):
        said.setdefault(one.trace, []).append(cleaned.feedback(one))
    found = [trace for _, trace in reversed(project.store.catalog.traces(limit))]
    with new_file(file) as out:
        for one in found:
            out.write(canonical({"trace": cleaned.trace(one), "feedback": said.get(one.id, [])}) + b"\n")
    return len(found)


def traces_to_export(
    project: Context, limit: int, wanted: Wanted, redact: Mode | None = None
) -> list[tuple[Trace, list[Feedback]]]:
    """(trace, its feedback) of those that are wanted, newest first, with `redact` as for `export_traces`."""
    cleaned, found = exporting(project, redact), project.store.catalog.traces(limit, wanted=wanted)
    said = project.store.catalog.feedback_on([trace.id for _, trace in found])
    return [(cleaned.trace(one), [cleaned.feedback(each) for each in said.get(one.id, [])]) for _, one in found]


def create_key(project: Context, name: str, scopes: Sequence[str] = (), tenant: str = "") -> tuple[str, str]:
    """(id, secret) of a new API key. The secret is shown here once; only its hash is kept.

    `scopes`: what it is for, of `ask`, `read`, `label`, `admin`; empty: everything. `tenant`: whose traces it makes.
    """
    return _keys.create_key(project.store, name, scopes, tenant)


def keys(project: Context) -> list[_keys.Key]:
    """Every key in the order they were made, revoked ones too; never their hashes."""
    return _keys.list_keys(project.store)


def revoke_key(project: Context, id: str) -> None:
    """Make a key useless, at once; raises NotFound when there is no such valid key."""
    _keys.revoke_key(project.store, id)


def exporting(project: Context, redact: Mode | None) -> Redactor:
    """For what leaves the record: what serve.redact says, or `mask` where that says `off`."""
    kept = project.project.serve.redact
    return _redactor(project, redact or ("mask" if kept == "off" else kept))


def _redactor(project: Context, mode: Mode = "off") -> Redactor:
    """For what is shown or exported: traces that an older version kept may hold secrets."""
    own = Own(of_environment())
    own.learn(project.secrets)
    return Redactor(mode, own, project.store.salt if mode == "hash" else b"")
