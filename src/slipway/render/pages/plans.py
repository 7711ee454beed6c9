"""What the gate can decide: a table of rules, the price of looks, and power against examples as a picture."""

from __future__ import annotations

from slipway.core.metrics import MetricInfo
from slipway.i18n import joined, t, told
from slipway.release.planning import GatePlan, Prospect
from slipway.render.cells import Amount, amount, info_of
from slipway.render.document import Column, Document, Table
from slipway.render.pages.verdicts import claim_words
from slipway.render.svg import COLOURS, GREY, Drawing, ticks, width_of


def gate_plan(found: GatePlan) -> Document:
    """Rules with power and examples needed, notes, what the next looks cost."""
    table = Table(
        t("What the gate split can decide: {n} examples, {groups} of them independent", n=found.gate,
          groups=found.groups),
        [Column(t("metric")), Column(t("asked")), Column(t("supposed"), "measure"), Column(t("power now")),
         Column(t("gate examples for 80%")), Column(t("in all splits"), "count"), Column(t("decided from"))],
        [_row(found, one) for one in found.prospects],
        _notes(found),
    )  # fmt: skip
    looks = Table(
        t("The looks to come"),
        [Column(t("look"), "count"), Column("alpha", "probability"), Column(t("gate examples for 80%"), "count")],
        [[one.look, one.alpha, t("unknown") if one.needed is None else one.needed or "-"] for one in found.looks],
        [t("{n} of {budget} looks at these gate examples are used", n=found.used, budget=found.budget)],
    )  # fmt: skip
    return Document(found, [*_basis(found), table, looks], _rows(found))


def power_picture(found: GatePlan) -> str:
    """An SVG: the power of each rule against gate examples; the present number is marked."""
    drawn = [one for one in found.prospects if one.curve]
    names = [t("{what}: {said}", what=_about(one), said=claim_words(one, _info(found, one), found.currency))
             for one in drawn]  # fmt: skip
    left, top, wide, high = 60.0, 40.0, 620.0, 320.0
    drawing = Drawing(
        max(left + wide, left + 40 + width_of(names)) + 30, top + high + 70 + 18 * len(drawn), t("Power of the gate")
    )
    most = max([10.0, found.gate * 1.2, *(_far(found, one) for one in drawn)])

    def at(n: float, power: float) -> tuple[float, float]:
        return left + wide * n / most, top + high * (1 - power)

    drawing.text(left, 22, t("Power against number of gate examples, at the next look"), size=14)
    for power in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        drawing.line([at(0, power), at(most, power)], "#dddddd", dash="" if power != 0.8 else "6 3")
        drawing.text(left - 8, at(0, power)[1] + 4, f"{power:.0%}", "end")
    for n in ticks(0, most):
        drawing.text(at(n, 0)[0], top + high + 18, f"{n:.0f}", "middle")
    drawing.line([at(found.gate, 0), at(found.gate, 1)], GREY, 1.5, "4 4")
    drawing.text(at(found.gate, 1)[0], top - 4, t("now: {n}", n=found.gate), "middle", GREY)
    drawing.text(left + wide / 2, top + high + 38, t("gate examples"), "middle")
    for index, (one, name) in enumerate(zip(drawn, names, strict=True)):
        colour, y = COLOURS[index % len(COLOURS)], top + high + 62 + 18 * index
        dash = "" if index < len(COLOURS) else "5 3"
        scale = found.gate / one.examples if one.examples else 1.0  # a slice is a part of the gate
        points = [at(n * scale, power) for n, power in one.curve if n * scale <= most]
        drawing.line([at(0, 0), *points], colour, 2, dash)
        drawing.line([(left, y - 4), (left + 26, y - 4)], colour, 2, dash)
        drawing.text(left + 34, y, name)
    return str(drawing)


def _far(found: GatePlan, one: Prospect) -> float:
    """Where the curve has come to 95%, at the latest at its end; in examples of the whole gate."""
    return (found.gate / one.examples if one.examples else 1.0) * next(
        (n for n, power in one.curve if power >= 0.95), one.curve[-1][0]
    )


def _row(found: GatePlan, one: Prospect) -> list[object]:
    info = _info(found, one)
    compared = one.rule in ("non-inferiority", "superiority")
    truth = None if one.truth is None else Amount(one.truth, info, found.currency, signed=compared)
    return [
        _about(one), claim_words(one, info, found.currency), truth, "-" if one.power is None else f"{one.power:.0%}",
        _needed(one), "-" if one.all_examples is None else one.all_examples, _decided(found, one, info),
    ]  # fmt: skip


def _rows(found: GatePlan) -> Table:
    """For programs: one number a column."""
    columns = [Column(t("metric")), Column(t("slice")), Column(t("rule")), Column(t("bound"), "number"),
               Column(t("channel")), Column(t("gate examples"), "count"), Column(t("supposed"), "number"),
               Column(t("basis")), Column(t("power"), "number"), Column(t("needed"), "count"),
               Column(t("{name}, low", name=t("needed")), "count"),
               Column(t("{name}, high", name=t("needed")), "count"),
               Column(t("in all splits"), "count"), Column(t("decided from"), "number"),
               Column(t("decided from, share within"), "number"), Column(t("why"))]  # fmt: skip
    rows = [
        [one.metric, one.slice, one.rule, one.bound, one.against, one.examples, one.truth, one.basis, one.power,
         one.needed, one.needed_low, one.needed_high, one.all_examples, one.decided_from, one.decided_share,
         joined(told(said) for said in one.notes)]
        for one in found.prospects
    ]  # fmt: skip
    return Table("", columns, rows)


def _needed(one: Prospect) -> str:
    if one.basis == "point":
        return "-"
    if one.needed is None:
        return t("unknown") if one.basis == "unknown" else t("no number")
    if one.basis != "pilot":
        return f"{one.needed}"
    return f"{one.needed} ({one.needed_low or '?'}-{one.needed_high or '∞'})"


def _decided(found: GatePlan, one: Prospect, info: MetricInfo) -> str:
    """The true value from which on the present size is enough."""
    if one.decided_share is not None:
        return t("{share} of examples within it", share=f"{one.decided_share:.1%}")
    if one.decided_from is None:
        return "-"
    compared = one.rule in ("non-inferiority", "superiority")
    shown = amount(Amount(one.decided_from, info, found.currency, signed=compared))
    up = info.higher_is_better if compared else one.rule == "min"
    return t("{value} or more", value=shown) if up else t("{value} or less", value=shown)


def _basis(found: GatePlan) -> list[str]:
    """Whose answers on dev the numbers come from."""
    if not found.candidate:
        return [t("No candidate was measured on dev yet, so values are assumed; `slipway run evaluate` measures them.")]
    lines = [t("Values and their scatter are those of {name} on dev.", name=found.candidate)]
    for channel, name in found.rivals.items():
        lines.append(
            t("{name} stands for what serves on {channel}, on the same dev examples.", name=name, channel=channel)
        )
    return lines


def _notes(found: GatePlan) -> list[str]:
    notes = [t("{what}: {said}", what=_about(one), said=told(said))
             for one in found.prospects for said in one.notes]  # fmt: skip
    notes.append(t("power: the probability that the rule passes if the truth is as supposed; in brackets: 68% range"))
    notes.append(t("decided from: a true value that this split confirms with 80% probability"))
    return list(dict.fromkeys(notes))


def _about(one: Prospect) -> str:
    return f"{one.metric} ({one.slice})" if one.slice else one.metric


def _info(found: GatePlan, one: Prospect) -> MetricInfo:
    return info_of(one.metric, found.meanings)
