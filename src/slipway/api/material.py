"""What a project works with: its datasets, and the models on this machine."""

from __future__ import annotations

from collections.abc import Sequence

from slipway.api.finding import find
from slipway.core.candidate import ModelPin
from slipway.core.material import Change, Dataset
from slipway.data import inspection
from slipway.data.collect import fetch as _fetch
from slipway.errors import NotFound, nearest
from slipway.i18n import t
from slipway.loop.at_work import at_work
from slipway.loop.context import Context
from slipway.loop.model_lock import absolute, pin_models
from slipway.store import models as _models


def datasets(project: Context) -> list[tuple[str, Dataset]]:
    """(when, dataset), newest first."""
    return project.store.catalog.list("dataset", Dataset)


def changes(project: Context, dataset: str, reason: str | None = None) -> list[Change]:
    """What was dropped, changed or flagged on the way into a dataset (its name or digest), with the reasons."""
    return inspection.changes(find(project, "dataset", dataset), project.store, reason)


def fetch(project: Context, names: Sequence[str] = ()) -> list[_fetch.Fetched]:
    """Fetch sites and tables, by default all, into the project's folder `fetched`; runs read only what lies there.

    Raises SlipwayError when nothing of one could be fetched; what was fetched before stays.
    """
    with at_work(project):
        return project.wait(_fetch.fetch(project.project.data, project.root, names, project.listener.progress))


def pull_models(project: Context) -> dict[str, ModelPin]:
    """Fetch, check, quantise and pin every model of the project."""
    with at_work(project):
        return pin_models(project.project, project.root, project.lock_file, project.listener.progress, project.plugins)


def models(name: str | None = None, project: Context | None = None) -> list[_models.Model]:
    """Every model in this user's cache folder; or those of a source or name, re-hashed. With a `project`, `name` may be
    what it calls a model.

    Raises NotFound, or IntegrityError when bytes changed.
    """
    if name is None:
        return _models.list_models()
    try:
        found = _own(name, project) or _models.show(name)
    except NotFound as error:
        near = nearest(name, project.project.models) if project else ""
        raise NotFound(error.message, t("did you mean '{near}'?", near=near) if near else error.hint) from error
    for model in found:
        _models.verify(model)
    return found


def _own(name: str, project: Context | None) -> list[_models.Model]:
    """What a project calls by this name, with what it was quantised from; nothing when it calls no model so."""
    config = project.project.models.get(name) if project else None
    if config is None or project is None:
        return []
    if not config.source:
        raise NotFound(t("the model '{name}' of this project has no files: its engine is {engine}", name=name,
                         engine=config.engine), t("`slipway check` shows whether its server answers"))  # fmt: skip
    source = absolute(config.source, project.root)
    found = _models.find(source, config.quantize)
    if found is None:
        raise NotFound(
            t("the model '{name}' ({source}) is not on this machine", name=name, source=config.source),
            "slipway models pull",
        )
    base = _models.find(source) if config.quantize else None
    return [found] if base is None else [base, found]


def remove_model(name: str) -> list[_models.Model]:
    """Delete a model and what was derived from it."""
    return _models.remove(name)
