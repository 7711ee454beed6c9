"""The loop: what `check` found, what a run did, which steps there were."""

from __future__ import annotations

from collections.abc import Sequence

from slipway.core.run import Run
from slipway.i18n import joined, t, told
from slipway.loop.at_work import Seen
from slipway.loop.finding import Finding
from slipway.loop.run import Outcome
from slipway.render.cells import Link, Mark, left, part
from slipway.render.document import Column, Document, Part, Passage, Section, Table, listed
from slipway.render.pages.reports import candidates_table
from slipway.render.pages.verdicts import verdict_table

_SHOWN = 20  # candidates of which it is said which rules they missed


def findings(found: Sequence[Finding]) -> Document:
    """What `check` found, worst first."""
    columns = [Column(""), Column(t("finding")), Column(t("what to do"))]
    return listed(found, Table("", columns, [[Mark(f.level), f.what, f.how] for f in found]))


def outcome(found: Outcome) -> Document:
    """What a run did: data, dev reports, the gate, the release."""
    parts: list[Part] = []
    if found.datasets:
        columns = [Column(t("dataset")), Column(t("items"), "count"), Column(t("counts")),
                   Column(t("digest"), "digest")]  # fmt: skip
        rows = [[d.name, d.size, d.counts, d.digest] for d in found.datasets.values()]
        parts.append(Table(t("Data"), columns, rows))
    if found.losses:
        columns = [Column(t("items"), "count"), Column(t("finding")), Column(t("for example")), Column(t("what to do"))]
        rows = [[loss.count, loss.what, ", ".join(loss.items), loss.how] for loss in found.losses]
        parts.append(Table(t("Look at these"), columns, rows))
    titles = {"dev": t("On the dev split (choose)"), "gate": t("On the gate split (confirm)")}
    for split, measured in found.reports.items():
        parts.append(candidates_table(titles[split], list(measured.values()), found.metrics))
        if split == "dev" and found.chosen:
            parts.append(t("chosen: {name}", name=found.chosen))
            parts += [f"  {found.why}"] if found.why else []
    if found.verdict:
        currency = next((r.currency for r in found.reports.get("gate", {}).values()), "")
        parts.append(verdict_table(found.verdict, currency))
    if found.release:
        parts.append(
            t("release {ref}", ref=found.release.ref.short) + (f" · {t('promoted')}" if found.promoted else "")
        )
    if found.refused:
        parts.append(t("nothing was released: {why}", why=found.refused))
        parts += [f"  {name}: {told(why)}" for name, why in list(found.missed.items())[:_SHOWN]]
        parts.append(f"  → {found.hint}")
    for one in found.damage:
        parts += [
            t("what serves on {channel} is damaged: {what}", channel=one.channel, what=one.what),
            f"  → {one.how}",
        ]
    if not found.ran and not found.damage and not found.refused:
        parts.append(t("everything is up to date; no step was run"))
    return Document(found, parts)


def runs(found: Sequence[Run]) -> Document:
    """Executed steps."""
    columns = [Column(t("when"), "time"), Column(t("step")), Column(t("status")), Column(t("seconds"), "seconds"),
               Column(t("output"))]  # fmt: skip
    rows = [
        [r.started, r.step, r.status, r.seconds, r.output.short if r.output else told(r.error)] for r in found
    ]  # fmt: skip
    return listed(found, Table(t("Runs"), columns, rows))


def progress(found: Seen) -> str:
    """How far a step is, and how long it still takes; where it was stopped, only how far it was."""
    doing = found.doing
    if not doing.what:
        return ""
    named = f"{doing.what}: " if doing.what != doing.step else ""
    percent = f"{100 * doing.done / doing.total:.0f}%" if doing.total else ""
    rest = left(found.left) if found.alive and found.left is not None else ""
    return named + joined(filter(None, (part(doing.done, doing.total), percent, rest)), "，")


def at_work(found: Seen, to: str = "") -> list[Part]:
    """What is done now: the step, how far it is, what was said last. `to`: a page about the step."""
    doing = found.doing
    step: str = doing.step or doing.what or t("(between two steps)")
    counted = t("{ran} done, {unchanged} unchanged", ran=doing.ran, unchanged=doing.unchanged)
    columns = [Column(t("step")), Column(t("progress")), Column(t("since"), "time"), Column(t("steps before"))]
    table = Table(
        t("At work") if found.alive else t("Stopped before its end"), columns,
        [[Link(step, to) if to else step, progress(found), doing.since, counted]],
    )  # fmt: skip
    return [table, *said_last(found)]


def said_last(found: Seen) -> list[Part]:
    """The last lines that the command told its user."""
    lines = "\n".join(found.doing.said)
    return [Section(t("What it said last"), [Passage(lines, drawn=True)])] if lines else []
