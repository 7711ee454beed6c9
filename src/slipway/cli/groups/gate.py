"""`slipway gate`: looks at the gate split, and a fresh one from the reserve."""

from __future__ import annotations

from typing import Annotated

import typer

from slipway.cli.options import HERE, NONE, Project, Set, make_group, open_project
from slipway.cli.picture import Picture, check_picture, with_picture
from slipway.cli.report import command
from slipway.i18n import t
from slipway.render.document import Document

app = make_group(t("The gate split: what it can decide, looks at it, and a fresh one from the reserve."))


@command(app, "plan", help=t("What the gate split can decide, and what the next looks cost; nothing is looked at."))
def plan(
    candidate: Annotated[
        str | None,
        typer.Option(help=t("Whose answers on dev show how values scatter; default the first to be tested.")),
    ] = None,
    picture: Picture = None,
    project: Project = HERE,
    set_: Set = NONE,
) -> Document:
    """Power and examples needed, rule by rule."""
    from slipway import api
    from slipway.cli.progress import listener
    from slipway.render.pages.plans import gate_plan, power_picture

    check_picture(picture)
    with listener() as listening, open_project(project, set_, listening) as opened:
        found = api.plan_gate(opened, candidate)
    return with_picture(gate_plan(found), picture, lambda: power_picture(found))


@command(app, "looks", help=t("Every look at the present gate examples, and what the next one takes."))
def looks(project: Project = HERE) -> Document:
    """When, who, what was looked at."""
    from slipway import api
    from slipway.render.pages.looks import looks as page

    with open_project(project) as opened:
        return page(api.gate_looks(opened), opened.project.release.looks)


@command(app, "rotate", help=t("Make the reserve the gate split; what was the gate becomes dev."), rows=False)
def rotate(project: Project = HERE) -> Document:
    """Looks are counted again for examples that nobody has looked at."""
    from slipway import api
    from slipway.render.pages.looks import rotated

    with open_project(project) as opened:
        return rotated(api.rotate_gate(opened))
