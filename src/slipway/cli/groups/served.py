"""`slipway traces`, `slipway feedback`: what was asked and answered, and what users said of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from slipway.cli import asking, terminal
from slipway.cli.options import HERE, Limit, Project, make_group, open_project
from slipway.cli.report import command
from slipway.i18n import t
from slipway.render.document import Document

Redact = Literal["off", "mask", "hash"]
Redacted = Annotated[
    Redact | None, typer.Option(help=t("Personal data: off, mask or hash; default serve.redact, else mask."))
]
Thumb = Literal["up", "down"]
traces_app = make_group(t("Served requests: list, show, export."))
feedback_app = make_group(t("What users said of answers."))


@command(traces_app, "list", help=t("Served requests, newest first."))
def traces_list(
    limit: Limit = 20,
    channel: Annotated[str | None, typer.Option(help=t("Only of this channel."))] = None,
    since: Annotated[str, typer.Option(help=t("Only from then on: 30m, 2h, 1d, or a date such as 2026-11-28."))] = "",
    status: Annotated[str, typer.Option(help=t("Only with this HTTP status: 503, or 5xx."))] = "",
    thumb: Annotated[Thumb | None, typer.Option(help=t("Only with such feedback."))] = None,
    release: Annotated[str, typer.Option(help=t("Only answered by it: a channel, a digest, or name@digest."))] = "",
    slow: Annotated[float | None, typer.Option(min=0, help=t("Only those that took so many seconds or more."))] = None,
    text: Annotated[str, typer.Option(help=t("Only with all of these words in question or answer."))] = "",
    before: Annotated[str, typer.Option(help=t("Only those older than this trace: the next page."))] = "",
    project: Project = HERE,
) -> Document:
    """When, what was asked, what answered, status, seconds."""
    from slipway import api
    from slipway.core.trace import Wanted
    from slipway.render.pages.served import traces

    with open_project(project) as opened:
        wanted = Wanted(
            since=asking.since(since), status=asking.status(status), thumb=thumb, slow=slow, words=asking.words(text),
            release=api.find(opened, "release", release).digest if release else "",
            before=api.trace(opened, before)[0].id if before else "",
        )  # fmt: skip
        found = api.traces(opened, limit + 1, channel, wanted)
        return traces(found[:limit], more=len(found) > limit)


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
    redact: Redacted = None,
    project: Project = HERE,
) -> None:
    """Oldest first."""
    from slipway import api

    with open_project(project) as opened:
        n = api.export_traces(opened, file, limit, redact)
    terminal.out(t("{n} traces written to {file}", n=n, file=file))


@command(feedback_app, "export", help=t("Write corrections and liked answers as examples to review."), rows=False)
def feedback_export(
    file: Annotated[Path, typer.Option("--as-examples", help=t("The file to write (.jsonl); must not exist."))],
    limit: Limit = 100_000,
    redact: Redacted = None,
    project: Project = HERE,
) -> Document:
    """Never written over a file, and read by `data.examples`."""
    from slipway import api
    from slipway.render.pages.served import mined

    with open_project(project) as opened:
        return mined(*api.export_examples(opened, asking.examples_file(file), limit, redact), file)


@command(feedback_app, "list", help=t("What users said, newest first."))
def feedback_list(limit: Limit = 20, project: Project = HERE) -> Document:
    """Thumbs, scores, corrections, comments, each with question and answer."""
    from slipway import api
    from slipway.render.pages.served import feedback

    with open_project(project) as opened:
        return feedback(api.feedback(opened, limit))
