"""`slipway traces`, `slipway feedback`: what was asked and answered, and what users said of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from slipway.cli import asking, terminal
from slipway.cli.options import HERE, NONE, Limit, Project, make_group, open_project
from slipway.cli.report import command
from slipway.errors import ConfigError
from slipway.i18n import t
from slipway.render.document import Document

Redact = Literal["off", "mask", "hash"]
Redacted = Annotated[
    Redact | None, typer.Option(help=t("Personal data: off, mask or hash; default serve.redact, else mask."))
]
PerUser = Annotated[int, typer.Option(min=1, help=t("How many inputs one key may decide."))]
Shared = Annotated[
    list[str],
    typer.Option("--shared", help=t("A key, by id or name, behind which many people ask; may be given again.")),
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
    language: Annotated[str, typer.Option(help=t("Only with a question in this language: en, zh, ..."))] = "",
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
            language=language,
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


@command(
    feedback_app,
    "export",
    help=t("Write what users said as examples to review, or to train with other tools."),
    rows=False,
)
def feedback_export(
    out: Annotated[Path | None, typer.Argument(help=t("With --format: the file to write (.jsonl)."))] = None,
    examples: Annotated[
        Path | None,
        typer.Option(
            "--as-examples", help=t("Write examples to review, for data.examples, into this new file (.jsonl).")
        ),
    ] = None,
    limit: Limit = 100_000,
    redact: Redacted = None,
    format: Annotated[
        str | None, typer.Option(help=t("Write for other tools: openai-chat, sharegpt, alpaca, preference or kto."))
    ] = None,
    per_user: PerUser = 200,
    shared: Shared = NONE,
    project: Project = HERE,
) -> Document:
    """Never written over a file."""
    from slipway import api
    from slipway.loop.feedback import Reading
    from slipway.render.pages import feedback as pages
    from slipway.render.pages.served import mined

    if (examples is None) == (format is None) or (format is None) != (out is None):
        raise ConfigError(
            t("say what to write: --as-examples FILE, or --format FORMAT FILE"),
            "slipway feedback export --format kto F",
        )
    with open_project(project) as opened:
        if examples is not None:
            return mined(*api.export_examples(opened, asking.examples_file(examples), limit, redact), examples)
        assert out is not None
        assert format is not None
        file, reading = asking.examples_file(out), Reading(limit, redact, per_user, shared)
        return pages.harvest(api.export_feedback(opened, file, format, reading))


@command(
    feedback_app, "mine", help=t("Make rows to train on of what users said, in feedback/ of the project."), rows=False
)
def feedback_mine(
    limit: Limit = 100_000,
    redact: Redacted = None,
    per_user: PerUser = 200,
    shared: Shared = NONE,
    project: Project = HERE,
) -> Document:
    """Nothing close to an example of dev, gate or reserve is among them."""
    from slipway import api
    from slipway.cli.progress import listener
    from slipway.loop.feedback import Reading
    from slipway.render.pages.feedback import harvest

    with listener() as listening, open_project(project, NONE, listening) as opened:
        return harvest(api.mine_feedback(opened, Reading(limit, redact, per_user, shared)), listed=True)


@command(
    feedback_app, "import", help=t("Turn a file of chats, preferences or thumbs into rows to train on."), rows=False
)
def feedback_import(
    format: Annotated[str, typer.Argument(help=t("auto, openai-chat, sharegpt, alpaca, preference or kto."))],
    file: Annotated[Path, typer.Argument(help=t("JSON, JSON lines, CSV or Parquet."))],
    redact: Redacted = None,
    project: Project = HERE,
) -> tuple[Document, int]:
    """Rows that cannot be read are told with their reasons; exit code 4 when none could."""
    from slipway import api
    from slipway.render.pages.feedback import taken

    with open_project(project) as opened:
        found = api.import_feedback(opened, file, format, redact)
        return taken(found), 0 if found.read else 4


@command(feedback_app, "show", help=t("All that was said of one answer."), rows=False)
def feedback_show(
    id: Annotated[str, typer.Argument(help=t("Of the feedback, or of its trace."))], project: Project = HERE
) -> Document:
    """Question, answer, and what its users said."""
    from slipway import api
    from slipway.render.pages.served import trace

    with open_project(project) as opened:
        about = {said.trace for said, _ in api.feedback(opened, 100_000) if len(id) >= 8 and said.id.startswith(id)}
        return trace(*api.trace(opened, about.pop() if len(about) == 1 else id))


@command(feedback_app, "list", help=t("What users said, newest first."))
def feedback_list(limit: Limit = 20, project: Project = HERE) -> Document:
    """Thumbs, scores, corrections, comments, each with question and answer."""
    from slipway import api
    from slipway.render.pages.served import feedback

    with open_project(project) as opened:
        return feedback(api.feedback(opened, limit))
