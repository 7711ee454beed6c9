"""A verdict as a picture: for each rule the interval, what was measured, and what was asked. As text, and as SVG."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rich.cells import cell_len

from slipway.core.metrics import MetricInfo
from slipway.core.release import RuleResult, Verdict
from slipway.core.report import Report
from slipway.i18n import t
from slipway.render.cells import Amount, amount, info_of
from slipway.render.pages.verdicts import about, claim_words, outcome_word
from slipway.render.svg import BAD, GOOD, GREY, OPEN, Drawing, width_of

_WIDE = 40  # characters of a scale
_APART = 70.0  # pixels that two numbers need
_COLOURS = {"pass": GOOD, "fail": BAD, "insufficient": OPEN}


@dataclass(frozen=True)
class Scale:
    """One rule on its axis. `line`: where the bound or the margin lies; `low`, `high`: None is without end; `up`: what
    is greater is better, so that the lower end must keep the line.
    """

    name: str
    claim: str
    outcome: str
    value: float | None
    low: float | None
    high: float | None
    line: float
    info: MetricInfo
    signed: bool
    up: bool
    currency: str

    @property
    def ends(self) -> tuple[float, float]:
        """Of the axis: all that is on it, and some room."""
        found = [one for one in (self.value, self.low, self.high, self.line) if one is not None]
        low, high = min(found), max(found)
        room = 0.12 * (high - low) or 0.1 * abs(high) or 0.1
        return low - room, high + room

    def shown(self, value: float) -> str:
        """With its unit."""
        return amount(Amount(value, self.info, self.currency, signed=self.signed))


def scales(found: Verdict, meanings: Mapping[str, MetricInfo], currency: str = "") -> list[Scale]:
    """One for each rule of the verdict, in its order."""
    return [_scale(one, info_of(one.metric, meanings), currency) for one in found.rules]


def text_picture(found: list[Scale]) -> str:
    """One rule a line, then what the signs mean."""
    names = [f"{scale.name} " for scale in found]
    wide = max(map(cell_len, names), default=0)
    lines = [
        f"{name}{' ' * (wide - cell_len(name))} {_signs(scale)}  "
        + t("{what}: {said}", what=scale.claim, said=outcome_word(scale.outcome))
        for name, scale in zip(names, found, strict=True)
    ]
    return "\n".join([*lines, t("o measured, [ ] interval, < > without end, | asked")])


def svg_picture(found: list[Scale], title: str) -> str:
    """The same, with numbers."""
    left = 40 + width_of([scale.name for scale in found] + [scale.claim for scale in found])
    wide, row = 420.0, 64.0
    drawing = Drawing(left + wide + 40, 60 + row * len(found) + 20, title)
    drawing.text(20, 28, title, size=15)
    for index, scale in enumerate(found):
        y, colour = 60 + row * index + 24, _COLOURS[scale.outcome]
        drawing.text(20, y - 4, scale.name, size=13)
        drawing.text(20, y + 14, scale.claim, colour=GREY)
        drawing.line([(left, y), (left + wide, y)], "#dddddd")
        low, high = scale.ends

        def at(value: float, low: float = low, high: float = high) -> float:
            return left + wide * (value - low) / (high - low)

        if scale.value is None:
            drawing.text(left, y - 8, t("not measured"), colour=GREY)
        else:
            start = left if scale.low is None else at(scale.low)
            end = left + wide if scale.high is None else at(scale.high)
            drawing.box(start, y - 5, end - start, 10, colour)
            drawing.dot(at(scale.value), y, "#222222")
            drawing.text(at(scale.value), y - 12, scale.shown(scale.value), "middle")
            near = end - start < _APART  # then the two numbers stand outside
            if scale.low is not None:
                drawing.text(start, y + 20, scale.shown(scale.low), "end" if near else "middle", GREY, 10)
            if scale.high is not None:
                drawing.text(end, y + 20, scale.shown(scale.high), "start" if near else "middle", GREY, 10)
        x = at(scale.line)
        drawing.line([(x, y - 18), (x, y + 24)], "#222222", 2, "4 3")
        drawing.text(x, y + 34, scale.shown(scale.line), "middle", size=11)
        drawing.text(left + wide + 6, y + 5, {"pass": "✓", "fail": "✗"}.get(scale.outcome, "?"), colour=colour, size=15)
    return str(drawing)


def verdict_picture(found: Verdict, report: Report) -> str:
    """The SVG of a verdict, with the outcome, the look and its alpha above."""
    title = t("{name}: {outcome} (look {n}, alpha {alpha})", name=report.candidate.name,
              outcome=outcome_word(found.outcome), n=found.gate_uses, alpha=f"{found.alpha:.2g}")  # fmt: skip
    return svg_picture(scales(found, report.meanings, report.currency), title)


def _scale(one: RuleResult, info: MetricInfo, currency: str) -> Scale:
    value, low, high, line = one.value, one.low, one.high, one.bound
    signed = one.rule in ("non-inferiority", "superiority")
    if signed:
        compared = one.comparison
        value = None if compared is None else compared.effect
        line = 0.0 if one.rule == "superiority" else -one.bound if info.higher_is_better else one.bound
        if low is None and high is None and compared is not None:  # an older verdict
            low, high = compared.low, compared.high
    up = info.higher_is_better if signed else one.rule == "min"
    claim = claim_words(one, info, currency)
    return Scale(about(one), claim, one.outcome, value, low, high, line, info, signed, up, currency)


def _signs(scale: Scale) -> str:
    """`--|--[===o====]--`."""
    low, high = scale.ends
    drawn = ["-"] * _WIDE

    def at(value: float) -> int:
        return min(_WIDE - 1, max(0, round((_WIDE - 1) * (value - low) / (high - low))))

    if scale.value is not None:
        first = 0 if scale.low is None else at(scale.low)
        last = _WIDE - 1 if scale.high is None else at(scale.high)
        drawn[first : last + 1] = "=" * (last + 1 - first)
        drawn[first], drawn[last] = "<" if scale.low is None else "[", ">" if scale.high is None else "]"
        drawn[at(scale.value)] = "o"
    drawn[at(scale.line)] = "|"
    return "".join(drawn)
