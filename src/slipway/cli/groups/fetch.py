"""`slipway data fetch`: bring sites and tables into the project."""

from __future__ import annotations

from typing import Annotated

import typer

from slipway.cli.groups.data import app
from slipway.cli.options import HERE, NONE, Limit, Project, Set, open_project
from slipway.cli.report import command
from slipway.i18n import t
from slipway.render.document import Document


@command(app, "fetch", help=t("Fetch the sites and tables of the project; later runs read what was fetched."))
def fetch(
    names: Annotated[list[str], typer.Argument(help=t("Names under data.sites and data.tables; default all."))] = NONE,
    limit: Limit = 20,
    project: Project = HERE,
    set_: Set = NONE,
) -> Document:
    """What did not change is not fetched again; interrupted, it goes on the next time."""
    from slipway import api
    from slipway.cli.progress import listener
    from slipway.render.pages.fetched import fetched

    with listener() as listening, open_project(project, set_, listening) as opened:
        found = api.fetch(opened, names)
    return fetched(found, limit)
