"""What tuners made of candidates: what they measured, and how the loss went, as a table and a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slipway.core.artifact import Artifact
from slipway.i18n import t
from slipway.render.document import Column, Part, Picture, Table
from slipway.render.svg import COLOURS, GREY, Drawing, ticks, width_of

_LEFT, _TOP, _WIDE, _HIGH = 70.0, 50.0, 460.0, 220.0
_POINTS = 200  # of a curve; of more, means of neighbours are drawn


@dataclass(frozen=True)
class Trained:
    """What was made for a candidate. `told`: lines of the artifact's log, each with `done` and what a step measured.
    `observed`: what the machine that made it saw, which is no part of the artifact.
    """

    candidate: str
    artifact: Artifact
    told: Sequence[Mapping[str, Any]]
    observed: Mapping[str, float]


def training(found: Sequence[Trained]) -> list[Part]:
    """A table of all, and a picture of those that have a loss."""
    columns = [Column(t("candidate")), Column(t("tuner")), Column(t("measured")), Column(t("digest"), "digest")]
    rows = [[one.candidate, one.artifact.tuner, _words(one), one.artifact.digest] for one in found]
    drawn = curves({one.candidate: one.told for one in found})
    return [Table(t("What was tuned"), columns, rows), *([Picture(drawn)] if drawn else [])]


def _words(one: Trained) -> str:
    measured = {**one.artifact.measured, **one.observed}
    return ", ".join(f"{name} {value:.4g}" for name, value in measured.items())


def curves(told: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """An SVG of what each told: the loss of each step as a line, that on dev as dots; empty without a loss."""
    lines = {name: _curve(each, "loss") for name, each in told.items()}
    dots = {name: _points(each, "dev_loss") for name, each in told.items()}
    shown = [name for name in lines if lines[name]]
    if not shown:
        return ""
    points = [point for name in shown for point in (*lines[name], *dots[name])]
    most, low = max(x for x, _ in points), min(0.0, *(y for _, y in points))
    high = max(y for _, y in points) * 1.05 or 1.0
    title = t("Loss by step; dots: on dev")
    drawing = Drawing(_LEFT + _WIDE + width_of(shown) + 30, _TOP + _HIGH + 60, title)
    drawing.text(20, 26, title, size=14)

    def at(x: float, y: float) -> tuple[float, float]:
        return _LEFT + _WIDE * x / max(1.0, most), _TOP + _HIGH * (1 - (y - low) / (high - low))

    for value in ticks(0, most, 6):
        x, _ = at(value, low)
        drawing.line([(x, _TOP), (x, _TOP + _HIGH)], "#e3e3e3")
        drawing.text(x, _TOP + _HIGH + 18, f"{value:g}", "middle", GREY, 11)
    for value in ticks(low, high, 6):
        _, y = at(0, value)
        drawing.line([(_LEFT, y), (_LEFT + _WIDE, y)], "#e3e3e3")
        drawing.text(_LEFT - 8, y + 4, f"{value:g}", "end", GREY, 11)
    for name, colour in zip(shown, COLOURS * len(shown), strict=False):
        drawing.line([at(*point) for point in lines[name]], colour, 1.5)
        for point in dots[name]:
            drawing.dot(*at(*point), colour, 3.5)
        x, y = at(*lines[name][-1])
        drawing.text(x + 8, y + 4, name, colour=colour)
    return str(drawing)


def _points(told: Sequence[Mapping[str, Any]], name: str) -> list[tuple[float, float]]:
    return [(float(line["done"]), float(line[name])) for line in told if name in line]


def _curve(told: Sequence[Mapping[str, Any]], name: str) -> list[tuple[float, float]]:
    points = _points(told, name)
    each = -(-len(points) // _POINTS)
    parts = [points[at : at + each] for at in range(0, len(points), max(1, each))]
    return [(part[-1][0], sum(y for _, y in part) / len(part)) for part in parts]
