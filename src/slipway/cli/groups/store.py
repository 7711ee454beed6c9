"""`slipway store`: look at the state, clean it, save it, bring it back, check it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slipway.cli import terminal
from slipway.cli.options import HERE, NONE, Head, Project, Set, make_group, open_project
from slipway.cli.report import command
from slipway.i18n import t
from slipway.render.document import Document

app = make_group(t("The project's state: stats, gc, backup, restore, verify."))


@command(app, "stats", help=t("How much of what there is, and how much room is left."))
def stats(project: Project = HERE, set_: Set = NONE) -> Document:
    """Rows and bytes by kind."""
    from slipway import api
    from slipway.render.pages import state

    with open_project(project, set_) as opened:
        return state.stats(api.store_stats(opened))


@command(app, "kept", help=t("What is kept of those who ask and how long; what was deleted when and why."), rows=False)
def kept(project: Project = HERE, set_: Set = NONE) -> Document:
    """The rules, what there is, and the deletions."""
    from slipway import api
    from slipway.render.pages import kept as kept_page

    with open_project(project, set_) as opened:
        return kept_page.kept(api.kept(opened))


@command(app, "gc", help=t("Delete what nothing needs, and what is over the time of store.retention."))
def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help=t("Only say what would go."))] = False,
    project: Project = HERE,
    set_: Set = NONE,
) -> Document:
    """Safe while a server answers; refused while a run is at work."""
    from slipway import api
    from slipway.render.pages.state import swept

    with open_project(project, set_) as opened:
        found = api.store_gc(opened, dry_run=dry_run)
    for why in found.left:
        terminal.warn(why)
    return swept(found)


@command(app, "backup", help=t("Write all state into one new file, while a server answers."), rows=False)
def backup(
    file: Annotated[Path, typer.Argument(help=t("The file to write; must not exist."))],
    project: Project = HERE,
    set_: Set = NONE,
) -> tuple[Document, int]:
    """Exit code 4 when a blob was damaged and had to be left out."""
    from slipway import api
    from slipway.render.pages.state import backed_up

    with open_project(project, set_) as opened:
        found = api.store_backup(opened, file)
    for digest in found.damaged:
        terminal.warn(t("blob {digest} is damaged and was left out", digest=digest))
    return backed_up(found), 4 if found.damaged else 0


@command(app, "restore", help=t("Put a backup in the place of the state; all of it or nothing."), rows=False)
def restore(
    file: Annotated[Path, typer.Argument(help=t("What `slipway store backup` wrote."))],
    replace: Annotated[bool, typer.Option("--replace", help=t("Also where the project holds something."))] = False,
    project: Project = HERE,
    set_: Set = NONE,
) -> Document:
    """Every digest is checked before anything is written."""
    from slipway import api
    from slipway.render.pages.state import restored

    with open_project(project, set_) as opened:
        return restored(api.store_restore(opened, file, replace=replace))


@command(app, "verify", help=t("Read every row and blob, and follow the history; say what is not as it was."))
def verify(head: Head = "", project: Project = HERE, set_: Set = NONE) -> tuple[Document, int]:
    """Exit code 4 when something is lost or changed."""
    from slipway import api
    from slipway.render.pages.state import verified

    with open_project(project, set_) as opened:
        found = api.store_verify(opened, head)
    return verified(found), 0 if found.sound else 4
