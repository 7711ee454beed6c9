"""The language of every text a person sees. Owns the choice and the catalogs; does not know where text is shown.

A message is written in English in the code, `t("{n} documents dropped", n=3)`; `locale/zh.json` maps the English
text to Chinese. A missing entry falls back to English, and `tests/test_i18n.py` fails the build when one is missing.

What is stored must not depend on who ran the command: `say(...)` keeps a text untold until somebody reads it, and
`said_of(...)` finds what a message that `t` told had said. `told(...)` reads either.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec

from slipway.plurals import numbered

LANGUAGES = ("en", "zh")
_chosen: str | None = None
_spoken: ContextVar[str | None] = ContextVar("spoken", default=None)


def set_language(lang: str | None) -> None:
    """Choose `en` or `zh` for this process; None goes back to what the environment says."""
    global _chosen
    _chosen = lang if lang in LANGUAGES else None


def language() -> str:
    """The language in force: that of `speaking`, the chosen one, SLIPWAY_LANG, LC_ALL, LC_MESSAGES, LANG, English."""
    if spoken := _spoken.get():
        return spoken
    if _chosen:
        return _chosen
    for name in ("SLIPWAY_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name, "").lower()
        if value:
            return "zh" if value.startswith("zh") else "en"
    return "en"


@contextmanager
def speaking(lang: str) -> Generator[None]:
    """Use `lang` for what is done inside, by this task and those that it starts; others keep their language."""
    before = _spoken.set(lang)
    try:
        yield
    finally:
        _spoken.reset(before)


@cache
def catalog(lang: str) -> dict[str, str]:
    """English text -> text in `lang`; empty for English."""
    if lang == "en":
        return {}
    return json.loads(files("slipway").joinpath(f"locale/{lang}.json").read_text("utf-8"))


class Told(str):
    """A text in the language in force that still knows what was said: `said_of` gives it to a caller that stores it."""

    __slots__ = ("said",)
    said: Said


def t(text: str, /, **values: object) -> str:
    """`text` in the language in force, with `{name}` fields filled in. Never fails on a missing translation."""
    told = Told(_tell(text, values))
    told.said = Said(text, {name: _plain(value) for name, value in values.items()})
    return told


def _tell(text: str, values: Mapping[str, object]) -> str:
    shown = catalog(language()).get(text)
    if shown is None:
        shown = numbered(text, values)
    return shown.format(**values) if values else shown


def _plain(value: object) -> str | int | float | Said:
    """A value as it is stored. What a text or an error of ours says stays untold; else what JSON has, else its text."""
    said = value if isinstance(value, Said) else getattr(value, "said", None)
    if isinstance(said, Said):
        return said
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    return int(value) if isinstance(value, int) and -(2**53) < value < 2**53 else str(value)


class Said(msgspec.Struct, frozen=True, omit_defaults=True):
    """A text as it is stored: in no language but the code's, and told in the reader's by `str`."""

    text: str  # English, with {fields}
    values: dict[str, str | int | float | Said] = {}

    def __str__(self) -> str:
        return _tell(self.text, self.values)


def said_of(text: str) -> Said:
    """What a text says, in no language: of one that `t` told; any other (a library's own words) stays as it is."""
    return text.said if isinstance(text, Told) else Said(str(text))


def told(stored: str | Said | Sequence[Said]) -> str:
    """A stored text in the language in force. Older catalogs hold plain text: it is shown as it is."""
    return str(stored) if isinstance(stored, str | Said) else joined([str(said) for said in stored])


def joined(parts: Iterable[str], sign: Literal["；", "，", "、"] = "；") -> str:
    """Texts of ours one after the other, in one line. `sign`: what stands between them in Chinese."""
    return (sign if language() == "zh" else "; " if sign == "；" else ", ").join(parts)


def say(text: str, /, **values: str | float | Said) -> Said:
    """Like `t`, for a text that is stored before it is shown."""
    return Said(text, values)
