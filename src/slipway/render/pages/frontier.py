"""Candidates as a picture: quality against what a query costs, each with its interval."""

from __future__ import annotations

from collections.abc import Sequence

from slipway.core.report import Aggregate, Report
from slipway.i18n import t
from slipway.render.cells import Amount, amount, info_of
from slipway.render.svg import COLOURS, GREY, Drawing, ticks, width_of

_LEFT, _TOP, _WIDE, _HIGH = 90.0, 50.0, 460.0, 260.0


def frontier(found: Sequence[Report], quality: str) -> str:
    """An SVG; empty where fewer than two candidates have both. Without prices the median latency stands for cost."""
    priced = all("cost_per_query" in one.metrics for one in found)
    price = "cost_per_query" if priced else "latency_p50"
    shown = [one for one in found if quality in one.metrics and price in one.metrics]
    if len(shown) < 2:
        return ""
    across = _Axis([one.metrics[price] for one in shown], _LEFT, _LEFT + _WIDE)
    up = _Axis([one.metrics[quality] for one in shown], _TOP + _HIGH, _TOP)
    title = t("{quality} against {price}, with 95% intervals", quality=quality, price=price)
    names = width_of([one.candidate.name for one in shown])
    drawing = Drawing(_LEFT + _WIDE + names + 30, _TOP + _HIGH + 60, title)
    drawing.text(20, 26, title, size=14)
    currency = next((one.currency for one in shown if one.currency), "")
    for value in ticks(across.low, across.high, 5):
        x = across.at(value)
        drawing.line([(x, _TOP), (x, _TOP + _HIGH)], "#e3e3e3")
        drawing.text(x, _TOP + _HIGH + 18, amount(Amount(value, info_of(price), currency)), "middle", GREY, 11)
    for value in ticks(up.low, up.high, 6):
        y = up.at(value)
        drawing.line([(_LEFT, y), (_LEFT + _WIDE, y)], "#e3e3e3")
        drawing.text(_LEFT - 8, y + 4, amount(Amount(value, info_of(quality), "")), "end", GREY, 11)
    for one, colour in zip(shown, COLOURS * len(shown), strict=False):
        x, y = across.at(one.metrics[price].value), up.at(one.metrics[quality].value)
        drawing.line([(across.start(one.metrics[price]), y), (across.end(one.metrics[price]), y)], colour, 1.5)
        drawing.line([(x, up.start(one.metrics[quality])), (x, up.end(one.metrics[quality]))], colour, 1.5)
        drawing.dot(x, y, colour, 5)
        drawing.text(x + 9, y - 7, one.candidate.name, colour=colour, size=12)
    return str(drawing)


class _Axis:
    """From zero to the greatest value, between two places of the picture. An unknown end is that of the axis."""

    def __init__(self, found: Sequence[Aggregate], first: float, last: float) -> None:
        self.low = 0.0
        self.high = max(max(one.value, one.high or 0.0) for one in found) * 1.08 or 1.0
        self._first, self._last = first, last

    def at(self, value: float) -> float:
        return self._first + (self._last - self._first) * (value - self.low) / (self.high - self.low)

    def start(self, one: Aggregate) -> float:
        return self.at(self.low if one.low is None else one.low)

    def end(self, one: Aggregate) -> float:
        return self.at(self.high if one.high is None else one.high)
