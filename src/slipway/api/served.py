"""What was asked and answered, what users said of it, and the keys they ask with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from slipway.core.ref import canonical
from slipway.core.trace import Feedback, Trace
from slipway.loop.context import Context
from slipway.privacy.redact import Redactor
from slipway.privacy.secrets import Own, of_environment
from slipway.serve.auth import keys as _keys
from slipway.store.new_file import new_file


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
    with new_file(file) as out:
        for one in found:
            out.write(canonical({"trace": cleaned.trace(one), "feedback": said.get(one.id, [])}) + b"\n")
    return len(found)


def create_key(project: Context, name: str, scopes: Sequence[str] = (), tenant: str = "") -> tuple[str, str]:
    """(id, secret) of a new API key. The secret is shown here once; only its hash is kept.

    `scopes`: what it is for, of `ask`, `read`, `admin`; empty: everything. `tenant`: whose traces it makes.
    """
    return _keys.create_key(project.store, name, scopes, tenant)


def keys(project: Context) -> list[_keys.Key]:
    """Every key in the order they were made, revoked ones too; never their hashes."""
    return _keys.list_keys(project.store)


def revoke_key(project: Context, id: str) -> None:
    """Make a key useless, at once; raises NotFound when there is no such valid key."""
    _keys.revoke_key(project.store, id)


def _redactor(project: Context, mode: Literal["off", "mask", "hash"] = "off") -> Redactor:
    """For what is shown or exported: traces that an older version kept may hold secrets."""
    own = Own(of_environment())
    own.learn(project.secrets)
    return Redactor(mode, own, project.store.salt if mode == "hash" else b"")
