"""`slipway traces`, `slipway feedback`: what was asked and answered, and what users said of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from slipway.cli import terminal
from slipway.cli.options import HERE, Channel, Limit, Project, make_group, open_project
from slipway.cli.report import command
from slipway.i18n import t
from slipway.render.document import Document

Redact = Literal["off", "mask", "hash"]
traces_app = make_group(t("Served requests: list, show, export."))
feedback_app = make_group(t("What users said of answers."))


@command(traces_app, "list", help=t("Served requests, newest first."))
def traces_list(limit: Limit = 20, channel: Channel = None, project: Project = HERE) -> Document:
    """When, what answered, status, seconds."""
    from slipway import api
    from slipway.render.pages.served import traces

    with open_project(project) as opened:
        return traces(api.traces(opened, limit, channel))


@command(traces_app, "show", help=t("One served request, what answered it, and its feedback."), rows=False)
def traces_show(
    id: Annotated[str, typer.Argument(help=t("From the header x-slipway-trace."))], project: Project = HERE
) -> Document:
    """Request, answer, citations, cost."""
    from slipway import api
    from slipway.render.pages.served import trace

    with open_project(project) as opened:
        return trace(*api.trace(opened, id))


@traces_app.command("export", help=t("Write traces with their feedback as JSON lines."))
def traces_export(
    file: Annotated[Path, typer.Argument(help=t("The file to write; must not exist."))],
    limit: Limit = 100_000,
    redact: Annotated[
        Redact | None,
        typer.Option(help=t("Personal data: off, mask or hash; default serve.redact, else mask.")),
    ] = None,
    project: Project = HERE,
) -> None:
    """Oldest first."""
    from slipway import api

    with open_project(project) as opened:
        n = api.export_traces(opened, file, limit, redact)
    terminal.out(t("{n} traces written to {file}", n=n, file=file))


@command(feedback_app, "list", help=t("What users said, newest first."))
def feedback_list(limit: Limit = 20, project: Project = HERE) -> Document:
    """Thumbs, scores, corrections, comments."""
    from slipway import api
    from slipway.render.pages.served import feedback

    with open_project(project) as opened:
        return feedback(api.feedback(opened, limit))
