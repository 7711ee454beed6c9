"""A turn of `improve` on one screen, what was simulated, and the learning curve."""

from __future__ import annotations

from collections import Counter

from slipway.core.metrics import rounded
from slipway.core.report import Aggregate
from slipway.i18n import joined, t
from slipway.loop.improve.record import Tried, Turn
from slipway.loop.simulate import Curve, Simulated
from slipway.render.cells import Estimate, estimate, info_of
from slipway.render.document import Column, Document, Part, Passage, Table, listed
from slipway.render.pages.feedback import why_left
from slipway.render.pages.verdicts import verdict_table
from slipway.render.svg import COLOURS, GREY, Drawing, ticks

_SHOWN = 15  # recipes on the screen; all are in the record and in --json
_LEFT, _TOP, _WIDE, _HIGH = 70.0, 50.0, 520.0, 260.0


def turn(found: Turn) -> Document:
    """What happened and why; then what was tried."""
    parts: list[Part] = [found.why]
    parts += [f"  → {found.hint}"] if found.hint else []
    parts += [t("note: {what}", what=one) for one in found.notes]
    if found.ended == "released" and found.promoted:
        parts.append(t("{channel} serves {name} now; {before} served before: `slipway release rollback` goes back",
                       channel=found.channel, name=found.now, before=found.serves))  # fmt: skip
    elif found.ended != "dry-run":
        parts.append(t("{channel} goes on serving {name}", channel=found.channel, name=found.serves))
    if found.file:
        parts.append(t("{file} holds it as a candidate of the project: commit the file", file=found.file))
    parts.append(_data(found))
    table = _tried(found)
    parts += [table, *_written(found)]
    if found.compared and found.compared.n:
        parts.append(_compared(found))
    if found.look:
        parts.append(_look(found))
    if found.verdict:
        parts.append(verdict_table(found.verdict, found.currency))
    spent = t("{seconds:.0f} s were spent", seconds=found.seconds)
    if found.cost:
        spent = joined([spent, f"{rounded(found.cost, 3)} {found.currency}"], "，")
    parts.append(spent)
    return Document(found, parts, table)


def _data(found: Turn) -> str:
    if found.harvest is None:
        return t("rows of feedback among what is learnt from: {n}", n=found.learnt)
    out = sum(n for reasons in found.harvest.held_out.values() for n in reasons.values())
    if not found.learnt and not found.harvest.rows.get("examples"):
        told = t("no feedback gave a row to learn from")
    else:
        told = t("rows of feedback among what is learnt from: {n}; {out} were close to an example that is held out, "
                 "and left out", n=found.learnt, out=out)  # fmt: skip
    left = joined(f"{why_left().get(why, why)} ({n})" for why, n in found.harvest.left_out.items())
    return joined([told, t("of no use here: {reasons}", reasons=left)]) if left else told


def _tried(found: Turn) -> Table:
    columns = [
        Column(t("recipe")), Column(t("what is different")), Column(t("how far it came")),
        Column(t("examples"), "count"), Column(found.metric or t("score"), "measure"), Column(t("seconds"), "seconds"),
    ]  # fmt: skip
    ranks = ("best", "measured", "serves", "dropped", "budget", "failed", "waiting")
    order = sorted(found.tried, key=lambda one: (ranks.index(one.state), -one.rung))
    shown = order[:_SHOWN]
    rows = [[o.name, o.change, _state(o), o.examples, _estimate(o, found.metric), o.seconds] for o in shown]
    more = len(order) - len(shown)
    notes = [t("and {n} more: --json shows them", n=more)] if more else []
    return Table(t("Tried on dev"), columns, rows, notes)


def _written(found: Turn) -> list[Part]:
    """What became of the instructions that a model wrote; that of the best one in full."""
    if not found.drafts:
        return []
    names = {one.name for one in found.tried}
    tried = sum(one.recipe in names for one in found.drafts)
    parts: list[Part] = [
        t("{model} wrote {n} instructions from mistakes on train: {tried} are tried", n=len(found.drafts), tried=tried,
          model=found.drafts[0].model.name)
    ]  # fmt: skip
    whys = Counter(one.why for one in found.drafts if one.why)
    parts += [t("  {n} are not: {why}", n=n, why=why) for why, n in whys.items()]
    best = found.compared.name if found.compared else ""
    for one in found.drafts:
        if best and one.recipe == best:
            parts += [t("the instruction of {name}:", name=best), Passage(one.instruction)]
    return parts


def _state(one: Tried) -> str:
    words = {
        "best": t("the best"), "measured": t("measured on all of dev"), "serves": t("the same as what serves"),
        "dropped": t("dropped after rung {n}", n=one.rung + 1), "budget": t("no budget left"),
        "failed": t("failed: {why}", why=one.why), "waiting": "-",
    }  # fmt: skip
    return words[one.state]


def _estimate(one: Tried, metric: str) -> Estimate | None:
    if one.score is None:
        return None
    return estimate(Aggregate(value=one.score, low=one.low, high=one.high, n=one.examples), info_of(metric), "")


def _compared(found: Turn) -> str:
    assert found.compared is not None
    one = found.compared
    low, high = ("-" if end is None else f"{end:+.3f}" for end in (one.low, one.high))
    return t("on {n} examples of dev {name} has {challenger:.3f} and what serves {champion:.3f}: {effect:+.3f} "
             "[{low}, {high}], p {p:.2g}, asked for {alpha:.2g}", n=one.n, name=one.name, challenger=one.challenger,
             champion=one.champion, effect=one.effect, low=low, high=high, p=one.p_value, alpha=one.alpha)  # fmt: skip


def _look(found: Turn) -> str:
    assert found.look is not None
    one = found.look
    power = "-" if one.power is None else f"{one.power:.0%}"
    return t(
        "look {n} of {budget} at {gate} gate examples, at alpha {alpha:.2g}: a gain so large is shown with a chance "
        "of {power}", n=one.number, budget=one.budget, gate=one.gate, alpha=one.alpha, power=power,
    )  # fmt: skip


def simulated(found: Simulated) -> Document:
    """What was asked and said."""
    rows = [
        [t("requests"), found.requests], [t("without an answer"), found.failed], [t("right answers"), found.right],
        [t("thumbs up"), found.up], [t("thumbs down"), found.down], [t("corrections"), found.corrections],
        [t("corrections to something wrong"), found.wrong], [t("by users who lie"), found.lies],
        [t("by users who are mistaken"), found.mistakes],
        *([t("asked in {language}", language=name), n] for name, n in sorted(found.languages.items())),
    ]  # fmt: skip
    table = Table(t("Simulated"), [Column(t("what")), Column(t("number"), "count")], rows)
    out = sum(found.refused.values())
    more = t("{n} rows of the pool were not asked: they are close to an example that is held out", n=out)
    return listed(found, table, *([more] if out else []), t("`slipway improve` makes something of it"))


def point(found: Curve) -> str:
    """The newest point of the curve, in a line."""
    one = found.points[-1]
    return t("after {n} words of feedback: {metric} {value:.3f} ({name})", n=one.feedback, metric=found.metric,
             value=one.value, name=one.candidate)  # fmt: skip


def curve(found: Curve) -> Document:
    """The learning curve as a table."""
    info = info_of(found.metric)
    columns = [Column(t("turn"), "count"), Column(t("feedback"), "count"), Column(found.metric, "measure"),
               Column(t("serves")), Column(t("how the turn ended"))]  # fmt: skip
    rows = [
        [one.turn, one.feedback,
         estimate(Aggregate(value=one.value, low=one.low, high=one.high, n=found.n), info, ""), one.candidate,
         one.ended or "-"]
        for one in found.points
    ]  # fmt: skip
    table = Table(t("Learning curve, on {n} untouched examples", n=found.n), columns, rows)
    return listed(found, table)


def picture(found: Curve) -> str:
    """The learning curve as SVG: quality against feedback, each point with its 95% interval."""
    title = t("{metric} on {n} untouched examples against feedback, with 95% intervals", metric=found.metric, n=found.n)
    drawing = Drawing(_LEFT + _WIDE + 40, _TOP + _HIGH + 60, title)
    most = max((one.feedback for one in found.points), default=0) or 1

    def across(n: float) -> float:
        return _LEFT + _WIDE * n / most

    def up(value: float) -> float:
        return _TOP + _HIGH * (1 - min(1.0, max(0.0, value)))

    drawing.text(20, 26, title, size=14)
    for value in ticks(0.0, 1.0, 6):
        drawing.line([(_LEFT, up(value)), (_LEFT + _WIDE, up(value))], "#e3e3e3")
        drawing.text(_LEFT - 8, up(value) + 4, f"{value:.1f}", "end", GREY, 11)
    for n in ticks(0.0, most, 6):
        drawing.text(across(n), _TOP + _HIGH + 18, f"{n:.0f}", "middle", GREY, 11)
    drawing.line([(across(one.feedback), up(one.value)) for one in found.points], COLOURS[0], 2)
    for one in found.points:
        x = across(one.feedback)
        drawing.line([(x, up(one.low or 0.0)), (x, up(1.0 if one.high is None else one.high))], COLOURS[0], 1.5)
        drawing.dot(x, up(one.value), COLOURS[1] if one.ended == "released" else COLOURS[0])
    return str(drawing)
