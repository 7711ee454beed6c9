"""`slipway keys`: who may ask."""

from __future__ import annotations

from typing import Annotated

import typer

from slipway.cli import terminal
from slipway.cli.options import HERE, Project, make_group, open_project
from slipway.cli.report import command
from slipway.i18n import t
from slipway.render.document import Document

app = make_group(t("API keys: create, list, revoke."))


@app.command("create", help=t("Make an API key; it is shown once and kept only as a hash."))
def create(
    name: Annotated[str, typer.Argument(help=t("Who will use it."))],
    scope: Annotated[
        list[str] | None,
        typer.Option(help=t("What it is for: ask, read, label or admin; may be given again. All of it.")),
    ] = None,
    tenant: Annotated[str, typer.Option(help=t("Whose traces it makes, in a project with several tenants."))] = "",
    project: Project = HERE,
) -> None:
    """The secret goes to standard output."""
    from slipway import api

    with open_project(project) as opened:
        id, secret = api.create_key(opened, name, scope or (), tenant)
    terminal.warn(t("key {id}; it will not be shown again:", id=id))
    terminal.out(secret)


@command(app, "list", help=t("Keys: who, when, revoked or not."))
def list_(project: Project = HERE) -> Document:
    """Never the secrets: they are not kept."""
    from slipway import api
    from slipway.render.pages.served import keys

    with open_project(project) as opened:
        return keys(api.keys(opened))


@app.command("revoke", help=t("Make a key useless, at once."))
def revoke(id: Annotated[str, typer.Argument(help=t("From `slipway keys list`."))], project: Project = HERE) -> None:
    """Raises NotFound when there is no such key."""
    from slipway import api

    with open_project(project) as opened:
        api.revoke_key(opened, id)
    terminal.out(t("key {id} is revoked", id=id))
