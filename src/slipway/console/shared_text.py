"""Which parts of a passage an answer took over: what is set off where both are shown."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

LEAST = 4  # words in a row; of a script without spaces, characters
LONGEST = 1_500  # words of either that are compared: the time grows with the square of it
_WORD = re.compile(r"[\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff]|[^\W_]+")


def taken_over(passage: str, answer: str) -> list[tuple[int, int]]:
    """Spans of the passage that stand in the answer too, `LEAST` words or more in a row; case does not count."""
    here, there = (list(_WORD.finditer(text[: LONGEST * 10]))[:LONGEST] for text in (passage, answer))
    words = ([found[0].casefold() for found in side] for side in (here, there))
    blocks = SequenceMatcher(None, *words, autojunk=False).get_matching_blocks()
    return [(here[one.a].start(), here[one.a + one.size - 1].end()) for one in blocks if one.size >= LEAST]


def markers(answer: str, passages: int) -> list[tuple[int, int]]:
    """Spans of the answer that name one of so many passages, such as `[2]`."""
    found = re.finditer(r"[\[【［](\d{1,3})[\]】］]", answer)
    return [one.span() for one in found if 1 <= int(one[1]) <= passages]
