"""`slipway release`: what may serve, and what does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slipway.cli import terminal
from slipway.cli.options import HERE, Channel, Head, Project, Why, make_group, open_project
from slipway.cli.picture import Picture, check_picture, with_files, with_picture
from slipway.cli.report import command
from slipway.i18n import t
from slipway.render.document import Document

app = make_group(t("Releases: list, show, compare, promote, roll back, verify."))
Export = Annotated[
    Path | None, typer.Option(help=t("Write rules and scores as CSV into a new folder; it is a look at the answers."))
]
Which = Annotated[str, typer.Argument(help=t("A channel, a digest, or name@digest."))]


@command(app, "list", help=t("Releases, newest first, with the channels that point at them."))
def list_(project: Project = HERE) -> Document:
    """Digest, candidate, who, when."""
    from slipway import api
    from slipway.render.pages.releases import releases

    with open_project(project) as opened:
        return releases(api.releases(opened), api.history(opened))


@command(app, "show", help=t("One release: what it pins and the verdict it stands on."))
def show(release: Which, project: Project = HERE) -> Document:
    """The manifest."""
    from slipway import api
    from slipway.render.pages import releases

    with open_project(project) as opened:
        return releases.release(api.find(opened, "release", release), api.verdict(opened, release))


@command(app, "verdict", help=t("The gate's newest verdict, or a release's, rule by rule."))
def verdict(
    release: Annotated[str | None, typer.Argument(help=t("A channel, a digest, or name@digest."))] = None,
    why: Annotated[bool, typer.Option("--why", help=t("Five sentences and a picture instead of a table."))] = False,
    picture: Picture = None,
    export: Export = None,
    project: Project = HERE,
) -> Document:
    """Why it passed, failed, or could not tell."""
    from slipway import api
    from slipway.cli.progress import listener
    from slipway.render.pages import scales, verdicts
    from slipway.render.pages.why import why as explained

    check_picture(picture)
    with listener() as listening, open_project(project, (), listening) as opened:
        found = api.verdict(opened, release)
        report = api.find(opened, "report", found.report.digest)
        document = explained(found, report) if why else verdicts.verdict(found, report.currency)
        document = with_picture(document, picture, lambda: scales.verdict_picture(found, report))
        return with_files(document, api.export_verdict(opened, export, release) if export else [])


@app.command("card", help=t("Write a release's model card and data card into a new file that ends in .html or .md."))
def card(
    file: Annotated[Path, typer.Argument(help=t("A new file that ends in .html or .md."))],
    release: Annotated[
        str | None, typer.Option(help=t("A channel, a digest, or name@digest; default: what serves."))
    ] = None,
    project: Project = HERE,
) -> None:
    """What it is, what it was measured to do and with what; what people say stands under `card` in slipway.yaml."""
    from slipway import api

    with open_project(project) as opened:
        terminal.out(t("written: {path}", path=api.card(opened, file, release)))


@command(app, "diff", help=t("What differs between two releases."))
def diff(before: Which, after: Which, project: Project = HERE) -> Document:
    """Prompt, model, retrieval, digests."""
    from slipway import api
    from slipway.render.pages.releases import release_difference

    with open_project(project) as opened:
        return release_difference(api.diff(opened, "release", before, after))


@app.command("promote", help=t("Verify a release and point a channel at it."))
def promote(release: Which, channel: Channel = None, why: Why = "", project: Project = HERE) -> None:
    """Atomic, and recorded with who, when and why."""
    from slipway import api

    with open_project(project) as opened:
        changed = api.promote(opened, release, channel, why)
        channel = channel or opened.project.serve.channel
    if changed:
        terminal.out(t("{channel} now points at {release}", channel=channel, release=release))
    else:
        terminal.out(t("{channel} already points there; it was verified: every byte is what it pins", channel=channel))


@app.command("rollback", help=t("Point a channel at the release before."))
def rollback(channel: Channel = None, why: Why = "", project: Project = HERE) -> None:
    """Recorded like a promotion."""
    from slipway import api

    with open_project(project) as opened:
        release = api.rollback(opened, channel, why)
        channel = channel or opened.project.serve.channel
    terminal.out(t("{channel} now points at {release}", channel=channel, release=release.ref.short))


@command(
    app, "verify", help=t("Re-hash all that a release pins, and follow the history of what was decided."), rows=False
)
def verify(
    release: Annotated[
        str | None, typer.Argument(help=t("A channel, a digest, or name@digest; without one, only the history."))
    ] = None,
    head: Head = "",
    project: Project = HERE,
) -> Document:
    """Exit code 4 at a single flipped bit."""
    from slipway import api
    from slipway.render.pages.releases import checked

    with open_project(project) as opened:
        done = t("every byte is what the release pins") if release else t("the history is what was entered")
        return checked(api.verify(opened, release, head), done)
