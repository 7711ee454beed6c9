"""Drafts, what became of them, and imports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from slipway.data.drafts.draft import Draft
from slipway.data.drafts.sheet import Problem
from slipway.data.imports.importing import Import
from slipway.i18n import t
from slipway.loop.drafting import Drafted
from slipway.render.document import Column, Document, Part, Table, listed


def drafted(found: Drafted) -> Document:
    """The new drafts, and what to do next."""
    columns = [Column(t("rule")), Column(t("question"), "excerpt", 90), Column(t("answer"), "excerpt", 70),
               Column(t("source"), "excerpt", 60)]  # fmt: skip
    rows = [[d.rule, d.question, d.answer, d.source] for d in found.new]
    more: list[Part] = [
        t("{new} new of {found} that the rules found; {open} wait in {file}", new=len(found.new), found=found.found,
          open=found.open, file=found.file)
    ]  # fmt: skip
    if found.withdrawn:
        more.append(t("{n} undecided drafts were withdrawn: the documents no longer say it", n=found.withdrawn))
    more.append(t("next: `slipway data review`") if found.open else t("the rules find nothing more to ask"))
    return listed(found, Table(t("Drafts"), columns, rows), *more)


def reviewed(
    drafts: Sequence[Draft], name: str = "", *, listed: bool = True, problems: Sequence[Problem] = (), sheet: str = ""
) -> Document:
    """How many drafts are decided and how, what rows of a sheet were not taken, and where accepted ones are."""
    count = Counter(draft.status for draft in drafts)
    parts: list[Part] = [
        t("{accepted} accepted, {fixed} fixed, {refused} refused, {open} waiting", accepted=count["accepted"],
          fixed=count["fixed"], refused=count["refused"], open=count["proposed"])
    ]  # fmt: skip
    if not drafts:
        parts.append(t("there are no drafts; `slipway data draft` proposes some"))
    if problems:
        rows = [[problem.row, str(problem.why)] for problem in problems]
        parts.append(Table(t("Rows that were not taken"), [Column(t("row"), "count"), Column(t("why"))], rows))
        parts.append(t("correct them and read the file again; all other rows were taken"))
    if sheet:
        parts.append(t("written to {file}; fill decision (accept, fix, refuse)"
                       ", then `slipway data review --from {file}`",
                       file=sheet))  # fmt: skip
    elif count["accepted"] + count["fixed"]:
        parts.append(t("accepted ones are in {file}", file=name))
        if not listed:
            parts.append(t("add it to slipway.yaml: data.examples: [{{path: {file}}}]", file=name))
    data = {"counts": count, "file": name or sheet, "listed": listed, "problems": problems}
    return Document(data, parts)


def imported(found: Import) -> Document:
    """How many examples came of a file, and which rows did not."""
    columns = [Column(t("row")), Column(t("why"))]
    rows = [[one.row, str(one.why)] for one in found.skipped]
    head = t("{n} examples of {format} written to {file}", n=found.imported, format=found.format, file=found.file)
    if not found.imported:
        head = t("no row of {format} could be read; nothing was written", format=found.format)
    parts: list[Part] = [head]
    lost = sum(found.reasons.values())
    if lost:
        parts.append(t("{n} rows were not imported:", n=lost))
        parts.append(Table(t("By reason"), [Column(t("why")), Column(t("rows"), "count")], list(found.reasons.items())))
        parts.append(Table(t("Rows that were not taken"), columns, rows[:20], [t("--csv lists up to 1,000 of them")]))
    if found.imported:
        parts.append(t("add it to slipway.yaml under data.examples, then `slipway run data`"))
    return Document(found, parts, Table(t("Rows that were not taken"), columns, rows))
