"""The answer inside what a model said, by the candidate's regular expression; in bounded time: the text is not ours.

The pattern is run by `regex`, which has the syntax of Python's `re` and can be stopped; `re` cannot.
"""

from __future__ import annotations

import math
import re
import time
from functools import lru_cache
from typing import Any

from slipway.errors import ConfigError, EngineError
from slipway.i18n import t

SECONDS = 0.2  # for one text; an ordinary pattern takes a thousandth of it
_LONGEST = 1000  # characters of a pattern
_REPEATS = 10_000  # all counted repetitions multiplied: each is written out when a pattern is compiled
_COUNTED = re.compile(r"\{\s*(\d*)\s*,?\s*(\d*)\s*\}")


def check_pattern(pattern: str, where: str) -> str:
    """The pattern; raises ConfigError when it is no regular expression, or too large. `where` is its key."""
    try:
        _compiled(pattern)
    except ValueError as error:
        raise ConfigError(
            t("{where} is no regular expression: {why}", where=where, why=error), t("for example 'Answer: (.*)'")
        ) from error
    return pattern


def extract(said: str, pattern: str) -> str:
    """The last match's first group (chain of thought ends with the answer); the whole text when none matches.

    Raises EngineError when finding out takes too long on this text.
    """
    if not pattern:
        return said.strip()
    last: Any = None
    end = time.monotonic() + SECONDS
    try:
        for found in _compiled(pattern).finditer(said, timeout=SECONDS):
            last = found
            if time.monotonic() > end:
                raise TimeoutError
    except (TimeoutError, MemoryError) as error:
        raise EngineError(
            t("answer_pattern takes more than {n:g} s on this answer", n=SECONDS),
            t("make it simpler: no repetition inside a repetition"),
            status=500,
        ) from error
    if last is None:
        return said.strip()
    return ((last[1] if last.re.groups else last[0]) or "").strip()


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> Any:
    import regex

    if len(pattern) > _LONGEST:
        raise ValueError(t("it has {n} characters; {most} are the most", n=len(pattern), most=_LONGEST))
    counts = [[int(n) if len(n) < 9 else _REPEATS + 1 for n in found if n] for found in _COUNTED.findall(pattern)]
    if math.prod(max(1, *c) for c in counts if c) > _REPEATS:
        raise ValueError(t("its repetitions are more than {n} when written out", n=_REPEATS))
    try:
        return regex.compile(pattern, regex.MULTILINE)
    except (regex.error, RecursionError, OverflowError, MemoryError) as error:
        raise ValueError(str(error)) from error
