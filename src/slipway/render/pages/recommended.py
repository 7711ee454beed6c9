"""What `slipway models recommend` found: models that meet the needs, and each other one with its reasons."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from slipway.core.metrics import METRICS, rounded
from slipway.i18n import joined, t
from slipway.loop.choosing.estimating import Check
from slipway.loop.choosing.recommend import Advice, Judged, Needs, Relax
from slipway.render.cells import Amount, size
from slipway.render.document import Column, Document, Part, Table
from slipway.render.svg import GOOD, GREY, Drawing, ticks, width_of

_WIDE, _HIGH, _TOP, _GAP, _LEFT = 250.0, 220.0, 60.0, 80.0, 70.0


def recommended(found: Advice) -> Document:
    """The needs, a table of those that fit, a table of those left out, and what to do next."""
    fit = Table(t("Models that meet the needs"), _columns(found), [_cells(found, one) for one in found.fit],
                _notes(found))  # fmt: skip
    left = Table(
        t("Left out"),
        [Column(t("model")), Column(t("parameters")), Column(t("why"))],
        [[one.option.title, _count(one.option.parameters), joined(miss.why for miss in one.misses)]
         for one in found.left_out],
    )  # fmt: skip
    parts: list[Part] = [_asked(found.needs)]
    if found.fit:
        first = found.fit[0].option
        obtain = first.obtain or t("(a GGUF conversion, or a server that has it)")
        parts += [
            fit,
            _sources(found),
            t("try the first ones on your own examples: slipway bench '{name}'", name=obtain),
        ]
    else:
        parts += [t("no known or local model meets these needs"), *_relaxed(found)]
    if found.left_out:
        parts.append(left)
    return Document(found, parts, fit if found.fit else left)


def _asked(needs: Needs) -> str:
    told = [t("task {task}: {read} tokens read and {written} written a query", task=needs.task, read=needs.read,
              written=needs.written)]  # fmt: skip
    told.append(t("context of {n} tokens", n=needs.context))
    if needs.languages:
        told.append(t("languages {names}", names=", ".join(needs.languages)))
    told.append(t("memory up to {size}", size=size(needs.memory or 0.0)))
    if needs.latency is not None:
        told.append(t("up to {n:g} s a query", n=needs.latency))
    if needs.price is not None:
        told.append(t("up to {amount} a query", amount=f"{needs.price.amount:g} {needs.price.currency}"))
    return joined(told)


def _columns(found: Advice) -> list[Column]:
    columns = [
        Column(t("model")), Column(t("memory"), "bytes"), Column(t("read, tokens/s"), "measure"),
        Column(t("written, tokens/s"), "measure"), Column(t("seconds"), "measure"),
    ]  # fmt: skip
    if found.currency:
        columns.append(Column(t("cost per query"), "measure"))
    return [*columns, Column(t("speed"))]


def _cells(found: Advice, one: Judged) -> list[object]:
    option = one.option
    cells: list[object] = [
        option.title, option.memory, _short(option.reading), _short(option.writing), _short(one.seconds)
    ]  # fmt: skip
    if found.currency:
        cells.append(None if one.cost is None else Amount(one.cost, METRICS["cost_per_query"], found.currency))
    how = t("measured") if option.measured else t("not measured") if option.reading is None else t("estimated")
    return [*cells, how]


def _sources(found: Advice) -> Table:
    """Where those that fit come from, and under which licence; facts of the table with the day they were entered."""
    columns = [Column(t("model")), Column(t("parameters")), Column(t("weights"), "bytes"), Column(t("licence")),
               Column(t("how to get it")), Column(t("facts of"))]  # fmt: skip
    rows = [
        [one.option.title, _count(one.option.parameters), one.option.weights, one.option.licence,
         one.option.obtain or t("(a GGUF conversion, or a server that has it)"), one.option.date]
        for one in found.fit
    ]  # fmt: skip
    return Table(t("How to get them"), columns, rows)


def _count(parameters: float | None) -> str:
    if parameters is None:
        return "-"
    return f"{rounded(parameters / 1e9, 3)} B" if parameters >= 1e9 else f"{parameters / 1e6:.0f} M"


def _short(value: float | None) -> str | None:
    return None if value is None else rounded(value, 3)


def _notes(found: Advice) -> list[str]:
    notes = [
        t("how good their answers are is not known here: it is measured on your examples; larger ones stand first")
    ]
    if found.measured:
        told = t(
            "estimated: scaled from a model of the same quantisation, else the nearest in size, of {n} measured on "
            "this machine ({machine})", n=found.measured, machine=found.machine,
        )  # fmt: skip
        notes += [told, *map(_check, found.checks)]
    else:
        notes.append(
            t("estimated from the speed of this machine's memory and cores, often wrong by a factor of two; `slipway "
              "bench SOURCE` measures a model, and others are then scaled from it")
        )  # fmt: skip
    notes.append(
        t(
            "memory: for the engine `llama`, weights, keys and values of the context in 16 bits, and 0.2 GB; "
            "`openvino` held up to 1.4 times as much"
        )
    )
    return notes


def _check(check: Check) -> str:
    return t(
        "the estimate of {name} from {by} is {writing:.2f} of its measured writing speed, {reading:.2f} of its reading "
        "speed", name=check.name, by=check.by, writing=check.writing, reading=check.reading,
    )  # fmt: skip


def _relaxed(found: Advice) -> list[str]:
    if not found.relax:
        closest = next((one for one in found.left_out if not one.option.unfit), None)
        told = t("no single need stands in the way: several must be relaxed together")
        return [told if closest is None else t("{told}; the nearest is {model}", told=told, model=closest.option.title)]
    return [_line(one, found) for one in found.relax]


def _line(one: Relax, found: Advice) -> str:
    needs = found.needs
    if one.value is None:
        need = f"--{one.need}"
        return t("without the need '{need}', {model} would do: {why}", need=need, model=one.model, why=one.why)
    asked: dict[str, str] = {
        "memory": size(needs.memory or 0.0), "latency": f"{needs.latency or 0:g} s", "context": str(needs.context),
        "price": f"{needs.price.amount:g} {needs.price.currency}" if needs.price else "",
    }  # fmt: skip
    value = {
        "memory": size(one.value), "latency": f"{rounded(one.value)} s", "context": f"{one.value:.0f}",
        "price": f"{rounded(one.value)} {found.currency}",
    }[one.need]  # fmt: skip
    return t("relax {need} to {value} (now {asked}), and {model} would do", need=f"--{one.need}", value=value,
             asked=asked[one.need], model=one.model)  # fmt: skip


def picture(found: Advice) -> str:
    """Size against speed, memory and cost: a panel each, on logarithmic axes; those that fit are coloured."""
    shown = [one for one in [*found.fit, *found.left_out] if one.option.weights and one.option.memory]
    panels: list[tuple[str, Callable[[Judged], float | None]]] = [
        (t("written, tokens/s"), lambda one: one.option.writing), (t("memory, GB"), _gigabytes),
        (t("cost per query, {currency}", currency=found.currency), lambda one: one.cost)
        if found.currency else (t("seconds a query"), lambda one: one.seconds),
    ]  # fmt: skip
    title = t("Models: size against speed, memory and cost; green ones meet the needs")
    names = [f"{number} {one.option.title}" for number, one in enumerate(shown, 1)]
    right = _LEFT + len(panels) * (_WIDE + _GAP)
    drawing = Drawing(right + width_of(names) + 20, max(_TOP + _HIGH + 60, 50.0 + 15 * len(names)), title)
    drawing.text(20, 26, title, size=14)
    for place, (name, value) in enumerate(panels):
        _panel(drawing, _LEFT + place * (_WIDE + _GAP), name, shown, value)
    for line, (name, one) in enumerate(zip(names, shown, strict=True)):
        drawing.text(right, _TOP + 15 * line, name, colour=GREY if one.misses else GOOD, size=11)
    return str(drawing)


def _gigabytes(one: Judged) -> float | None:
    return one.option.memory / 1e9 if one.option.memory else None


def _panel(
    drawing: Drawing, left: float, title: str, shown: Sequence[Judged], value: Callable[[Judged], float | None]
) -> None:
    points = [(n, one, math.log10((one.option.weights or 1.0) / 1e9), v) for n, one in enumerate(shown, 1)
              if (v := value(one)) and v > 0]  # fmt: skip
    drawing.text(left + _WIDE / 2, _TOP - 8, title, "middle", size=12)
    drawing.text(left + _WIDE / 2, _TOP + _HIGH + 36, t("weights, GB"), "middle", GREY, 11)
    if not points:
        drawing.text(left + _WIDE / 2, _TOP + _HIGH / 2, t("not known"), "middle", GREY)
        return
    across = _Scale([x for _, _, x, _ in points], left, left + _WIDE)
    up = _Scale([math.log10(v) for _, _, _, v in points], _TOP + _HIGH, _TOP)
    for x in across.ticks():
        drawing.line([(across.at(x), _TOP), (across.at(x), _TOP + _HIGH)], "#e3e3e3")
        drawing.text(across.at(x), _TOP + _HIGH + 16, f"{10**x:.2g}", "middle", GREY, 10)
    for y in up.ticks():
        drawing.line([(left, up.at(y)), (left + _WIDE, up.at(y))], "#e3e3e3")
        drawing.text(left - 6, up.at(y) + 4, f"{10**y:.2g}", "end", GREY, 10)
    for number, one, x, v in points:
        colour = GREY if one.misses else GOOD
        drawing.dot(across.at(x), up.at(math.log10(v)), colour, 5 if one.option.measured else 3)
        drawing.text(across.at(x) + 6, up.at(math.log10(v)) - 4, str(number), colour=colour, size=10)


class _Scale:
    """Logarithms, between two places of the picture, with a margin."""

    def __init__(self, values: Sequence[float], first: float, last: float) -> None:
        self.low, self.high = min(values) - 0.1, max(values) + 0.1
        self._first, self._last = first, last

    def at(self, value: float) -> float:
        return self._first + (self._last - self._first) * (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        return ticks(self.low, self.high, 5)
