"""Simulated traffic as a picture: what was asked, answered and said, from its beginning to its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from slipway.i18n import t
from slipway.loop.simulate import Asked
from slipway.render.svg import BAD, COLOURS, GREY, Drawing

_PARTS = 24  # stretches of time of the same length
_LEFT, _WIDE, _TALL, _STEP = 150.0, 540.0, 48.0, 76.0
_OF_DAYS = 1e9  # seconds since 1970, where traffic was entered for days; else since it began
_Row = tuple[str, Callable[[Sequence[Asked]], float | None]]


def picture(found: Sequence[Asked], changed: float | None) -> str:
    """An SVG, one panel a measure; each value is of a stretch of time. `changed`: the share of the requests after which
    something changed, as a line; None for none.
    """
    title = t("simulated traffic, {n} requests", n=len(found))
    first = min((one.at for one in found), default=0.0)
    span = max((one.at for one in found), default=0.0) - first or 1.0
    parts: list[list[Asked]] = [[] for _ in range(_PARTS)]
    for one in found:
        parts[min(_PARTS - 1, int(_PARTS * (one.at - first) / span))].append(one)
    rows = _rows(found)
    drawing = Drawing(_LEFT + _WIDE + 30, 60 + len(rows) * _STEP, title)
    drawing.text(20, 26, title, size=14)
    for place, (name, measure) in enumerate(rows):
        base = 50 + place * _STEP + _TALL
        values = [measure(part) for part in parts]
        most = max((value for value in values if value is not None), default=0.0) or 1.0
        drawing.text(_LEFT - 10, base, name, "end")
        drawing.text(_LEFT - 10, base - _TALL + 12, f"{most:.3g}", "end", GREY, 10)
        drawing.line([(_LEFT, base), (_LEFT + _WIDE, base)], "#e3e3e3")
        for n, value in enumerate(values):
            if value is not None:
                high = max(1.0, _TALL * value / most)
                drawing.box(_LEFT + _WIDE * n / _PARTS, base - high, _WIDE / _PARTS - 2, high, COLOURS[0])
    if changed is not None and found:
        x = _LEFT + _WIDE * (found[min(len(found) - 1, round(changed * len(found)))].at - first) / span
        drawing.line([(x, 44), (x, 50 + len(rows) * _STEP - 20)], BAD, 1.5, "5 3")
        drawing.text(x + 4, 40, t("something changes"), colour=BAD, size=11)
    if first > _OF_DAYS:
        drawing.span(_LEFT, _LEFT + _WIDE, 60 + len(rows) * _STEP - 14, (first, first + span))
    return str(drawing)


def _rows(found: Sequence[Asked]) -> list[_Row]:
    """What is drawn: counts, shares and medians; of the languages the two that were asked in most."""
    named = [one.language for one in found]
    languages = sorted(set(named), key=lambda one: (-named.count(one), one))[:2]
    return [
        (t("requests"), lambda part: float(len(part))),
        (t("right answers"), _share(lambda one: one.right)),
        (t("thumbs down"), _share(lambda one: one.down)),
        (t("without an answer"), _share(lambda one: one.failed)),
        (t("seconds, median"), lambda part: sorted(one.seconds for one in part)[len(part) // 2] if part else None),
        (t("characters, mean"), lambda part: sum(one.length for one in part) / len(part) if part else None),
        *((t("asked in {language}", language=one), _share(lambda each, one=one: each.language == one))
          for one in languages if len(languages) > 1),
    ]  # fmt: skip


def _share(holds: Callable[[Asked], bool]) -> Callable[[Sequence[Asked]], float | None]:
    return lambda part: sum(map(holds, part)) / len(part) if part else None
