"""`slipway models`: on this machine, and which to choose."""

from __future__ import annotations

from typing import Annotated

import typer

from slipway.cli import choosing
from slipway.cli.options import HERE, NONE, Project, Set, make_group, open_project
from slipway.cli.picture import Picture, check_picture, with_picture
from slipway.cli.report import command
from slipway.i18n import t
from slipway.render.document import Document

app = make_group(t("Models on this machine: pull, list, show, remove; and which to choose."))
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


@command(app, "recommend", help=t("Which models meet needs, and why the others do not; nothing is fetched or asked."))
def recommend(
    task: Annotated[
        str, typer.Option(help=t("What is asked of it, which says how long a query is: answer, classify, extract, ..."))
    ] = "",
    languages: Annotated[str, typer.Option(help=t("That its card must name, such as en,zh."))] = "",
    memory: Annotated[str, typer.Option(help=t("That it may take, such as '4 GB'; default what is free."))] = "",
    latency: Annotated[str, typer.Option(help=t("That a query may take, such as '2 s'."))] = "",
    price: Annotated[str, typer.Option(help=t("That a query may cost, such as '0.01 CNY'."))] = "",
    per_hour: choosing.Hour = "",
    context: Annotated[int, typer.Option(help=t("Tokens that it must read at once."), min=128)] = 4096,
    read: Annotated[int | None, typer.Option(help=t("Tokens of a prompt, instead of the task's."), min=1)] = None,
    written: Annotated[int | None, typer.Option(help=t("Tokens of an answer, instead of the task's."), min=1)] = None,
    picture: Picture = None,
    project: Project = HERE,
    set_: Set = NONE,
) -> Document:
    """Inside a project its task, its prices and its remote models count, too."""
    from slipway.loop.choosing.recommend import Needs
    from slipway.render.pages import recommended

    check_picture(picture)
    named = tuple(dict.fromkeys(part.strip().lower() for part in languages.split(",") if part.strip()))
    needs = Needs(
        task=task, languages=named, memory=choosing.quantity(memory, "--memory", "GB"),
        latency=choosing.quantity(latency, "--latency", "s"), price=choosing.money(price, "--price"),
        per_hour=choosing.money(per_hour, "--per-hour"), read=read, written=written, context=context,
    )  # fmt: skip
    found = choosing.advise(needs, project, set_)
    return with_picture(recommended.recommended(found), picture, lambda: recommended.picture(found))
