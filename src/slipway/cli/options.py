"""Options that several commands take, and how a command opens its project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from slipway.i18n import t

Project = Annotated[Path, typer.Option("--project", "-C", help=t("The project's folder, or one below it."))]
Set = Annotated[list[str], typer.Option("--set", help=t("Override a key of the project file: key.path=value."))]
Json = Annotated[bool, typer.Option("--json", help=t("Print JSON instead of tables."))]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=100_000, help=t("How many, newest first."))]
Channel = Annotated[str | None, typer.Option(help=t("The channel; default the project's serve.channel."))]
Why = Annotated[str, typer.Option("--why", help=t("The reason, kept in the record."))]
Host = Annotated[str | None, typer.Option(help=t("Address to listen on."))]
Port = Annotated[int | None, typer.Option(min=0, max=65535, help=t("Port to listen on; 0 takes a free one."))]

HERE = Path()
NONE: list[str] = []


def open_project(project: Path, overrides: list[str], listener: Any = None) -> Any:
    """The project in a folder, opened; imports the heavy parts only now."""
    from slipway import api

    return api.open_project(project, overrides, listener)
