"""Simplified Chinese texts of the tests in traditional characters, one for one, by OpenCC's table."""

from __future__ import annotations

from functools import cache

from slipway.text.simplified import characters


def traditional(text: str) -> str:
    """`text` with traditional characters; where there are several, the first that the table names."""
    return text.translate(_table())


@cache
def _table() -> dict[int, str]:
    return {ord(one): form for one, form in characters("STCharacters.txt").items()}
