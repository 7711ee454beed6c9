"""Where a stretch of text may be cut: paragraphs, lines, sentences, words, in this order of preference.

Works on character spans of one text and gives spans back; nothing is copied or changed. Sizes are weighted: a CJK
character counts as 2.5, since it carries about that much. Code fences and table rows are not cut if it can be helped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from slipway.text.statements import stands_alone
from slipway.text.words import CJK_WEIGHT, SENTENCE_END, WIDE, weigh

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})", re.M)
_ROW = re.compile(r"[ \t]*\|.*\|[ \t]*$")
_CLAUSE = re.compile(r"[,;:—][ \t]+|[，、：]")
_SPACE = re.compile(r"\s+")

Span = tuple[int, int]


def cut(text: str, span: Span, most: float) -> list[Span]:
    """The span in pieces of at most `most` weighted characters, about equally long, trimmed of white space.

    Pieces end between paragraphs where that is possible, else between lines, sentences, clauses, words, characters.
    """
    start, end = _trim(text, *span)
    if start >= end:
        return []
    whole = weigh(text[start:end])
    if whole <= most:
        return [(start, end)]
    return _pack(text, list(_led(text, _units(text, start, end, most), most)), most, whole)


def before(text: str, start: int, least: int, overlap: float) -> int:
    """Where an overlap of at most `overlap` weighted characters before `start` begins: at a sentence or a word.

    Never before `least`.
    """
    if overlap <= 0 or start <= least:
        return start
    at = start
    weight = 0.0
    while at > least and weight < overlap:
        weight += CJK_WEIGHT if WIDE.match(text[at - 1]) else 1.0
        at -= 1
    window = text[at:start]
    for pattern in (SENTENCE_END, _SPACE):
        found = pattern.search(window)
        if found and found.end() < len(window.rstrip()):
            return at + found.end()
    return at if at == least or WIDE.match(text[at]) else start


def _trim(text: str, start: int, end: int) -> Span:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def _units(text: str, start: int, end: int, most: float) -> Iterator[Span]:
    """Pieces that are not cut again: paragraphs and code blocks that fit, and the parts of those that do not."""
    for block, atomic in _blocks(text, start, end):
        if weigh(text[block[0] : block[1]]) <= most:
            yield block
        else:
            yield from _smaller(text, block, most, 0 if not atomic else -1)


def _led(text: str, units: Iterator[Span], most: float) -> Iterator[Span]:
    """Each unit with the lines before it that say what it is about, such as the term that it explains, if both fit."""
    held: Span | None = None
    for unit in units:
        joined = (held[0], unit[1]) if held else unit
        if held and weigh(text[slice(*joined)]) > most:
            yield held
            joined = unit
        held = joined if stands_alone(text, *_trim(text, *unit)) else None
        if held is None:
            yield joined
    if held:
        yield held


def _blocks(text: str, start: int, end: int) -> Iterator[tuple[Span, bool]]:
    """(span, whether it is a code block or a table) between blank lines; a fence holds its blank lines."""
    at = start
    while at < end:
        fence = _FENCE.match(text, at, end)
        stop = _fence_end(text, fence, end) if fence else _paragraph_end(text, at, end)
        span = _trim(text, at, stop)
        if span[0] < span[1]:
            table = all(_ROW.match(line) for line in text[span[0] : span[1]].split("\n"))
            yield (at if fence else span[0], span[1]), fence is not None or table
        at = max(stop, at + 1)


def _paragraph_end(text: str, at: int, end: int) -> int:
    blank = re.compile(r"\n[ \t]*\n").search(text, at, end)
    stop = blank.end() if blank else end
    newline = text.find("\n", at, stop)
    fence = _FENCE.search(text, newline + 1, stop) if newline >= 0 else None
    return fence.start() if fence else stop


def _fence_end(text: str, fence: re.Match[str], end: int) -> int:
    closing = re.compile(rf"^ {{0,3}}{re.escape(fence[1])}{fence[1][0]}*[ \t]*$", re.M)
    line = text.find("\n", fence.end(), end)
    found = closing.search(text, line + 1, end) if line >= 0 else None
    return found.end() if found else end


_Cutter = Callable[[str, int, int], Iterator[int]]


def _after(pattern: re.Pattern[str]) -> _Cutter:
    return lambda text, start, end: (found.end() for found in pattern.finditer(text, start, end))


_LEVELS: list[_Cutter] = [_after(re.compile(r"\n")), _after(SENTENCE_END), _after(_CLAUSE), _after(_SPACE)]


def _smaller(text: str, span: Span, most: float, level: int) -> Iterator[Span]:
    """A block that is too long, cut at lines, then sentences, clauses, words, and at last anywhere.

    A level of -1 is code or a table: lines, then words.
    """
    cutters = [_LEVELS[0], _LEVELS[3]] if level < 0 else _LEVELS
    yield from _descend(text, span, most, cutters)


def _descend(text: str, span: Span, most: float, cutters: list[_Cutter]) -> Iterator[Span]:
    start, end = span
    if weigh(text[start:end]) <= most:
        yield span
        return
    if not cutters:
        step = max(1, int(most / (CJK_WEIGHT if WIDE.search(text, start, end) else 1)))
        yield from ((at, min(at + step, end)) for at in range(start, end, step))
        return
    at = start
    for stop in [*cutters[0](text, start, end), end]:
        if stop > at:
            yield from _descend(text, (at, stop), most, cutters[1:])
            at = stop


def _pack(text: str, units: list[Span], most: float, whole: float) -> list[Span]:
    """Neighbouring units joined while they fit, aiming at equal pieces so that no small rest is left."""
    aim = whole / -(-whole // most)
    pieces: list[Span] = []
    start, end = units[0]
    weight = weigh(text[start:end])
    for unit in units[1:]:
        more = weigh(text[end : unit[1]])
        if weight + more > most or (weight >= aim and weight + more - aim > aim - weight):
            pieces.append((start, end))
            start, end, weight = *unit, weigh(text[unit[0] : unit[1]])
        else:
            end, weight = unit[1], weight + more
    pieces.append((start, end))
    return [span for span in (_trim(text, *piece) for piece in pieces) if span[0] < span[1]]
