"""Drafts in the script of their document: rules read simplified Chinese, people read what they write."""

from __future__ import annotations

from bisect import bisect_left
from functools import cache

import msgspec

from slipway.core.material import Document
from slipway.text.simplified import characters, simplified


class AsWritten:
    """Puts texts made from `simplified(text)` back into the script of `text`.

    Whatever stands in the text is taken from there, the longest parts first. What a rule added is in the script that
    most of the text is in, by OpenCC's tables; where a character has several forms, the one that the text uses.
    """

    def __init__(self, text: str) -> None:
        self._text, self._plain = text, simplified(text)
        self._same = self._plain == text
        traditional = sum(one != other for one, other in zip(text, self._plain, strict=True))
        self._table = _traditional() if traditional > sum(ord(one) in _traditional() for one in text) else {}

    def __call__(self, made: str) -> str:
        """`made`, as it would be written; of the same length."""
        if self._same:
            return made
        parts, at = list[str](), 0
        while at < len(made):
            length = bisect_left(range(1, len(made) - at + 1), True, key=lambda n: made[at : at + n] not in self._plain)
            if length:
                start = self._plain.index(made[at : at + length])
                parts.append(self._text[start : start + length])
            else:
                parts.append(made[at].translate(self._table))
            at += max(length, 1)
        return "".join(parts)


def plain(document: Document) -> Document:
    """A document in simplified characters, at the same places."""
    sections = tuple(
        msgspec.structs.replace(one, path=tuple(simplified(step) for step in one.path)) for one in document.sections
    )
    return msgspec.structs.replace(
        document, text=simplified(document.text), title=simplified(document.title), sections=sections
    )


@cache
def _traditional() -> dict[int, str]:
    """Characters that are simplified only -> the traditional one, as it is written in Taiwan and Hong Kong."""
    variants = characters("TWVariants.txt")
    made = {one: variants.get(form, form) for one, form in characters("STCharacters.txt").items()}
    return {ord(one): form for one, form in made.items() if form != one and simplified(form) == one}
