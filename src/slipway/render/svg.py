"""A small SVG (1.1) drawing: lines, boxes and texts on a white ground. Knows no noun; what is written in it is text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape

from slipway.text import visible

Point = tuple[float, float]
# Okabe and Ito (2008): told apart by people who see colours differently
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
GREY, GOOD, BAD, OPEN = "#777777", "#009E73", "#D55E00", "#E69F00"
_FONT = "Helvetica, Arial, 'Noto Sans SC', 'Microsoft YaHei', 'PingFang SC', sans-serif"


class Drawing:
    """What was drawn, in order. Lengths are pixels, y grows downwards. `title`: for those who cannot see it."""

    def __init__(self, width: float, height: float, title: str) -> None:
        self.width, self.height, self.title = width, height, title
        self._parts: list[str] = []

    def line(self, points: Sequence[Point], colour: str = GREY, width: float = 1.0, dash: str = "") -> None:
        """Through all points."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self._parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width:g}"{dashes}/>'
        )

    def box(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        """Filled."""
        self._parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>')

    def dot(self, x: float, y: float, colour: str, radius: float = 4.0) -> None:
        """Filled."""
        self._parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" fill="{colour}"/>')

    def text(
        self, x: float, y: float, text: str, anchor: str = "start", colour: str = "#222222", size: int = 12
    ) -> None:
        """In one line; `anchor`: start, middle or end of it is at x."""
        shown = escape(visible.line(text))
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}">{shown}</text>'
        )

    def span(self, left: float, right: float, y: float, ends: tuple[float, float]) -> None:
        """When an axis of time begins and ends, below it; `ends`: seconds since 1970, shown in UTC."""
        for x, at, anchor in ((left, ends[0], "start"), (right, ends[1], "end")):
            self.text(x, y, f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC", anchor, GREY, 10)

    def __str__(self) -> str:
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width:g}" height="{self.height:g}" '
            f'viewBox="0 0 {self.width:g} {self.height:g}" role="img" font-family="{escape(_FONT)}">'
        )
        title = f"<title>{escape(visible.line(self.title))}</title>"
        ground = f'<rect width="{self.width:g}" height="{self.height:g}" fill="#ffffff"/>'
        return "\n".join([head, title, ground, *self._parts, "</svg>", ""])


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from `low` to `high`, at most `most`."""
    import math

    if high <= low:
        return [low]
    raw = (high - low) / max(1, most - 1)
    unit = 10 ** math.floor(math.log10(raw))
    step = next(factor * unit for factor in (1, 2, 5, 10, 20) if factor * unit >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]


def width_of(texts: Iterable[str], size: int = 12) -> float:
    """About how wide the widest of these is; a Chinese character is as wide as two others."""
    from rich.cells import cell_len

    return max((cell_len(text) for text in texts), default=0) * size * 0.56
