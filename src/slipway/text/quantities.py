"""Numbers with their units, read out of a text in English or Chinese. Exact: values are fractions, never floats.

`3.5亿元`, `$1,200.50`, `5 million km`, `1/2`, `6½`, `2.5e-3`, `百分之五十`, `三百五十`, `twenty-one`, `1 h 30 min`.
What only looks like a number is none: a version (`1.10.3`), a digit of a name (`GPT-4`, `x86`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction

from slipway.text.numerals import arabic
from slipway.text.punctuation import plain_marks
from slipway.text.simplified import simplified
from slipway.text.units import ANY_CASE, MONEY, MULTIPLIERS, UNITS

_LONGEST = 100_000  # characters that are read


def _any(names: list[str]) -> str:
    """A pattern for the longest of these names; one that ends in a letter ends a word."""
    ordered = sorted(names, key=len, reverse=True)
    return "|".join(re.escape(n) + (r"(?![A-Za-z])" if n[-1].isascii() and n[-1].isalpha() else "") for n in ordered)


_MONEY = "|".join(map(re.escape, MONEY))
_NUMBER = re.compile(
    rf"(?P<money>{_MONEY})?\s?(?P<sign>(?<![A-Za-z0-9)\]%])[-+])?(?P<sign_money>[$€£¥])?"
    r"(?<![A-Za-z0-9_.^/])(?<![A-Za-z]-)"
    r"(?:(?:(?P<whole>\d{1,40}) )?(?P<over>\d{1,40})/(?P<under>\d{1,40})(?![\d/.])"
    r"|(?P<digits>[1-9]\d{0,2}(?:(?P<comma>[,_'])\d{3})(?:(?P=comma)\d{3}){0,12}(?!\d|[,_']\d)|\d{1,40}(?!\d)|(?=\.\d))"
    r"(?P<places>\.\d{1,40}(?!\d))?(?!\.\d)(?:(?:[eE]|\s?[×xX*]\s?10\^)(?P<power>[-+]?\d{1,2})(?!\w)|(?![eE][-+]?\d))"
    r"(?:\^(?P<to>-?\d{1,2})(?!\w))?)"
)
_MORE_MONEY = re.compile("[MB](?![A-Za-z])")
_MULTIPLIER = re.compile(rf"\s?({_any(list(MULTIPLIERS))})", re.IGNORECASE)
_UNIT = re.compile(rf"[\s-]?({_any(list(UNITS))})")
_UNIT_ANY_CASE = re.compile(rf"[\s-]?({_any(list(ANY_CASE))})", re.IGNORECASE)
_PER = re.compile(r"\s?(?:/|per |每)\s?([A-Za-z]+|[\u4e00-\u9fff]{1,2})")


@dataclass(frozen=True)
class Quantity:
    """`number` as written, 万 and million multiplied in; `factor` of its `unit` (a base unit; empty: none given)."""

    number: Fraction
    unit: str = ""
    factor: Fraction = Fraction(1)
    start: int = 0
    end: int = 0

    @property
    def value(self) -> Fraction:
        """In base units."""
        return self.number * self.factor


def quantities(text: str) -> list[Quantity]:
    """Those of a text, in order; `1 h 30 min` is one."""
    text = arabic(plain_marks(simplified(text[:_LONGEST])))
    found: list[Quantity] = []
    end = 0
    for match in _NUMBER.finditer(text):
        if match.start() >= end and (one := _read(match, text)) is not None:
            end = one.end
            if found and _goes_on(found[-1], one, text):
                found[-1] = replace(found[-1], number=found[-1].number + one.value / found[-1].factor, end=one.end)
            else:
                found.append(one)
    return found


def same(expected: Quantity, found: Quantity, absolute: Fraction, relative: Fraction, strict: bool = False) -> bool:
    """Whether `found` is `expected` within a tolerance: `absolute` in the expected unit, `relative` to its value.

    A percentage is also its hundredth (50% is 0.5). Where only one of the two has a unit, the other is taken to be in
    it, but if `strict`.
    """
    units = {expected.unit, found.unit}
    if len(units) == 1 or units == {"", "%"}:
        most = max(absolute * expected.factor, relative * abs(expected.value))
        if abs(expected.value - found.value) <= most:
            return True
    if strict or "" not in units or len(units) == 1:
        return False
    return abs(expected.number - found.number) <= max(absolute, relative * abs(expected.number))


def _read(match: re.Match[str], text: str) -> Quantity | None:
    number = _number(match.groupdict())
    if number is None:
        return None
    money = match["money"] or match["sign_money"]
    unit, factor, end = _unit(text, match.end())
    if not unit and (many := _MULTIPLIER.match(text, end)):
        number *= MULTIPLIERS.get(many[1]) or MULTIPLIERS[many[1].lower()]
        unit, factor, end = _unit(text, many.end())
    elif money and (many := _MORE_MONEY.match(text, match.end())):  # $5M
        number, end = number * (10**6 if many[0] == "M" else 10**9), many.end()
    if money:
        unit, factor = UNITS[money]
    return Quantity(-number if match["sign"] == "-" else number, unit, factor, match.start(), end)


def _number(part: dict[str, str | None]) -> Fraction | None:
    if part["over"] and part["under"]:
        under = int(part["under"])
        return int(part["whole"] or 0) + Fraction(int(part["over"]), under) if under else None
    digits = re.sub("[,_']", "", part["digits"] or "") or "0"
    number = Fraction(digits + (part["places"] or "")) * Fraction(10) ** int(part["power"] or 0)
    if part["to"] is None:
        return number
    return number ** int(part["to"]) if 0 < number <= 1000 else None


def _unit(text: str, at: int) -> tuple[str, Fraction, int]:
    """The unit that stands at a place: its base, its factor, where it ends."""
    if match := _UNIT.match(text, at):
        kind, factor = UNITS[match[1]]
    elif match := _UNIT_ANY_CASE.match(text, at):
        kind, factor = ANY_CASE[match[1].lower()]
    else:
        return "", Fraction(1), at
    if kind != "%" and (per := _PER.match(text, match.end())):
        return f"{kind}/{_PER_NAME.get(per[1], per[1])}", factor, per.end()
    return kind, factor, match.end()


_PER_NAME = {
    "小时": "h",
    "hour": "h",
    "秒": "s",
    "second": "s",
    "sec": "s",
    "分钟": "min",
    "minute": "min",
    "天": "day",
}


def _goes_on(before: Quantity, after: Quantity, text: str) -> bool:
    """Whether `30 min` goes on a `1 h` that stands before it."""
    return (
        before.unit == after.unit == "second"
        and after.factor < before.factor
        and after.number >= 0
        and text[before.end : after.start].strip() in ("", "and", "又", "零")
    )
