"""What a spreadsheet shows of a number: its percent sign, its currency or unit, its decimals (ECMA-376, 18.8.31).

The digits stay those of the value: nothing is rounded off, and no separator of thousands comes in, since both would
keep a number from being found.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from slipway.data.parsing.tabular import shown

_TOKEN = re.compile(  # a literal, a currency, a condition, an escape, what is not shown, digits, else
    r'"([^"]{0,40})"|\[\$([^\]-]{0,10})[^\]]{0,20}\]|\[[^\]]{0,40}\]|\\(.)|[_*].'
    r"|([#0?,]*(?:\.[#0?]*)?[#0?,]*)|(.)",
    re.S,
)
_SIGNS = frozenset("$€£¥₽₩₹%+-() :元円")


class Form(NamedTuple):
    """What stands before and after the digits, and how many decimals there are at least."""

    before: str
    after: str
    decimals: int
    percent: bool


def formatted(value: float, code: str) -> str:
    """A number as its cell shows it; as it is where the format is of another kind, such as a date or a fraction."""
    form = _form(code) if code != "General" else None
    exact = float(f"{value:.12g}") if isinstance(value, float) else value
    if form is None:
        return shown(exact)
    exact = float(f"{value * 100:.12g}") if form.percent else exact
    text = shown(exact)
    whole, _, part = text.partition(".")
    if "e" not in text and len(part) < form.decimals:
        text = f"{whole}.{part:0<{form.decimals}}"
    return f"{form.before}{text}{form.after}".strip()


@lru_cache(maxsize=512)
def _form(code: str) -> Form | None:
    """The section for positive numbers; None for what is no plain number."""
    before, after, digits = "", "", ""
    for found in _TOKEN.finditer(code[:200].partition(";")[0]):
        literal, currency, escaped, number, other = found.groups()
        if number:
            if digits:
                return None
            digits = number
            continue
        said = literal or currency or escaped or other or ""
        if other and other not in _SIGNS:
            return None
        before, after = (before, after + said) if digits else (before + said, after)
    if not digits or digits.endswith(","):
        return None
    return Form(before, after, len(digits.partition(".")[2].replace("#", "").replace("?", "")), "%" in before + after)
