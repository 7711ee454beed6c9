"""`slipway eval`: reports, and candidates compared."""

from __future__ import annotations

import math
from typing import Annotated

import typer

from slipway.cli import terminal
from slipway.cli.options import HERE, NONE, Limit, Project, Set, make_group, open_project
from slipway.cli.report import command, reporting
from slipway.errors import ConfigError
from slipway.i18n import t
from slipway.render.document import Document

app = make_group(t("Reports: list, show, compare candidates."))


def compare(
    context: typer.Context,
    compare: Annotated[tuple[str, str] | None, typer.Option(help=t("Two candidates: champion and challenger."))] = None,
    metric: Annotated[str | None, typer.Option(help=t("Default: the first of evaluate.metrics."))] = None,
    split: Annotated[str, typer.Option(help=t("dev, or gate: every look at gate is counted."))] = "dev",
    adjust: Annotated[
        list[str] | None,
        typer.Option(help=t("Estimate with a covariate, too: length, retrieval, or a metric without references.")),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help=t("Estimate with shares of production, too: language:zh=0.7,en=0.3"))
    ] = None,
    judge: Annotated[str | None, typer.Option(help=t("Estimate with a metric without references, too."))] = None,
    project: Project = HERE,
    set_: Set = NONE,
) -> Document | None:
    """`slipway eval --compare A B`: the paired effect with its interval, and the examples that changed most."""
    if context.invoked_subcommand is not None:
        return None
    if compare is None:
        terminal.block(context.get_help())
        return None
    from slipway import api
    from slipway.cli.progress import listener
    from slipway.evaluate.estimate import Adjust
    from slipway.render.pages.reports import comparison

    by, shares = _shares(weights) if weights else ("language", {})
    asked = Adjust(tuple(adjust or ()), by, shares, judge or "")
    with listener() as listening, open_project(project, set_, listening) as opened:
        found = api.compare(opened, *compare, metric, split, asked)
    return comparison(found, *compare)


def _shares(text: str) -> tuple[str, dict[str, float]]:
    """`language:zh=0.7,en=0.3`: what the examples are divided by, and the share of each value."""
    by, _, pairs = text.rpartition(":")
    try:
        found = {name.strip(): float(share) for name, share in (one.rsplit("=", 1) for one in pairs.split(","))}
        if all(math.isfinite(share) for share in found.values()):
            return by.strip() or "language", found
    except ValueError:
        pass
    raise ConfigError(
        t("--weights: '{text}' is no list of shares", text=text[:80]),
        t("write language:zh=0.7,en=0.3, or another key of the examples' meta in place of language"),
    )


app.callback(invoke_without_command=True)(reporting(compare))


@command(app, "list", help=t("Reports, newest first."))
def list_(
    split: Annotated[str | None, typer.Option(help=t("Only dev, or only gate."))] = None, project: Project = HERE
) -> Document:
    """Metrics with their 95% intervals."""
    from slipway import api
    from slipway.render.pages.reports import reports

    with open_project(project) as opened:
        return reports(api.reports(opened, split))


@command(app, "show", help=t("One report, with every example's question, answer and scores."))
def show(
    candidate: Annotated[str, typer.Argument(help=t("A candidate's name, or a report's digest."))],
    split: Annotated[str, typer.Option(help=t("dev or gate."))] = "dev",
    limit: Limit = 10,
    project: Project = HERE,
) -> Document:
    """Per language too."""
    from slipway import api
    from slipway.render.pages.reports import report

    with open_project(project) as opened:
        found = api.find(opened, "report", candidate, split)
        return report(found, api.items(opened, found), limit)
