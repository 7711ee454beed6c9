"""What several commands share: options, the group they belong to, how one opens its project."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from slipway.i18n import t

if TYPE_CHECKING:
    from slipway.loop.context import Context, Listener

Project = Annotated[Path, typer.Option("--project", "-C", help=t("The project's folder, or one below it."))]
Set = Annotated[list[str], typer.Option("--set", help=t("Override a key of the project file: key.path=value."))]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=100_000, help=t("How many, newest first."))]
Channel = Annotated[str | None, typer.Option(help=t("The channel; default the project's serve.channel."))]
Why = Annotated[str, typer.Option("--why", help=t("The reason, kept in the record."))]
Head = Annotated[str, typer.Option(help=t("A head of the history that was printed earlier and kept."))]
Host = Annotated[str | None, typer.Option(help=t("Address to listen on."))]
Port = Annotated[int | None, typer.Option(min=0, max=65535, help=t("Port to listen on; 0 takes a free one."))]
Quiet = Annotated[float, typer.Option(help=t("Seconds without a change before a run."), min=0)]

HERE = Path()
NONE: list[str] = []


def make_group(help: str) -> typer.Typer:
    """The commands that begin with the same word."""
    return typer.Typer(no_args_is_help=True, help=help, rich_markup_mode=None)


def open_project(project: Path, overrides: Sequence[str] = (), listener: Listener | None = None) -> Context:
    """The project in a folder, opened; imports the heavy parts only now."""
    from slipway import api

    return api.open_project(project, overrides, listener)
