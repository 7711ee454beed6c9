"""Which of several options an answer chooses, read out of a sentence in English or Chinese."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from slipway.text.simplified import simplified
from slipway.text.words import answer_words, normalize_label

_LETTERS = "ABCDEFGH"
_ANSWER_IS = (
    r"(?:answer|choice|option|pick|choose|chose|select)(?:\s+(?:is|would be|should be))?|"
    "答案(?:应该|应)?(?:是|为|选)?|应?选择?(?:项)?"
)
_DENIED = re.compile(
    r"(?:\bnot|n't|\bneither|\bnor|\brather than|\binstead of|\bexcept|不是|并非|而不是|不选|排除|除了)\s*"
    "(?:the |option |choice |选项)?[\"'“‘(（]*$",
    re.IGNORECASE,
)
_GOES_ON = re.compile(r"\s+(?!(?:and|or|nor|is|are|was|but)\b)[a-z]")  # A is an article here
_DENIED_WORDS = re.compile(r"(?:\bnot|\w+nt|\bneither|\bnor|\brather than|\binstead of|\bexcept)(?: in| at| by)?$")
_DENIED_ENDS = ("不是", "并非", "而不是", "不选", "除了", "而非")


def chosen(text: str, options: Sequence[str] = ()) -> int | None:
    """The place of the option that `text` chooses; None for none, or for more than one.

    An option is named by its text or by its letter (A is the first); without `options` by a letter from A to H.
    """
    text, options = simplified(text), [simplified(option) for option in options]
    letters = _LETTERS if not options else "".join(chr(65 + n) for n in range(len(options)))
    whole = normalize_label(text)
    for place, option in enumerate(options):
        if whole == normalize_label(option):
            return place
    letter = _letter(text, letters)
    if letter is not None:
        return letter
    named = set(_named(text, options))
    return named.pop() if len(named) == 1 else None


def _letter(text: str, letters: str) -> int | None:
    """The letter that an answer begins with, says to be the answer, or is the only one to stand by itself."""
    one = f"[{letters}]"
    plain = unicodedata.normalize("NFKC", text).strip().lstrip("*_#>\"'“‘ ")
    bare = normalize_label(text).upper()
    if len(bare) == 1 and bare in letters:
        return letters.index(bare)
    match = re.match(rf"\(?({one})(?:[).:,、。*\]]+(?!\w)|[).:、](?=\w)|\s*$|\s*[-–—]\s)", plain)
    if match and not re.match(rf"\(?{one}\.[A-Za-z]\.", plain):  # A.D.
        return letters.index(match[1])
    said = re.findall(rf"(?:{_ANSWER_IS})\s*[:：]?\s*[\"'“‘(*\[]*({one})(?![\w'+#-])(?!\s+[a-z])", plain, re.IGNORECASE)
    said = [letter for letter in said if letter.isupper()]
    if said:
        return letters.index(said[-1])
    alone: set[str] = set()
    for match in re.finditer(rf"(?<![A-Za-z0-9.'&+/-])({one})(?![A-Za-z0-9'&+#/-])(?!\.[A-Za-z])", plain):
        article = match[1] in "AI" and _GOES_ON.match(plain[match.end() :]) is not None
        if not article and not _DENIED.search(plain[max(0, match.start() - 60) : match.start()]):
            alone.add(match[1])
    return letters.index(alone.pop()) if len(alone) == 1 else None


def _named(text: str, options: Sequence[str]) -> list[int]:
    """Places of the options whose words are in the text, undenied; of two that overlap the longer."""
    found = answer_words(text)
    taken: list[tuple[int, int]] = []
    places: list[int] = []
    for place, option in sorted(enumerate(options), key=lambda one: -len(answer_words(one[1]))):
        wanted = answer_words(option)
        for at in range(len(found) - len(wanted) + 1):
            end = at + len(wanted)
            if wanted and found[at:end] == wanted and not any(at < b and a < end for a, b in taken):
                taken.append((at, end))
                if not _denied(found[:at]):
                    places.append(place)
    return places


def _denied(before: Sequence[str]) -> bool:
    return bool(_DENIED_WORDS.search(" ".join(before[-3:]))) or "".join(before[-4:]).endswith(_DENIED_ENDS)
