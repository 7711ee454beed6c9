"""The language of every text a person sees. Owns the choice and the catalogs; does not know where text is shown.

A message is written in English in the code, `t("{n} documents dropped", n=3)`; `locale/zh.json` maps the English
text to Chinese. A missing entry falls back to English, and `tests/test_i18n.py` fails the build when one is missing.
"""

from __future__ import annotations

import json
import os
from functools import cache
from importlib.resources import files

LANGUAGES = ("en", "zh")
_chosen: str | None = None


def set_language(lang: str | None) -> None:
    """Choose `en` or `zh` for this process; None goes back to what the environment says."""
    global _chosen
    _chosen = lang if lang in LANGUAGES else None


def language() -> str:
    """The language in force: the chosen one, else SLIPWAY_LANG, LC_ALL, LC_MESSAGES, LANG, else English."""
    if _chosen:
        return _chosen
    for name in ("SLIPWAY_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name, "").lower()
        if value:
            return "zh" if value.startswith("zh") else "en"
    return "en"


@cache
def catalog(lang: str) -> dict[str, str]:
    """English text -> text in `lang`; empty for English."""
    if lang == "en":
        return {}
    return json.loads(files("slipway").joinpath(f"locale/{lang}.json").read_text("utf-8"))


def t(text: str, /, **values: object) -> str:
    """`text` in the language in force, with `{name}` fields filled in. Never fails on a missing translation."""
    shown = catalog(language()).get(text, text)
    return shown.format(**values) if values else shown
