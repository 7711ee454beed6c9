"""`slipway store`: look at the state, clean it, save it, bring it back, check it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from slipway.cli import terminal
from slipway.cli.options import HERE, NONE, Json, Project, Set, open_project
from slipway.i18n import t

store_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help=t("The project's state: stats, gc, backup, restore, verify.")
)


@store_app.command("stats", help=t("How much of what there is, and how much room is left."))
def store_stats(project: Project = HERE, set_: Set = NONE, json: Json = False) -> None:
    """Rows and bytes by kind."""
    from slipway import api

    with open_project(project, set_) as opened:
        found = api.store_stats(opened)
    if json:
        terminal.json(found)
        return
    rows = [[kind.name, kind.count, _bytes(kind.bytes)] for kind in found.kinds]
    terminal.out(found.where)
    terminal.table("", [t("kind"), t("count"), t("bytes")], rows)
    terminal.out(
        t("database {size}, {free} free on the disk of .slipway", size=_bytes(found.size), free=_bytes(found.free))
    )
    if found.newest_trace:
        terminal.out(t("traces from {first} to {last}", first=found.oldest_trace[:19], last=found.newest_trace[:19]))


@store_app.command("gc", help=t("Delete what nothing needs, and what is over the time of store.retention."))
def store_gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help=t("Only say what would go."))] = False,
    project: Project = HERE,
    set_: Set = NONE,
    json: Json = False,
) -> None:
    """Safe while a server answers; refused while a run is at work."""
    from slipway import api

    with open_project(project, set_) as opened:
        found = api.store_gc(opened, dry_run=dry_run)
    if json:
        terminal.json(found)
        return
    if not found.removed:
        terminal.out(t("everything is needed; nothing to delete"))
        return
    rows = [[kind, count, _bytes(found.bytes[kind])] for kind, count in found.removed.items()]
    title = t("Would be deleted") if dry_run else t("Deleted")
    terminal.table(title, [t("kind"), t("count"), t("bytes")], rows)


@store_app.command("backup", help=t("Write all state into one new file, while a server answers."))
def store_backup(
    file: Annotated[Path, typer.Argument(help=t("The file to write; must not exist."))],
    project: Project = HERE,
    set_: Set = NONE,
    json: Json = False,
) -> int:
    """Exit code 4 when a blob was damaged and had to be left out."""
    from slipway import api

    with open_project(project, set_) as opened:
        found = api.store_backup(opened, file)
    if json:
        terminal.json(found)
    else:
        terminal.out(
            t("{file}: {rows} rows, {blobs} blobs, {size}", file=found.file, rows=sum(found.rows.values()),
              blobs=found.blobs, size=_bytes(found.size)),
            t("manifest {digest}; history {head}", digest=found.digest, head=found.head),
        )  # fmt: skip
    for digest in found.damaged:
        terminal.warn(t("blob {digest} is damaged and was left out", digest=digest))
    return 4 if found.damaged else 0


@store_app.command("restore", help=t("Put a backup in the place of the state; all of it or nothing."))
def store_restore(
    file: Annotated[Path, typer.Argument(help=t("What `slipway store backup` wrote."))],
    replace: Annotated[bool, typer.Option("--replace", help=t("Also where the project holds something."))] = False,
    project: Project = HERE,
    set_: Set = NONE,
    json: Json = False,
) -> None:
    """Every digest is checked before anything is written."""
    from slipway import api

    with open_project(project, set_) as opened:
        found = api.store_restore(opened, file, replace=replace)
    if json:
        terminal.json(found)
        return
    rows = sum(found.rows.values())
    terminal.out(
        t(
            "restored the state of {made}: {rows} rows, {blobs} blobs",
            made=found.made[:19],
            rows=rows,
            blobs=found.blobs,
        )
    )
    terminal.out(t("history {head}", head=found.head))


@store_app.command("verify", help=t("Read every row and blob, and follow the history; say what is not as it was."))
def store_verify(
    head: Annotated[str, typer.Option(help=t("A head of the history that was printed earlier and kept."))] = "",
    project: Project = HERE,
    set_: Set = NONE,
    json: Json = False,
) -> int:
    """Exit code 4 when something is lost or changed."""
    from slipway import api

    with open_project(project, set_) as opened:
        found = api.store_verify(opened, head)
    if json:
        terminal.json(found)
    else:
        _verified(found)
    return 0 if found.sound else 4


def _verified(found: Any) -> None:
    names = {
        "database": t("database"), "row": t("row"), "blob": t("blob"), "missing": t("missing"),
        "history": t("history"), "forgotten": t("forgotten"),
    }  # fmt: skip
    if found.problems:
        rows = [[names[problem.kind], problem.what] for problem in found.problems]
        terminal.table(t("Not as it was"), [t("kind"), t("finding")], rows)
    rows = sum(found.rows.values())
    terminal.out(
        t("looked at {rows} rows and {blobs} blobs ({size})", rows=rows, blobs=found.blobs, size=_bytes(found.bytes))
    )
    if found.head:
        terminal.out(t("history {head}", head=found.head))
    if found.sound:
        terminal.out(t("everything is as it was written"))


def _bytes(n: float) -> str:
    if n < 1000:
        return f"{n:.0f} B"
    for unit in ("KB", "MB"):
        n /= 1000
        if n < 1000:
            return f"{n:.3g} {unit}"
    return f"{n / 1000:.3g} GB"
