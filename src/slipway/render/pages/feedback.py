"""What was made of what users said, and what was taken out again."""

from __future__ import annotations

from collections.abc import Mapping

from slipway.i18n import t
from slipway.loop.feedback import Harvest
from slipway.loop.forget import Forgotten
from slipway.loop.imported_rows import Taken
from slipway.render.document import Column, Document, Part, Table


def harvest(found: Harvest, *, listed: bool = False) -> Document:
    """How many rows of which kind went where, and what was left out for which reason. `listed`: say what comes next."""
    return Document(found, _harvest(found, listed=listed))


def _harvest(found: Harvest, *, listed: bool = False) -> list[Part]:
    columns = [Column(t("kind")), Column(t("rows"), "count"), Column(t("file"))]
    rows = [[_kinds().get(kind, kind), n, found.files.get(kind, "-")] for kind, n in found.rows.items()]
    parts: list[Part] = [Table(t("Rows to train on"), columns, rows)]
    if found.kept:
        parts.append(t("{n} of the examples were looked at by a person, and stay as they are", n=found.kept))
    if found.compared:
        how = t("by words and by the vectors of {name}", name=found.embedder) if found.embedder else t("by words")
        out = sum(n for reasons in found.held_out.values() for n in reasons.values())
        parts.append(t("compared {how} with {n} examples of dev, gate and reserve: {out} rows were close to one, and "
                       "left out", how=how, n=found.compared, out=out))  # fmt: skip
    else:
        parts.append(t("there are no held out examples yet: nothing was compared with them"))
    lost = [[_kinds().get(kind, kind), why_left().get(reason, reason), n]
            for kind, reasons in found.held_out.items() for reason, n in reasons.items()]  # fmt: skip
    lost += [[_kinds().get(kind, kind), t("nearly the same as another"), n] for kind, n in found.repeats.items()]
    lost += [[t("traces"), why_left().get(reason, reason), n] for reason, n in found.left_out.items()]
    if lost:
        parts.append(Table(t("Left out"), [Column(t("of")), Column(t("why")), Column(t("number"), "count")], lost))
    if listed and found.files.get("examples"):
        parts.append(t("look at each example and delete its `review`; list the file once under data.examples: "
                       "{{path: {file}, split: train}}", file=found.files["examples"]))  # fmt: skip
    return parts


def taken(found: Taken) -> Document:
    """What came of a file that was imported."""
    lost = sum(found.reasons.values())
    parts: list[Part] = [t("{n} rows of {format} read", n=found.read, format=found.format)]
    if lost:
        parts.append(t("{n} rows were not imported:", n=lost))
        reasons = [[why, n] for why, n in found.reasons.items()]
        parts.append(Table(t("By reason"), [Column(t("why")), Column(t("rows"), "count")], reasons))
        columns = [Column(t("row")), Column(t("why"))]
        parts.append(Table(t("Rows that were not taken"), columns, [list(one) for one in found.skipped[:20]]))
    parts += _harvest(found.harvest)
    if file := found.harvest.files.get("examples"):
        parts.append(t("list the file once under data.examples: {{path: {file}, split: train}}", file=file))
    return Document(found, parts)


def forgotten(found: Forgotten, again: str = "") -> Document:
    """What was deleted, or would be, and what it went into. `again`: how it is done, where not by `--yes`."""
    counts = [
        [t("traces"), len(found.traces)],
        [t("feedback"), found.feedback],
        [t("remembered answers"), found.answers],
        [t("items to label, and labels"), found.labels],
    ]
    counts += [[name, n] for name, n in found.rows.items()]
    nothing = not any(n for _, n in counts) and not found.affected
    if nothing and not found.elsewhere:
        return Document(found, [t("nothing of it is here")])
    title = t("Would be deleted") if found.dry_run else t("Deleted")
    parts: list[Part] = [Table(title, [Column(t("what")), Column(t("number"), "count")], counts)]
    if found.affected:
        columns = [Column(t("kind")), Column(t("name")), Column(t("digest"), "digest"), Column(t("what happens")),
                   Column(t("to do"))]  # fmt: skip
        rows = [[one.kind, one.name, one.digest, one.done, one.how] for one in found.affected]
        parts.append(Table(t("What it went into"), columns, rows))
    if found.elsewhere:
        parts.append(t("these lines hold it too, were made of no trace, and stay: {places}",
                       places=", ".join(found.elsewhere[:20])))  # fmt: skip
    parts.append(t("backups and files that were exported before still hold it"))
    if found.dry_run:
        parts.append(again or t("nothing was deleted: run it again with --yes"))
    return Document(found, parts)


def _kinds() -> Mapping[str, str]:
    return {"examples": t("examples"), "preferences": t("preferences"), "thumbs": t("thumbs")}


def why_left() -> Mapping[str, str]:
    """Reasons for which a trace or a row is left out, in words."""
    return {
        "exact": t("an example that is held out asks the same"),
        "near": t("an example that is held out asks it in nearly the same words"),
        "meaning": t("an example that is held out means nearly the same"),
        "no-reference": t("no correction and no thumb up"), "conflict": t("users disagree, and none has the majority"),
        "input": t("what was asked is no input of the task"), "history": t("it continues a conversation"),
        "reference": t("the correction is no reference of the task"), "too-large": t("it is too long to train on"),
        "capped": t("one key had decided as many inputs as it may"), "repeat": t("the same as another"),
        "trace": t("the trace is not kept any more"),
        "not-kept": t("question and answer were not kept (serve.bodies)"),
    }  # fmt: skip
