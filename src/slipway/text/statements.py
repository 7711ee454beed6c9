"""A text cut into statements: what can be quoted and understood alone. Pure; knows no question.

A sentence is a statement, and so is a line of a list, a table or code. A sentence that was wrapped over several lines
is one; one without an end is cut. Marks in front of a line (`- `, `1. `, `> `, `|`) are no part of a statement.

A term that is explained, an option or a bold line that stands alone says what the statements after it are about, as a
heading does: they have it as their `lead`. So does a question on a line of its own, and the row that names the columns
of a table. A record, lines of `name: value` and nothing else, is one statement.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from slipway.text.columns import Table, is_record, paired, tables
from slipway.text.words import NOTE, is_cjk, sentences, weigh

LONGEST = 600  # weighted characters of a statement, about; what is longer is cut at a comma or a space
CLAUSES = 400  # weighted characters of a sentence up to which its clauses stay together
LEAD = 80  # weighted characters of a line that says what follows is about, at most
WRAPPED = 50  # weighted characters of a line that goes on in the next one when it has no end mark
_MARKS = re.compile(r"(?:(?:[-*+•>|]|#{1,6}|\d{1,3}[.)])[ \t]+|\|)+")
_FENCE = re.compile(r"(?:```|~~~)")
_FENCES = re.compile(r"^ {0,3}(?:```|~~~)", re.M)
_NUMBER = re.compile(r"\d{1,3}[.)]")
_QUESTION = re.compile(r"[?？][\"'”’)\]」』）】*_`]*$")
_WORDS = 3  # from which on a line that goes on in a small letter is a sentence that was wrapped
_DEEPEST = 60  # characters of an indentation, at most
_ASKED = 160  # weighted characters of a question that says what follows is about, at most
_SENTENCE = re.compile(r"[^\n。！？…]{1,400}")
_NEAR = 12  # characters that are looked at before a line
_ALONE_BEFORE = re.compile(r"(?:\A|\n[ \t]*\n)(?:\*\*|__|`)?\Z")
_ALONE_AFTER = re.compile(r"(?:\*\*|__|`)?[ \t]*\n[ \t]*\n")
_NAMES = 3  # of one thing that are told
_ENDED = re.compile(rf"[.!?…:。！？；：|][\"'”’)\]」』）】]*{NOTE}$")
_CUTS = (",", ";", "，", "；", "、", " ")


class Statement(NamedTuple):
    """`text[start:end]` of the text number `at` of several. `leads`: it is the lead of others, and says no more.

    `said`: what a row or a record says in one line, with the names of its columns.
    """

    at: int
    start: int
    end: int
    text: str
    lead: str = ""
    leads: bool = False
    said: str = ""

    @property
    def told(self) -> str:
        """The statement after its lead: what it says when it stands alone."""
        if self.said or not self.lead:
            return self.said or self.text
        return f"{self.lead} {self.text}" if _QUESTION.search(self.lead) else f"{self.lead}: {self.text}"


def statements(texts: Sequence[str]) -> list[Statement]:
    """The statements of several texts, in order. Each stands in its text as it is, within one span."""
    return [one for at, text in enumerate(texts) for one in _of(at, text)]


def _of(at: int, text: str) -> Iterator[Statement]:
    whole = text.strip()
    if is_record(whole, LONGEST):
        start = text.index(whole)
        yield Statement(at, start, start + len(whole), whole, said=" | ".join(whole.split("\n")))
    else:
        yield from _in_tables(tables(text), list(_led(text, list(_plain(at, text)))))


def _in_tables(found: Sequence[Table], all_of: Sequence[Statement]) -> Iterator[Statement]:
    """Each row with the names of its columns as its lead."""
    starts = [table.start for table in found]
    for one in all_of:
        table = found[n - 1] if (n := bisect_right(starts, one.start)) else None
        if table is None or one.start >= table.end:
            yield one
        elif one.start < table.head:
            yield one._replace(lead="", leads=True)
        else:
            said = paired(table.columns, one.text)
            lead = ", ".join(filter(None, table.columns))
            yield one._replace(lead=lead, said=said if weigh(said) <= LONGEST else one.text)


def _plain(at: int, text: str) -> Iterator[Statement]:
    for whole in _joined(text):
        for start, end in _bounded(text, *whole):
            if any(char.isalnum() for char in text[start:end]):
                yield Statement(at, start, end, text[start:end])


def _led(text: str, found: list[Statement]) -> Iterator[Statement]:
    """Each with its lead. Leads that follow each other, as several names of one option do, are one."""
    fences = [fence.start() for fence in _FENCES.finditer(text)]
    lead: list[str] = []
    before = False
    for n, one in enumerate(found):
        last = n + 1 == len(found)
        code = bisect_right(fences, one.start) % 2 == 1
        if not last and not code and _introduces(text, one, found[n + 1]):
            name = one.text.strip("*_`")
            lead = [*lead, name] if before else [name]
            before = True
            yield one._replace(leads=True)
        else:
            before = False
            yield one._replace(lead=", ".join(lead[:_NAMES]))


def _introduces(text: str, one: Statement, following: Statement) -> bool:
    return (
        stands_alone(text, one.start, one.end)
        or _is_above_its_text(text, one.start, one.end)
        or _asks(text, one, following)
    )


def _is_above_its_text(text: str, start: int, end: int) -> bool:
    """Whether a short line has lines below it that are indented deeper, as an option of a manual page has."""
    line = text.rfind("\n", 0, start) + 1
    below = text[end + 1 : end + 1 + _DEEPEST] if text[end : end + 1] == "\n" else ""
    indent = len(below) - len(below.lstrip(" \t"))
    return (
        not text[line:start].strip()
        and start - line + 2 <= indent < len(below)
        and below[indent] != "\n"
        and (not below[indent].islower() or text[start] == "-" or len(text[start:end].split()) < _WORDS)
        and _is_short(text[start:end])
    )


def _asks(text: str, one: Statement, following: Statement) -> bool:
    """Whether a statement is a question on a line of its own, and the next line is none: what follows answers it."""
    if weigh(one.text) > _ASKED or not _QUESTION.search(one.text) or _QUESTION.search(following.text):
        return False
    before = text[text.rfind("\n", 0, one.start) + 1 : one.start]
    return not any(char.isalnum() for char in before + _rest(text, one.end))


def _rest(text: str, at: int) -> str:
    """What follows on the same line."""
    end = text.find("\n", at)
    return text[at:] if end < 0 else text[at:end]


def stands_alone(text: str, start: int, end: int) -> bool:
    """Whether a stretch is a paragraph of one short line without an end mark, which something follows."""
    return (
        _is_short(text[start:end])
        and _ALONE_BEFORE.search(text[max(0, start - _NEAR) : start]) is not None
        and _ALONE_AFTER.match(text, end) is not None
    )


def _is_short(line: str) -> bool:
    """Whether it is one line without an end mark that can say what others are about; "Dear all," speaks to somebody."""
    return weigh(line) <= LEAD and "\n" not in line and not _ENDED.search(line) and line.rstrip("*_`")[-1:] not in _CUTS


def shown(text: str) -> str:
    """A statement in one line: no space where a line was wrapped between two CJK characters, else one."""
    pieces = [piece for line in text.splitlines() if (piece := " ".join(line.split()))]
    return "".join(
        piece if not n or (is_cjk(piece[0]) and is_cjk(pieces[n - 1][-1])) else f" {piece}"
        for n, piece in enumerate(pieces)
    )


def _joined(text: str) -> Iterator[tuple[int, int]]:
    """Spans of sentences, those wrapped over lines in one piece, without marks at their ends."""
    held: tuple[int, int] | None = None
    fenced = False
    for start, end in sentences(text):
        begins = not text[text.rfind("\n", 0, start) + 1 : start].strip()
        if begins and _NUMBER.fullmatch(text, start, end) and _rest(text, end).strip():
            continue  # the number of an item whose text begins as a sentence does
        if begins and _FENCE.match(text, start):
            fenced = not fenced
            continue
        mark = _MARKS.match(text, start, end) if begins and not fenced else None
        if held and not begins and not fenced and _counts_up(text, *held, start):
            held = (held[0], end)
            continue
        if held and begins and not mark and not fenced and _goes_on(text, *held, start):
            held = (held[0], end)
            continue
        if held:
            yield held
        start = mark.end() if mark else start
        held = (start, start + len(text[start:end].rstrip("| \t") if mark else text[start:end]))
    if held:
        yield held


def _counts_up(text: str, start: int, end: int, following: int) -> bool:
    """Whether a clause that ends with a semicolon is one of three or more of a sentence, which have one subject."""
    if text[end - 1] != "；" or "\n" in text[end:following]:
        return False
    whole = _SENTENCE.match(text, start)
    return whole is not None and whole[0].count("；") > 1 and weigh(whole[0]) <= CLAUSES


def _goes_on(text: str, start: int, end: int, following: int) -> bool:
    """Whether a line that ends here was wrapped: long, without an end mark, and followed by the next line at once."""
    line = text[max(start, text.rfind("\n", start, end) + 1) : end]
    return (
        text[end:following].count("\n") == 1
        and weigh(text[text.rfind("\n", 0, end) + 1 : end]) >= WRAPPED
        and not _ENDED.search(line)
        and (text[following].isalnum() or text[following] in "\"'“‘(（「《")
    )


def _bounded(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The span in pieces of LONGEST at most."""
    most = int(LONGEST * (end - start) / (weigh(text[start:end]) or 1.0)) or 1
    while end - start > most:
        at = max(text.rfind(cut, start + most // 2, start + most) for cut in _CUTS) + 1 or start + most
        yield start, start + len(text[start:at].rstrip())
        start = at + len(text[at:end]) - len(text[at:end].lstrip())
    if start < end:
        yield start, end
