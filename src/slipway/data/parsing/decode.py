"""From bytes to text, whatever the encoding. Knows nothing of formats or of what the text means.

Order: byte order mark, UTF-8, what the file itself declares, UTF-16 without a mark, then the best of the old
encodings of Chinese, Japanese, Korean and Western Europe by how ordinary the resulting characters are.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable

from slipway.data.reasons import Refused

_MARKS = [
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
]
_DECLARED = re.compile(
    rb"""(?:<meta[^>]{0,200}?charset|<\?xml[^>]{0,100}?encoding)\s*=\s*["']?\s*([A-Za-z0-9_.:-]{2,40})""", re.I
)
_SAMPLE = 65536  # characters judged
_STRUCK = re.compile("[^\n\x08]\x08")
_COLOUR = re.compile("\x1b\\[[0-9;:]{0,40}m")
_ODD = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\ufffd]")


def decode(data: bytes) -> tuple[str, str]:
    """The text, and what had to be done to get it (empty for clean UTF-8, with or without a mark).

    Raises Refused (`binary`) when no reading of the bytes looks like text.
    """
    text, note = _decode(data)
    text = _unstyled(text)
    sample = text[:_SAMPLE]
    if sample and len(_ODD.findall(sample)) > 0.05 * len(sample):
        raise Refused("binary", "more than 5% of the characters are control characters or undecodable")
    return text, note


def _unstyled(text: str) -> str:
    """Without what a terminal or a printer made bold and coloured: overstrikes (as `man` writes) and ECMA-48's SGR."""
    if "\x08" in text:
        text = _STRUCK.sub("", text)
    return _COLOUR.sub("", text) if "\x1b[" in text else text


def _decode(data: bytes) -> tuple[str, str]:
    for mark, name in _MARKS:
        if data.startswith(mark):
            text = data[len(mark) :].decode(name, "replace")
            note = "" if name == "utf-8" else f"decoded from {name.upper()}"
            return text, _with_losses(text, note)
    text = _strict(data, "utf-8")
    if text is not None and "\x00" not in text[:_SAMPLE]:
        return text, ""
    text = _declared(data)
    if text is not None:
        return text
    wide = _wide(data)
    if wide:
        text = data.decode(wide, "replace")
        return text, _with_losses(text, f"decoded from {wide.upper()}")
    repaired = _mostly_utf8(data)
    return repaired if repaired is not None else _old(data)


def _strict(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return None


def _with_losses(text: str, note: str) -> str:
    lost = text.count("\ufffd")
    return "; ".join(part for part in (note, f"{lost} undecodable bytes replaced" if lost else "") if part)


def _declared(data: bytes) -> tuple[str, str] | None:
    found = _DECLARED.search(data[:4096])
    if not found:
        return None
    name = found[1].decode("ascii").lower()
    name = {"gb2312": "gb18030", "gbk": "gb18030", "iso-8859-1": "cp1252", "shift_jis": "cp932"}.get(name, name)
    if name in ("utf-8", "utf8") or name.startswith(("utf-16", "utf-32")):
        return None
    text = _strict(data, name)
    return None if text is None else (text, f"decoded from {name.upper()}, as declared")


def _wide(data: bytes) -> str | None:
    """UTF-16 without a mark: every other byte of Western text, and of its digits and spaces, is zero."""
    sample = data[:4096]
    if len(sample) < 4 or b"\x00" not in sample:
        return None
    even, odd = sample[0::2].count(0) / len(sample[0::2]), sample[1::2].count(0) / max(1, len(sample[1::2]))
    if odd > 0.3 and even < 0.05:
        return "utf-16-le"
    if even > 0.3 and odd < 0.05:
        return "utf-16-be"
    return None


def _mostly_utf8(data: bytes) -> tuple[str, str] | None:
    """UTF-8 with a few broken bytes: those are replaced. At most one in ten of the non-ASCII characters, or three."""
    text = data.decode("utf-8", "replace")
    lost = text.count("\ufffd")
    other = len(re.findall(r"[^\x00-\x7f]", text))
    if lost <= 0.1 * other or (lost <= 3 and other - lost > lost):
        return text, f"{lost} undecodable bytes replaced"
    return None


def _common(encoding: str, first: int, last: int) -> Callable[[str], bool]:
    """Whether a character lies in the rows of the frequent characters of a double-byte encoding."""

    def ordinary(char: str) -> bool:
        try:
            code = char.encode(encoding)
        except UnicodeEncodeError:
            return False
        return len(code) == 2 and first <= code[0] <= last

    return ordinary


def _between(*ranges: tuple[int, int]) -> Callable[[str], bool]:
    return lambda char: any(low <= ord(char) <= high for low, high in ranges)


_PUNCTUATION = _between((0x3000, 0x3020), (0xFF00, 0xFF5E), (0x2010, 0x2026))
# Encoding -> what its ordinary characters are: the level-1 characters of GB 2312 and Big5, kana, hangul, Latin letters.
_OLD: list[tuple[str, Callable[[str], bool]]] = [
    ("euc_kr", _between((0xAC00, 0xD7A3))),
    ("gb18030", _common("gb2312", 0xB0, 0xD7)),
    ("big5", _common("big5", 0xA4, 0xC6)),
    ("cp932", _between((0x3041, 0x30FF), (0x4E00, 0x9FFF))),
    ("euc_jp", _between((0x3041, 0x30FF), (0x4E00, 0x9FFF))),
]


def _old(data: bytes) -> tuple[str, str]:
    best, score = "", 0.75  # below this share of ordinary characters no double-byte reading is believed
    for encoding, ordinary in _OLD:
        text = _strict(data, encoding)
        if text is None:
            continue
        foreign = [char for char in text[:_SAMPLE] if ord(char) > 0x7F and not _PUNCTUATION(char)]
        share = sum(map(ordinary, foreign)) / len(foreign) if foreign else 0.0
        if encoding in ("cp932", "euc_jp") and not any(0x3041 <= ord(char) <= 0x30FF for char in foreign):
            continue
        if share > score + 0.02:
            best, score = encoding, share
    if best:
        return data.decode(best), f"decoded from {best.upper()}"
    text = data.decode("cp1252", "replace")
    return text, _with_losses(text, "decoded from WINDOWS-1252")
