"""`slipway gate`: looks at the gate split, and a fresh one from the reserve."""

from __future__ import annotations

from slipway.cli.options import HERE, Project, make_group, open_project
from slipway.cli.report import command
from slipway.i18n import t
from slipway.render.document import Document

app = make_group(t("The gate split: looks at it, and a fresh one from the reserve."))


@command(app, "looks", help=t("Every look at the present gate examples, and what the next one takes."))
def looks(project: Project = HERE) -> Document:
    """When, who, what was looked at."""
    from slipway import api
    from slipway.render.pages.looks import looks as page

    with open_project(project) as opened:
        return page(api.gate_looks(opened), opened.project.release.looks)


@command(app, "rotate", help=t("Make the reserve the gate split; what was the gate becomes dev."), rows=False)
def rotate(project: Project = HERE) -> Document:
    """Looks are counted anew for examples that nobody has looked at."""
    from slipway import api
    from slipway.render.pages.looks import rotated

    with open_project(project) as opened:
        return rotated(api.rotate_gate(opened))
