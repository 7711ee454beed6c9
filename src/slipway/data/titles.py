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
_MARK = re.compile(
    r" (?:[|·•»]|[-–—]{1,3}|::) | ?｜ ?|(?<=[^\x00-\x7f])[_|](?=[^\x00-\x7f])"
)  # between the title of a page and the name of its site
_NUMBER = re.compile(r"^(?:\d+\.)*\d*[.)]?\s*")
_JUNK = re.compile(  # what programs write into a file nobody gave a title
    r"(?:about:|https?://|file://).*|(?:untitled|无标题|未命名|無標題)[\s\d-]*|microsoft (?:word|excel|powerpoint) -.*"
    r"|\S.*\.(?:docx?|pdf|xlsx?|pptx?|indd|rtf|odt|tex|dvi|html?)",
    re.I,
)
_FEW = 3  # so many documents may share a title, or its end, whatever their part of all is


def added(titles: Mapping[str, str]) -> dict[str, str]:
    """Titles by document, as passages show them: without the name of the site, and only those that say something."""
    flat = {name: " ".join(title.split()) for name, title in titles.items()}
    flat = {name: "" if _JUNK.fullmatch(title) else title for name, title in flat.items()}
    parted = {name: _parted(title) for name, title in flat.items()}
    sites = _of_most(end for _, end in parted.values())
    short = {name: parted[name][0] if parted[name][1] in sites else title for name, title in flat.items()}
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


def _parted(title: str) -> tuple[str, str]:
    """(title, what stands behind its last mark, or nothing): "Locks" and "SQLite" of "Locks | SQLite"."""
    marks = list(_MARK.finditer(title))
    return (title[: marks[-1].start()].strip(), title[marks[-1].end() :].strip()) if marks else (title, "")


def _of_most(texts: Iterable[str]) -> set[str]:
    """Those that more than half of them are, and more than a few."""
    counts = Counter(texts)
    whole = sum(counts.values())
    return {text for text, count in counts.items() if text and count > _FEW and count * 2 > whole}
