"""The project's state: how much there is, what went, what was saved, brought back and checked."""

from __future__ import annotations

from pathlib import Path

from slipway.i18n import t
from slipway.offline.archive import Bundle
from slipway.render.cells import moment, size
from slipway.render.document import Column, Document, Part, Table
from slipway.store.backup import Backup
from slipway.store.gc import Swept
from slipway.store.restore import Restored
from slipway.store.stats import Stats
from slipway.store.verify import Verified


def _amounts(title: str, rows: list[tuple[str, int, int]]) -> Table:
    return Table(title, [Column(t("kind")), Column(t("count"), "count"), Column(t("bytes"), "bytes")], rows)


def stats(found: Stats) -> Document:
    """Rows and bytes by kind."""
    table = _amounts("", [(kind.name, kind.count, kind.bytes) for kind in found.kinds])
    room = t("database {size}, {free} free on the disk of .slipway", size=size(found.size), free=size(found.free))
    parts: list[Part] = [found.where, table, room]
    if found.newest_trace:
        first, last = moment(found.oldest_trace), moment(found.newest_trace)
        parts.append(t("traces from {first} to {last}", first=first, last=last))
    return Document(found, parts, table)


def swept(found: Swept) -> Document:
    """What was deleted, or would be."""
    rows = [(kind, count, found.bytes[kind]) for kind, count in found.removed.items()]
    table = _amounts(t("Would be deleted") if found.dry_run else t("Deleted"), rows)
    return Document(found, [table if rows else t("everything is needed; nothing to delete")], table)


def backed_up(found: Backup) -> Document:
    """The file, and what it holds."""
    rows = sum(found.rows.values())
    return Document(
        found,
        [
            t("{file}: {rows} rows, {blobs} blobs, {size}", file=found.file, rows=rows, blobs=found.blobs,
              size=size(found.size)),
            t("manifest {digest}; history {head}", digest=found.digest, head=found.head),
        ],
    )  # fmt: skip


def restored(found: Restored) -> Document:
    """From when the state is that was brought back."""
    made, rows = moment(found.made), sum(found.rows.values())
    said = t("restored the state of {made}: {rows} rows, {blobs} blobs", made=made, rows=rows, blobs=found.blobs)
    return Document(found, [said, t("history {head}", head=found.head)])


def verified(found: Verified) -> Document:
    """What is not as it was, and how much was looked at."""
    kinds = {
        "database": t("database"), "row": t("row"), "blob": t("blob"), "missing": t("missing"),
        "history": t("history"), "forgotten": t("forgotten"),
    }  # fmt: skip
    rows = [[kinds[problem.kind], problem.what, problem.how] for problem in found.problems]
    table = Table(t("Not as it was"), [Column(t("kind")), Column(t("finding")), Column(t("what to do"))], rows)
    parts: list[Part] = [table] if rows else []
    looked = {"rows": sum(found.rows.values()), "blobs": found.blobs, "size": size(found.bytes)}
    parts.append(t("looked at {rows} rows and {blobs} blobs ({size})", **looked))
    if found.head:
        parts.append(t("history {head}", head=found.head))
    if found.sound:
        parts.append(t("everything is as it was written"))
    return Document(found, parts, table)


def bundled(found: Bundle) -> Document:
    """The archive, what is in it, what is not, and how it is installed."""
    name = Path(found.file).name
    parts: list[Part] = [
        t("{file}: {n} files, {wheels} packages, {models} models, {size}", file=found.file, n=found.files,
          wheels=found.wheels, models=len(found.models), size=size(found.size)),
        t("manifest {digest}", digest=found.digest),
    ]  # fmt: skip
    table = Table(t("Left out"), [Column(t("file")), Column(t("reason"))], found.left_out)
    if found.left_out:
        parts.append(table)
    command = f"tar xf {name} && python3 {found.name}/install.py FOLDER --expect {found.digest}"
    parts.append(t("on the other machine: {command}", command=command))
    return Document(found, parts, table)
