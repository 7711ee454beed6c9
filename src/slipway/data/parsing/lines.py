"""Lines of a page as one paragraph: words cut at line ends are whole again, CJK lines join without a space."""

from __future__ import annotations

import re

_CJK = re.compile("[\u2e80-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff00-\uffef]")
_CUT_WORD = re.compile(r"(?<=[^\W\d_])-$")


def joined(before: str, after: str) -> str:
    """Two lines of one paragraph as one."""
    if _CUT_WORD.search(before[-2:]) and after[:1].islower():
        return before[:-1] + after
    glue = "" if _CJK.match(before[-1:]) and _CJK.match(after[:1]) else " "
    return f"{before}{glue}{after}"
