"""`slipway data`: what there is, what is in it, how two differ; examples drafted, reviewed, imported."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slipway.cli.options import HERE, NONE, Limit, Project, Set, make_group, open_project
from slipway.cli.report import command
from slipway.errors import ConfigError
from slipway.i18n import t
from slipway.render.document import Document

app = make_group(t("Datasets: list, look into, compare, forget; examples: draft, review, import."))


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


@command(app, "draft", help=t("Propose questions with answers from the documents, for a person to accept."))
def draft(
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=10_000, help=t("How many new ones at most."))] = 50,
    languages: Annotated[
        list[str], typer.Option("--language", help=t("Only in this language, en or zh; may be given again."))
    ] = NONE,
    seed: Annotated[int, typer.Option(help=t("Another seed chooses others."))] = 7,
    project: Project = HERE,
    set_: Set = NONE,
) -> Document:
    """By rules; nothing goes into the examples before it is accepted."""
    from slipway import api
    from slipway.cli.progress import listener
    from slipway.render.pages.drafts import drafted

    with listener() as listening, open_project(project, set_, listening) as opened:
        return drafted(api.draft(opened, count, languages, seed))


@command(app, "review", help=t("Accept, fix or refuse drafts: in the terminal, or in a spreadsheet."), rows=False)
def review(
    csv: Annotated[
        Path | None, typer.Option("--csv", help=t("Write the drafts into a new CSV file, to fill its column decision."))
    ] = None,
    from_: Annotated[Path | None, typer.Option("--from", help=t("Read the decisions of such a file."))] = None,
    project: Project = HERE,
    set_: Set = NONE,
) -> Document | tuple[Document, int]:
    """Accepted ones are appended to the file of examples."""
    from slipway import api
    from slipway.cli.reviewing import at_terminal
    from slipway.render.pages.drafts import reviewed

    if csv and from_:
        raise ConfigError(t("--csv writes a sheet and --from reads one"), t("give one of them"))
    with open_project(project, set_) as opened:
        found = api.review(opened)
        if csv:
            return reviewed(found.drafts, sheet=found.export(csv))
        problems = found.take(from_) if from_ else []
        if not from_ and found.waiting:
            at_terminal(found)
        name, listed = found.settle()
        return reviewed(found.drafts, name, listed=listed, problems=problems), 2 if problems else 0


@command(app, "import", help=t("Turn a file of another tool into a file of examples."))
def import_(
    format: Annotated[
        str,
        typer.Argument(
            help=t("auto, promptfoo, langfuse, ragas, squad, openai-evals, openai-chat, sharegpt, alpaca, or parquet.")
        ),
    ],
    file: Annotated[Path, typer.Argument(help=t("JSON, JSON lines, YAML, CSV or Parquet."))],
    out: Annotated[Path | None, typer.Option(help=t("The new file; default evals/NAME.jsonl in the project."))] = None,
    map_: Annotated[
        list[str], typer.Option("--map", help=t("What the file calls a field: question=COLUMN; may be given again."))
    ] = NONE,
    project: Project = HERE,
) -> tuple[Document, int]:
    """Rows that cannot be read are told with their reasons; exit code 4 when none could."""
    from slipway import api
    from slipway.render.pages.drafts import imported

    names = {field: column for field, _, column in (pair.partition("=") for pair in map_)}
    if not all(names.values()):
        raise ConfigError(t("--map needs FIELD=COLUMN"), "--map question=prompt")
    with open_project(project) as opened:
        found = api.import_examples(opened, file, format, names, out)
    return imported(found), 0 if found.imported else 4


@command(app, "forget", help=t("Take out what came from one trace or user, and tell what it went into."), rows=False)
def forget(
    trace: Annotated[str, typer.Option(help=t("Id of a trace."))] = "",
    user: Annotated[str, typer.Option(help=t("Id or name of an API key."))] = "",
    matching: Annotated[str, typer.Option(help=t("All that holds this text, whatever its case."))] = "",
    yes: Annotated[bool, typer.Option("--yes", help=t("Delete it; without this it is only told."))] = False,
    why: Annotated[str, typer.Option(help=t("The reason, which is kept with the note of it: name nobody."))] = "",
    project: Project = HERE,
) -> Document:
    """A dry run unless --yes."""
    from slipway import api
    from slipway.render.pages.feedback import forgotten

    with open_project(project) as opened:
        return forgotten(api.forget(opened, trace, user, matching, yes=yes, why=why))
