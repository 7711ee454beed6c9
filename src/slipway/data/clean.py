"""One text made clean: encoding damage, Unicode form, control and invisible characters, leftover tags, white space.

Counts what it changes. Works on pieces (blocks, questions), so that spans are counted after cleaning, never moved.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections import Counter

from slipway.text.raised import raised

# C0 without tab and newline, C1, lone surrogates, private-use signs of broken fonts are left; non-characters go.
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
# Soft hyphen, zero width, direction marks and overrides (CVE-2021-42574), tag characters (text no one sees).
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff"
    "\U000e0000-\U000e0fff]|(?<=[\x00-\u024f\u2e80-\u9fff])[\u200c\u200d](?=[\x00-\u024f\u2e80-\u9fff])"
)
_LINE_BREAKS = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_SPACES = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_TAG_NAMES = (
    "a|abbr|article|aside|audio|b|big|blockquote|body|br|button|center|cite|code|col|colgroup|dd|del|details|div|dl|"
    "dt|em|embed|figcaption|figure|font|footer|form|h[1-6]|head|header|hr|html|i|iframe|img|input|ins|kbd|label|li|"
    "link|main|mark|meta|nav|nobr|noscript|o:p|ol|p|param|picture|pre|q|s|samp|script|section|small|source|span|"
    "strike|strong|style|sub|summary|sup|svg|table|tbody|td|tfoot|th|thead|title|tr|tt|u|ul|var|video|wbr"
)
_TAG = re.compile(rf"</?(?:{_TAG_NAMES})(?:\s[^<>]{{0,2000}})?/?>|<!doctype[^<>]{{0,200}}>", re.I)
_SUP = re.compile(r"<sup>([^<>]{1,20})</sup>", re.I)
_BREAKING = re.compile(r"</?(?:br|p|div|li|tr|h[1-6]|table|ul|ol|hr)\b", re.I)
_HIDDEN = re.compile(r"<!--|<(script|style)\b[^<>]{0,2000}>", re.I)
_HIDDEN_END = {  # and how many characters may be hidden at most
    "": (re.compile("-->"), 20_000),
    "script": (re.compile(r"</script\s{0,9}>", re.I), 200_000),
    "style": (re.compile(r"</style\s{0,9}>", re.I), 200_000),
}
_ENTITY = re.compile(r"&(?:[A-Za-z][A-Za-z0-9]{1,31}|#\d{1,7}|#[xX][0-9A-Fa-f]{1,6});")
_INLINE_CODE = re.compile(r"(?<!`)(`++)(.+?)(?<!`)\1(?!`)", re.S)
_DATA_URI = re.compile(r"!?\[([^\]\n]{0,300})\]\(data:[^()\[\]\s]*\)")

Counts = Counter[str]


def clean_text(text: str, counts: Counts, *, tags: bool = False, verbatim: bool = False) -> str:
    """`text` made clean; `counts` takes reason -> how many. `verbatim` (code) keeps spaces and tags as they are."""
    text = _LINE_BREAKS.sub("\n", text)
    if tags and not verbatim and ("<" in text or "&" in text):
        text = _without_tags(text, counts)
    if not text.isascii():
        text = _unicode(text, counts)
    text = _counted(_CONTROL, "", text, counts, "control-characters")
    if verbatim:
        return text.strip("\n")
    text = re.sub(r"(?<![ \t])[ \t]++(?=\n|$)", "", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def _unicode(text: str, counts: Counts) -> str:
    from ftfy import fix_encoding

    fixed = fix_encoding(text)
    if fixed != text:
        counts["mojibake"] += 1
    text = _counted(_INVISIBLE, "", fixed, counts, "invisible-characters")
    text = _SPACES.sub(" ", text)
    if not unicodedata.is_normalized("NFC", text):
        counts["not-nfc"] += 1
        text = unicodedata.normalize("NFC", text)
    return text


def _counted(pattern: re.Pattern[str], by: str, text: str, counts: Counts, reason: str) -> str:
    text, n = pattern.subn(by, text)
    if n:
        counts[reason] += n
    return text


def _without_tags(text: str, counts: Counts) -> str:
    """Remove known HTML tags and resolve entities, but not within `inline code`."""
    kept: list[str] = []
    at = 0
    for code in _INLINE_CODE.finditer(text):
        kept += [_stripped(text[at : code.start()], counts), code[0]]
        at = code.end()
    kept.append(_stripped(text[at:], counts))
    return "".join(kept)


def _stripped(text: str, counts: Counts) -> str:
    text, found = _without_hidden(text)
    text = _counted(_DATA_URI, r"\1", text, counts, "tags")

    def gone(tag: re.Match[str]) -> str:
        nonlocal found
        found += 1
        return "\n" if _BREAKING.match(tag[0]) else ""

    text = _TAG.sub(gone, _SUP.sub(lambda sup: raised(sup[1]) if raised(sup[1]) != sup[1] else sup[0], text))
    text, entities = _ENTITY.subn(lambda entity: html.unescape(entity[0]), text)
    if found or entities:
        counts["tags"] += found + entities
        text = _SPACES.sub(" ", text)
    return text


def _without_hidden(text: str) -> tuple[str, int]:
    """Without comments, scripts and styles, and how many there were. Each end is looked for once: time in proportion to
    the length, however many begin and never end.
    """
    kept: list[str] = []
    ends: dict[str, tuple[int, int]] = {}
    at = 0
    for begin in _HIDDEN.finditer(text):
        if begin.start() < at:
            continue
        kind = (begin[1] or "").lower()
        pattern, most = _HIDDEN_END[kind]
        if ends.get(kind, (-1, -1))[0] < begin.end():
            end = pattern.search(text, begin.end())
            ends[kind] = end.span() if end else (len(text) + most + 1, 0)
        if ends[kind][0] - begin.end() <= most:
            kept.append(text[at : begin.start()])
            at = ends[kind][1]
    return "".join((*kept, text[at:])), len(kept)
