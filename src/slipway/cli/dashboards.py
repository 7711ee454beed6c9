"""`slipway dashboards`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slipway.cli.report import command
from slipway.i18n import t
from slipway.render.document import Column, Document, Table


def add(app: typer.Typer) -> None:
    """Make it a command of `app`."""
    told = t("Write a dashboard for Grafana, and alert rules and a configuration for Prometheus.")
    command(app, "dashboards", help=told, rows=False)(dashboards)


def dashboards(
    folder: Annotated[Path, typer.Argument(help=t("The folder to write into; is made."))],
    address: Annotated[str, typer.Option(help=t("Where the server answers, as Prometheus reaches it."))] = (
        "127.0.0.1:8080"
    ),
) -> Document:
    """Files that are there already are left alone, and stop it."""
    from slipway.render.dashboards.written_files import write_dashboards

    found = write_dashboards(folder, address)
    table = Table(t("Written"), [Column(t("file")), Column(t("what to do with it"))], list(found.items()))
    return Document({"files": found}, [table])
