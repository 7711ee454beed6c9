"""What the title of a document adds to the headings that a passage stands under.

A passage under "Description" or "Parameters" says nothing of what is described: many pages write that in their title
only. Where the headings say it, the title adds nothing, and neither does a name that most pages of a site share.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from slipway.text.words import normalize_label, weigh

LONGEST = 120  # weighted characters; a longer title is a text, and would take the place of one
_SITE = re.compile(r"(?s)(.+?)\s+(?:[|·•»]|[-–—]+|::)\s+((?:(?!\s[|·•»]\s).)+)$")
_NUMBER = re.compile(r"^(?:\d+\.)*\d*[.)]?\s*")
_FEW = 3  # so many documents may share a title, or its end, whatever their part of all is


def added(titles: Mapping[str, str]) -> dict[str, str]:
    """Titles by document, as passages show them: without the name of the site, and only those that say something."""
    shared = _of_most(_end(title) for title in titles.values())
    short = {name: _without(title, shared) for name, title in titles.items()}
    common = _of_most(short.values())
    return {name: title for name, title in short.items() if title and title not in common and weigh(title) <= LONGEST}


def under(title: str, path: tuple[str, ...]) -> tuple[str, ...]:
    """The headings after the title; without it where the first heading says it, or most of it."""
    if not title or (path and _says(_plain(path[0]), _plain(title))):
        return path
    return (title, *path)


def _says(heading: str, title: str) -> bool:
    return title in heading or (heading in title and 2 * len(heading) >= len(title))


def _plain(text: str) -> str:
    """Without a number in front, to compare: "3.1. Locks" is "Locks"."""
    return normalize_label(_NUMBER.sub("", text)) or normalize_label(text)


def _end(title: str) -> str:
    """What a site writes behind the titles of its pages, or nothing: "SQLite" of "Locks | SQLite"."""
    found = _SITE.match(title)
    return found[2] if found else ""


def _without(title: str, ends: set[str]) -> str:
    end = _end(title)
    return title[: -len(end)].rstrip(" |·•»-–—:") if end and end in ends else title


def _of_most(texts: Iterable[str]) -> set[str]:
    """Those that more than half of them are, and more than a few."""
    counts = Counter(texts)
    whole = sum(counts.values())
    return {text for text, count in counts.items() if text and count > _FEW and count * 2 > whole}
