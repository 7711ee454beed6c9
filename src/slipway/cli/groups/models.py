"""`slipway models`: on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from slipway.cli.options import HERE, NONE, Project, Set, make_group, open_project
from slipway.cli.report import command
from slipway.i18n import t
from slipway.render.document import Document

app = make_group(t("Models on this machine: pull, list, show, remove."))
Name = Annotated[str, typer.Argument(help=t("Source or name."))]


@command(app, "pull", help=t("Fetch, check, quantise and pin every model of the project."))
def pull(project: Project = HERE, set_: Set = NONE) -> Document:
    """Does nothing for models that are here."""
    from slipway import api
    from slipway.cli.progress import listener
    from slipway.render.pages.models import pins

    with listener() as listening, open_project(project, set_, listening) as opened:
        found = api.pull_models(opened)
    return pins(found)


@command(app, "list", help=t("Models in this user's cache folder."))
def list_() -> Document:
    """Source, size, licence."""
    from slipway import api
    from slipway.render.pages.models import models

    return models(api.models())


@command(app, "show", help=t("One model: its files, re-hashed."))
def show(
    name: Annotated[str, typer.Argument(help=t("A name in the project, a source or a part of one."))],
    project: Project = HERE,
) -> Document:
    """Exit code 4 when its bytes changed. Works outside a project, too, for sources."""
    from slipway import api
    from slipway.errors import ConfigError
    from slipway.project.load import find
    from slipway.render.pages.models import model_files

    try:
        find(project)
    except ConfigError:
        return model_files(api.models(name))
    with open_project(project) as opened:
        return model_files(api.models(name, opened))


@command(app, "rm", help=t("Delete a model from the cache folder."))
def remove(name: Name) -> Document:
    """What was derived from it goes too."""
    from slipway import api
    from slipway.render.pages.models import models

    return models(api.remove_model(name))
