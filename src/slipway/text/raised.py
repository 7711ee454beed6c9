"""Raised digits as the characters that Unicode has for them: as plain text, ten to the sixth would be 106."""

from __future__ import annotations

_RAISED = {
    **dict(zip("0123456789+()", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁽⁾", strict=True)),
    **dict.fromkeys("-\u2010\u2011\u2012\u2013\u2212", "⁻"),  # a hyphen is what most people type for a minus
}
_LONGEST = 12  # characters of an exponent or the number of a note


def raised(text: str) -> str:
    """A superscript as it shows where it is a number; any other, such as the `st` of 1st, as it is."""
    shown = text.strip()
    if not any(map(str.isdecimal, shown)) or len(shown) > _LONGEST or not set(shown) <= set(_RAISED):
        return text
    return "".join(_RAISED[character] for character in shown)
