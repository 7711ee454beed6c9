"""Releases: what may serve, what does, and how it came to that."""

from __future__ import annotations

from collections.abc import Callable

from slipway.api.finding import find
from slipway.core.history import Decision, History
from slipway.core.release import Release, Verdict
from slipway.errors import NotFound
from slipway.i18n import t
from slipway.loop.context import Context, whoami
from slipway.release import bundle as _bundle
from slipway.release import promote as _promote


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


def promote(project: Context, release: str, channel: str | None = None, why: str = "") -> bool:
    """Verify a release and point a channel at it; False when it already pointed there."""
    channel = channel or project.project.serve.channel
    found = find(project, "release", release)
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
    checked = _bundle.verify(find(project, "release", release), project.store, project.locate)
    return [*checked[:-1], _bundle.verify_history(project.store, heads)]


def _verifier(project: Context) -> Callable[[Release], object]:
    return lambda release: _bundle.verify(release, project.store, project.locate)
