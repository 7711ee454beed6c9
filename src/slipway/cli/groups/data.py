"""`slipway data`: what there is, what is in it, how two differ."""

from __future__ import annotations

from typing import Annotated

import typer

from slipway.cli.options import HERE, Limit, Project, make_group, open_project
from slipway.cli.report import command
from slipway.i18n import t
from slipway.render.document import Document

app = make_group(t("Datasets: list, look into, compare."))


@command(app, "list", help=t("Datasets, newest first."))
def list_(project: Project = HERE) -> Document:
    """Name, size and counts."""
    from slipway import api
    from slipway.render.pages.data import datasets

    with open_project(project) as opened:
        return datasets(api.datasets(opened))


@command(app, "show", help=t("What is in a dataset, and what was dropped or changed on the way, with reasons."))
def show(
    name: Annotated[str, typer.Argument(help=t("documents, chunks, examples, or a digest; name~1 is the one before."))],
    changes: Annotated[bool, typer.Option("--changes", help=t("List each dropped or changed item."))] = False,
    reason: Annotated[str | None, typer.Option(help=t("Only changes with this reason."))] = None,
    limit: Limit = 20,
    project: Project = HERE,
) -> Document:
    """Items, or changes."""
    from slipway import api
    from slipway.render.pages import data

    with open_project(project) as opened:
        if changes or reason:
            return data.changes(api.changes(opened, name, reason), limit)
        dataset = api.find(opened, "dataset", name)
        return data.dataset(dataset, api.items(opened, dataset, limit), api.changes(opened, name))


@command(app, "diff", help=t("What differs between two datasets, e.g. documents~1 documents."))
def diff(
    before: Annotated[str, typer.Argument(help=t("A dataset's name or digest."))],
    after: Annotated[str, typer.Argument(help=t("Another of the same kind."))],
    limit: Limit = 50,
    project: Project = HERE,
) -> Document:
    """Added, removed, changed."""
    from slipway import api
    from slipway.render.pages.data import difference

    with open_project(project) as opened:
        return difference(api.diff(opened, "dataset", before, after), limit)
