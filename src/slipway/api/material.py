"""What a project works with: its datasets, and the models on this machine."""

from __future__ import annotations

from slipway.api.finding import find
from slipway.core.candidate import ModelPin
from slipway.core.material import Change, Dataset
from slipway.data import inspection
from slipway.loop.context import Context
from slipway.loop.model_lock import pin_models
from slipway.store import models as _models


def datasets(project: Context) -> list[tuple[str, Dataset]]:
    """(when, dataset), newest first."""
    return project.store.catalog.list("dataset", Dataset)


def changes(project: Context, dataset: str, reason: str | None = None) -> list[Change]:
    """What was dropped, changed or flagged on the way into a dataset (its name or digest), with the reasons."""
    return inspection.changes(find(project, "dataset", dataset), project.store, reason)


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
