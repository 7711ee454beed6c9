"""`slipway label`: queues of items that people label in the console."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from slipway.cli import asking
from slipway.cli.options import HERE, NONE, Project, make_group, open_project
from slipway.cli.report import command
from slipway.errors import ConfigError
from slipway.i18n import t
from slipway.render.document import Document

app = make_group(t("Queues of items that people label: create, status, export, import, remove."))
Source = Literal["traces", "examples", "documents"]
Kind = Literal["answer", "label", "compare", "spans", "rubric"]
Name = Annotated[str, typer.Argument(help=t("The queue's name: small letters, digits, '-' and '_'."))]


@command(app, "create", help=t("Draw a queue of items from traces, examples or documents."), rows=False)
def create(
    name: Name,
    source: Annotated[Source, typer.Option("--from", help=t("traces, examples or documents."))] = "traces",
    kind: Annotated[
        Kind | None, typer.Option(help=t("answer, label, compare, spans or rubric; default by the task."))
    ] = None,
    size: Annotated[int, typer.Option(min=1, help=t("How many items."))] = 50,
    by: Annotated[
        list[str],
        typer.Option(help=t("What is wanted: thumbs-down, low-confidence, disagreement, novelty; may be given again.")),
    ] = NONE,
    share: Annotated[float, typer.Option("--random", help=t("Share that is drawn at random, 0.1 at least."))] = 0.2,
    annotators: Annotated[int, typer.Option(min=1, help=t("Judgements for each item."))] = 1,
    blind: Annotated[bool, typer.Option(help=t("Show the model's label only after the person's own."))] = False,
    label: Annotated[list[str], typer.Option(help=t("A label; may be given again."))] = NONE,
    criterion: Annotated[
        list[str], typer.Option(help=t("A line of a rubric, such as helpful:1-5; may be given again."))
    ] = NONE,
    instructions: Annotated[str, typer.Option(help=t("What annotators are told."))] = "",
    since: Annotated[str, typer.Option(help=t("Only from then on: 30m, 2h, 1d, or a date such as 2026-11-28."))] = "",
    channel: Annotated[str | None, typer.Option(help=t("Only of this channel."))] = None,
    split: Annotated[Literal["train", "dev"], typer.Option(help=t("Of which examples: train or dev."))] = "train",
    seed: Annotated[int, typer.Option(help=t("Of the drawing."))] = 0,
    project: Project = HERE,
) -> Document:
    """Nothing that is held out is among them."""
    from slipway import api
    from slipway.core.trace import Wanted
    from slipway.loop.labelling.room import Plan
    from slipway.loop.labelling.values import criteria, picked
    from slipway.render.pages.labelling import standing

    plan = Plan(
        name=name, source=source, kind=kind, size=size, picks=picked(by), share=share, annotators=annotators,
        blind=blind, labels=tuple(label), rubric=criteria(criterion), instructions=instructions, split=split, seed=seed,
        wanted=Wanted(since=asking.since(since), channel=channel),
    )  # fmt: skip
    with open_project(project) as opened:
        queues = api.labelling(opened)
        queues.create(plan)
        return standing(queues.standing(name))


@command(app, "status", help=t("Queues, or how one stands: done, agreement, what it says of all."))
def status(
    name: Annotated[str, typer.Argument(help=t("One queue; without it all of them."))] = "", project: Project = HERE
) -> Document:
    """Agreement beyond chance with its intervals, and the estimate for all that was served."""
    from slipway import api
    from slipway.render.pages import labelling as pages

    with open_project(project) as opened:
        queues = api.labelling(opened)
        if name:
            return pages.standing(queues.standing(name))
        return pages.queues([queues.standing(one.name, whole=False) for one in queues.queues()])


@command(app, "export", help=t("Write a queue's labels as rows to train on, or as Label Studio's JSON."), rows=False)
def export(
    name: Name,
    file: Annotated[
        Path | None, typer.Argument(help=t("With --format: the file to write (.json); must not exist."))
    ] = None,
    format: Annotated[Literal["label-studio"] | None, typer.Option(help=t("label-studio."))] = None,
    project: Project = HERE,
) -> Document:
    """Rows go to feedback/ of the project; without those close to what is held out."""
    from slipway import api
    from slipway.render.pages.labelling import written

    if (file is None) != (format is None):
        raise ConfigError(
            t("a file and its format belong together"), "slipway label export NAME FILE --format label-studio"
        )
    with open_project(project) as opened:
        queues = api.labelling(opened)
        if file is None:
            return written(queues.make_rows(name))
        tasks, interface = queues.export(name, file)
        told = t("{n} tasks written to {file}", n=tasks, file=file)
        data = {"tasks": tasks, "file": str(file), "interface": interface}
        return Document(data, [told, t("the labelling interface for Label Studio:"), interface])


@command(app, "import", help=t("Take judgements from Label Studio's JSON into a queue, or make one of it."), rows=False)
def import_(
    name: Name,
    file: Annotated[Path, typer.Argument(help=t("Exported from Label Studio as JSON."))],
    project: Project = HERE,
) -> Document:
    """What somebody said already is never overwritten."""
    from slipway import api
    from slipway.render.pages.labelling import taken

    with open_project(project) as opened:
        return taken(api.labelling(opened).take(name, file))


@command(app, "remove", help=t("Delete a queue with all that was said in it; written rows stay."), rows=False)
def remove(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help=t("Do it."))] = False,
    project: Project = HERE,
) -> Document:
    """Without --yes only tells what would go."""
    from slipway import api
    from slipway.render.pages.labelling import standing

    with open_project(project) as opened:
        queues = api.labelling(opened)
        found = standing(queues.standing(name))
        if not yes:
            return Document(found.data, [*found.parts, t("nothing was deleted: run it again with --yes")])
        queues.remove(name)
        return Document({"removed": name}, [t("deleted: {name}", name=name)])
