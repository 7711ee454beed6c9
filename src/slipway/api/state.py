"""The project's state as a whole."""

from __future__ import annotations

from pathlib import Path

from slipway.loop import kept as _kept
from slipway.loop import sweep as _sweep
from slipway.loop.context import Context
from slipway.offline import archive as _archive
from slipway.store import backup as _backup
from slipway.store import gc as _gc
from slipway.store import restore as _restore
from slipway.store import stats as _stats
from slipway.store import verify as _verify


def store_stats(project: Context) -> _stats.Stats:
    """How much of what the store holds, how much it takes and how much room is left."""
    return _stats.stats(project.store)


def store_gc(project: Context, *, dry_run: bool = False) -> _gc.Swept:
    """Delete what nothing needs and what is over the time of `store.retention`; safe while a server answers.

    Raises Busy while a run is at work in the project.
    """
    return _sweep.sweep(project, dry_run=dry_run)


def kept(project: Context) -> _kept.Kept:
    """What is kept of those who ask, for how long and how much of it there is; what was deleted when and why."""
    return _kept.kept(project)


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


def bundle(project: Context, file: Path, *, wheels: Path | None = None, state: bool = True) -> _archive.Bundle:
    """Write the project with all it runs on (packages, models, files, state) into one new archive, for a machine that
    has no internet; what is left out is in the result.

    `wheels`: a folder of wheels to take, instead of asking pip. Raises MissingPrerequisite for packages or models that
    cannot be had here.
    """
    return _archive.bundle(project, file, wheels=wheels, state=state)
