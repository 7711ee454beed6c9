"""English texts with a number in them: one example, two examples. Knows no catalog and no other language.

A text is written in the plural, `{n} new examples are left`; with 1 it is told in the singular. Which words count
things is a list, so that nothing else ending in an s is changed; `tools/catalog.py --check` finds what is in no list.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

_NOUNS = (
    "addresses answers blobs bytes candidates characters choices connections cores covariates days digits "
    "dimensions documents drafts entries examples files folds groups hours inputs instructions items labels "
    "levels links looks models neurons numbers operations packages pages pairs parts passages people prompts "
    "queries questions recipes references reports requests rows rules sessions spans steps strings tasks texts "
    "things thumbs times tokens tools traces trainings turns units vectors versions wheels words"
)
NOUNS = frozenset(_NOUNS.split())
"""What is counted."""
# what may stand between the number and the word
_BETWEEN = (
    "candidate cached different earlier fixed gate given independent labelled likelier more nearest new stop "
    "undecided untouched"
)
_VERBS = {"are": "is", "were": "was", "have": "has", "do": "does", "differ": "differs", "wait": "waits",
          "lead": "leads", "come": "comes", "lack": "lacks", "make": "makes", "need": "needs"}  # fmt: skip
_IRREGULAR = {"addresses": "address", "entries": "entry", "people": "person", "queries": "query"}
_REMOTE = r"(?: (?!whose\b|than\b|until\b|they\b|but\b|where\b)[^\s,;:.()]+){0,5}?"
COUNTED = re.compile(
    r"(?P<there>\bthere are )?(?:\{(?P<part>\w+)(?::[^{}]*)?\} of )?\{(?P<field>\w+)(?::[^{}]*)?\}"
    rf"(?: (?:{_BETWEEN.replace(' ', '|')}))* (?P<noun>[a-z]+s|people)\b"
    rf"(?={_REMOTE} (?P<verb>{'|'.join(_VERBS)})\b)?"
)
"""A field and the word that it counts, with the verb that goes with it; in `{part} of {field} words` it goes with the
part.
"""


def numbered(text: str, values: Mapping[str, object]) -> str:
    """A text with its {fields} still in it, in the singular where a value is 1."""
    for start, end, field, one in _places(text):
        if _is_one(values.get(field)):
            text = text[:start] + one + text[end:]
    return text


def singular(noun: str) -> str:
    """Of a word in NOUNS."""
    return _IRREGULAR.get(noun) or noun[:-1]


@cache
def _places(text: str) -> list[tuple[int, int, str, str]]:
    """(where it begins and ends, the field, what stands there for one), the last first."""
    found: list[tuple[int, int, str, str]] = []
    for match in COUNTED.finditer(text):
        if match["noun"] in NOUNS:
            if match["there"]:
                found.append((*match.span("there"), match["part"] or match["field"], "there is "))
            found.append((*match.span("noun"), match["field"], singular(match["noun"])))
            if match["verb"]:
                found.append((*match.span("verb"), match["part"] or match["field"], _VERBS[match["verb"]]))
    return sorted(found, reverse=True)


def _is_one(value: object) -> bool:
    if isinstance(value, str):
        return value == "1"
    return isinstance(value, int | float) and not isinstance(value, bool) and value == 1
