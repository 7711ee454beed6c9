"""The numbers that Word writes before headings and items of lists; the file holds no text of them (ECMA-376, 17.9)."""

from __future__ import annotations

import re
from typing import Any

import msgspec

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_LEVELS, _LONGEST = 9, 60
_ROMAN = [("m", 1000), ("cm", 900), ("d", 500), ("cd", 400), ("c", 100), ("xc", 90), ("l", 50), ("xl", 40), ("x", 10),
          ("ix", 9), ("v", 5), ("iv", 4), ("i", 1)]  # fmt: skip
_DIGITS = "〇一二三四五六七八九"


class _Level(msgspec.Struct):
    start: int
    kind: str  # of its number: decimal, upperRoman ...
    text: str  # with %1 where the number of the outermost level stands
    plain: bool  # shows the numbers of all levels as decimals


class Numbers:
    """Counts along a document: to be asked for each paragraph once, in order."""

    def __init__(self, document: Any) -> None:
        root = _part(document)
        found = {_get(one, "abstractNumId"): one for one in root.iter(f"{_W}abstractNum")} if root is not None else {}
        self._levels = {key: _levels(one) for key, one in found.items()}
        self._by_style = {
            _get(style, "val"): (key, int(_get(level, "ilvl") or 0))
            for key, one in found.items()
            for level in one.iter(f"{_W}lvl")
            if (style := level.find(f"{_W}pStyle")) is not None and _get(level, "ilvl").isdecimal()
        }
        self._lists: dict[str, str] = {}
        self._restarts: dict[str, dict[int, int]] = {}
        for one in root.iter(f"{_W}num") if root is not None else ():
            key = _get(one, "numId")
            self._lists[key] = _value(one, "abstractNumId")
            self._restarts[key] = {
                int(_get(level, "ilvl")): int(_value(level, "startOverride"))
                for level in one.findall(f"{_W}lvlOverride")
                if _get(level, "ilvl").isdecimal() and _value(level, "startOverride").isdecimal()
            }
        self._styles = {_get(style, "styleId"): style for style in document.styles.element.iter(f"{_W}style")}
        self._counts: dict[str, list[int | None]] = {}

    def label(self, paragraph: Any) -> str:
        """What stands before this paragraph, such as `3.2` or `(a)`; empty for a bullet, or no number."""
        list_id, level = self._place(paragraph)
        abstract = self._lists.get(list_id, "")
        levels = self._levels.get(abstract, {})
        if level not in levels:
            return ""
        counts = self._counts.setdefault(abstract, [None] * _LEVELS)
        for at, start in self._restarts.pop(list_id, {}).items():  # a list begins anew where it is first used
            counts[at:] = [start - 1] + [None] * (_LEVELS - at - 1) if at < _LEVELS else []
        for outer in range(level):
            if counts[outer] is None:
                counts[outer] = levels[outer].start if outer in levels else 1
        here = counts[level]
        counts[level] = levels[level].start if here is None else here + 1
        counts[level + 1 :] = [None] * (_LEVELS - level - 1)
        return _shown(levels, level, counts)

    def _place(self, paragraph: Any) -> tuple[str, int]:
        """(list, level) that the paragraph or its style names."""
        style = _value(paragraph, f"pPr/{_W}pStyle")
        list_id, level = _numbered(paragraph)
        for _ in range(20):
            if list_id and level:
                break
            found = self._styles.get(style)
            if found is None:
                break
            own, depth = _numbered(found)
            if own and not list_id and not depth:
                depth = str(self._by_style.get(style, ("", 0))[1])
            list_id, level = list_id or own, level or depth
            style = _value(found, "basedOn")
        return list_id, int(level) if level.isdecimal() and int(level) < _LEVELS else 0


def _numbered(held: Any) -> tuple[str, str]:
    return _value(held, f"pPr/{_W}numPr/{_W}numId"), _value(held, f"pPr/{_W}numPr/{_W}ilvl")


def _levels(abstract: Any) -> dict[int, _Level]:
    levels: dict[int, _Level] = {}
    for one in abstract.findall(f"{_W}lvl"):
        number, start = _get(one, "ilvl"), _value(one, "start")
        if number.isdecimal() and int(number) < _LEVELS:
            levels[int(number)] = _Level(
                start=int(start) if start.isdecimal() and len(start) < 6 else 0 if start else 1,
                kind=_value(one, "numFmt") or "decimal",
                text=_value(one, "lvlText")[:_LONGEST],
                plain=one.find(f"{_W}isLgl") is not None,
            )
    return levels


def _shown(levels: dict[int, _Level], level: int, counts: list[int | None]) -> str:
    if levels[level].kind in ("bullet", "none"):
        return ""

    def number(found: re.Match[str]) -> str:
        at = int(found[1]) - 1
        kind = levels[at].kind if at in levels and not levels[level].plain else "decimal"
        return _written(counts[at] or 0, kind)

    return re.sub(r"%([1-9])", number, levels[level].text).strip()


def _written(number: int, kind: str) -> str:
    if kind.endswith("Letter") and number > 0:
        letters = chr(ord("a") + (number - 1) % 26) * min(1 + (number - 1) // 26, 9)
        return letters.upper() if kind.startswith("upper") else letters
    if kind.endswith("Roman") and 0 < number < 4000:
        return _roman(number).upper() if kind.startswith("upper") else _roman(number)
    if kind.startswith(("chinese", "japaneseCounting", "taiwaneseCounting")) and 0 < number < 100:
        tens, ones = divmod(number, 10)
        head = ("" if tens == 1 else _DIGITS[tens]) + "十" if tens else ""
        return head + (_DIGITS[ones] if ones else "")
    return f"{number:02}" if kind == "decimalZero" else str(number)


def _roman(number: int) -> str:
    pieces: list[str] = []
    for letters, value in _ROMAN:
        times, number = divmod(number, value)
        pieces.append(letters * times)
    return "".join(pieces)


def _part(document: Any) -> Any:
    from docx.oxml import parse_xml

    for relation in document.part.rels.values():
        if relation.reltype.endswith("/numbering") and not relation.is_external:
            return parse_xml(relation.target_part.blob)
    return None


def _get(held: Any, name: str) -> str:
    return str(held.get(f"{_W}{name}") or "")


def _value(held: Any, path: str) -> str:
    found = held.find(f"{_W}{path}")
    return _get(found, "val") if found is not None else ""
