"""Personal data in text that can be told by its form: addresses of mail and machines, telephone and card numbers,
accounts, identity numbers. Names and postal addresses have no form, and are not found here.

Numbers with check digits are checked, so that an order number is not taken for a card. Full-width digits and letters
count as plain ones, and Chinese text needs no space around a number. Every pattern reads a text in linear time.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from slipway.privacy.identities import FORMS, LABELLED, Check, bare, finland, luhn, resident_id
from slipway.text.simplified import simplified

_HYPHENS: dict[int, int] = dict.fromkeys((8208, 8209, 8211, 8212, 8722), 45)


class _Forms(dict[int, int]):
    """A character -> the plain one that it is a form of: full-width, circled and other letters and digits (NFKC), the
    digits of every script, traditional Chinese. Filled as it is asked.
    """

    def __missing__(self, code: int) -> int:
        character = chr(code)
        plain = unicodedata.normalize("NFKC", character)
        if len(plain) != 1 or not plain.isascii():
            plain = str(unicodedata.decimal(character, "")) or simplified(character)
        self[code] = ord(plain)
        return self[code]


_PLAIN = _Forms(_HYPHENS)
_UNSEEN = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufe00-\ufe0f\ufeff]+")
"""Characters that take no room: a number with one in it is read as the number."""
_SPELLED = re.compile("[\u3007\u25cb零一二三四五六七八九幺]{11,19}")
_NUMERALS = str.maketrans("\u3007\u25cb零一幺二三四五六七八九", "0001123456789")
"""Digits written as Chinese characters: a run as long as a telephone number is one, and no word."""


@dataclass(frozen=True)
class Found:
    """One finding: `text[start:end]` is of this kind."""

    kind: str
    start: int
    end: int


def find(text: str) -> list[Found]:
    """What is in `text`, in order, without overlaps; where two kinds fit, the more certain one is meant."""
    if not text.isascii() and _UNSEEN.search(text):
        return _with_unseen(text)
    plain = text if text.isascii() else _plain(text)
    found: list[Found] = []
    taken = bytearray(len(text))
    for kind, start, end in _candidates(plain):
        if taken.find(1, start, end) == -1:
            taken[start:end] = b"\1" * (end - start)
            found.append(Found(kind, start, end))
    return sorted(found, key=lambda one: one.start)


def _with_unseen(text: str) -> list[Found]:
    """As `find` in what can be seen of the text, at the places of the whole text."""
    places = [n for n, character in enumerate(text) if not _UNSEEN.match(character)]
    seen = find("".join(text[n] for n in places))
    return [Found(one.kind, places[one.start], places[one.end - 1] + 1) for one in seen]


def _plain(text: str) -> str:
    """The text with plain digits and letters, one character for each: places stay the same."""
    return _SPELLED.sub(lambda found: found[0].translate(_NUMERALS), text.translate(_PLAIN))


def _candidates(text: str) -> Iterator[tuple[str, int, int]]:
    if "@" in text:
        yield from ((("email"), *m.span()) for pattern in _EMAILS for m in pattern.finditer(text))
    if "[at]" in (low := text.lower()) or "(at)" in low:
        yield from ((("email"), *m.span()) for m in _SPELLED_EMAIL.finditer(text))
    if text.count(":") > 2 or text.count("-") > 4:
        yield from _numbers(text, (_MAC, _IPV6), 0, len(text))
    if not text.isascii():
        yield from _numbers(text, _CHINESE, 0, len(text))
    for zone in _ZONE.finditer(text):  # where digits are dense; everywhere else no number is looked for
        yield from _numbers(text, _NUMBERS, max(0, zone.start() - AROUND), zone.end() + AROUND)


def _numbers(text: str, rules: Sequence[_Rule], start: int, end: int) -> Iterator[tuple[str, int, int]]:
    for kind, pattern, check in rules:
        for found in pattern.finditer(text, start, end):
            if ends := check(found):
                yield kind, *_bare(text, found.start(found.lastindex or 0), ends)


def _bare(text: str, start: int, end: int) -> tuple[int, int]:
    """Without brackets that stand around a number and not in it."""
    value = text[start:end]
    if value[0] == "(" and (value[-1] == ")" or ")" not in value):
        start += 1
    if value[-1] == ")" and (value[0] == "(" or "(" not in value):
        end -= 1
    return start, end


# -- checks: where the finding ends, or 0 when it is none -------------------------------------------------------------


def _whole(found: re.Match[str]) -> int:
    return found.end()


def _card(found: re.Match[str]) -> int:
    digits = re.sub(r"\D", "", found[0])
    return found.end() if 12 <= len(digits) <= 19 and luhn(digits) else 0


_IBAN_LENGTH = {
    country: length
    for length, countries in (
        (15, "NO"),
        (16, "BE"),
        (18, "DK FI FO GL NL"),
        (19, "MK SI"),
        (20, "AT BA EE KZ LT LU XK"),
        (21, "CH HR LI LV"),
        (22, "BG BH CR DE GB GE IE ME RS VA"),
        (23, "AE GI IL IQ TL"),
        (24, "AD CZ ES MD PK RO SA SE SK TN VG"),
        (25, "LY PT ST"),
        (26, "IS TR"),
        (27, "FR GR IT MC MR SM"),
        (28, "AL AZ BY CY DO GT HU LB PL SV"),
        (29, "BR EG PS QA UA"),
        (30, "JO KW MU"),
        (31, "MT SC"),
        (32, "LC"),
    )
    for country in countries.split()
}


def _iban(found: re.Match[str]) -> int:
    """The length of a country's accounts says where it ends; words may follow."""
    wanted, at = _IBAN_LENGTH.get(found[0][:2].upper(), 0), 0
    for place, character in enumerate(found[0]):
        at += character.isalnum()
        if wanted and at == wanted:
            rest = found[0][place + 1 : place + 2]
            whole = not rest.isalnum() and mod97(bare(found[0][: place + 1]))
            return found.start() + place + 1 if whole else 0
    return 0


def mod97(iban: str) -> bool:
    """The check digits of an account number (ISO 13616)."""
    return int("".join(str(int(c, 36)) for c in iban[4:] + iban[:4])) % 97 == 1


def _resident(found: re.Match[str]) -> int:
    return found.end() if resident_id(bare(found[0])) else 0


def _checked(check: Check | None) -> Callable[[re.Match[str]], int]:
    """Where a number ends whose check digits are right; `check` reads it without spaces and punctuation."""

    def ends(found: re.Match[str]) -> int:
        number = found[found.lastindex or 0]
        if check is finland:
            return found.end() if finland(number) else 0
        return found.end() if check is None or check(bare(number)) else 0

    return ends


def _ip(found: re.Match[str]) -> int:
    """An address that belongs to somebody: not this machine's own, not the unspecified one, not a version."""
    if _VERSION.search(found.string, max(0, found.start() - _WORD), found.start()):
        return 0
    try:
        address = ipaddress.ip_address(found[0])
    except ValueError:
        return 0
    groups = [group for group in found[0].split(":") if group]
    if address.version == 6 and (len(groups) < 3 or not re.search(r"\d", found[0])):
        return 0  # C++'s a::b, a time of day
    return 0 if address.is_loopback or address.is_unspecified else found.end()


def _phone(found: re.Match[str]) -> int:
    digits = re.sub(r"\D", "", found[found.lastindex or 0])
    if _NOT_PHONE.search(found.string, max(0, found.start() - _WORD), found.start()):
        return 0
    return found.end() if 7 <= len(digits) <= 19 and len(set(digits)) > 2 else 0


_Rule = tuple[str, re.Pattern[str], Callable[[re.Match[str]], int]]


def _re(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII)  # to Unicode's \w a Chinese character before a number would belong to it


AROUND = 40
_WORD = 24  # characters in which a word says what a number is
_ZONE = re.compile(r"\d(?:\D{0,8}\d){5,}")
_VERSION = re.compile(r"(?i)(?:version|release|build|firmware|section|\bv|\bver\.?|版本号?|固件|第|\u00a7)[ :=]{0,3}$")
_NOT_PHONE = re.compile(
    r"(?i)(?:order|invoice|ticket|tracking|serial|isbn|issn|sku|part|case|batch|订单|单号|编号|流水|发票"
    r"|快递|运单|序列号|合同号|批次)(?: ?(?:no|number|id)\b\.?)?[号为是]{0,2}[ :#]{0,3}$"
)
_CJK = r"\u3040-\u9fff\uac00-\ud7a3\uf900-\ufaff"  # written without spaces: where a word begins cannot be seen
_LOCAL = rf"(?:[.%+-]|[^\W{_CJK}])"
_DOT = "[.\u3002\uff61]"  # as domain names may have it (RFC 3490)
_DOMAIN = (
    rf"@(?:[\w-]{{1,63}}{_DOT}){{1,8}}(?:xn--[A-Za-z0-9-]{{2,40}}|[A-Za-z]{{2,24}}(?![A-Za-z0-9])"
    rf"|[^\W\d_{_CJK}A-Za-z]{{2,24}}|[\u3040-\u30ff]{{2,12}}|中国|公司|网络|香港|台湾|한국)"
)
_EMAILS = (  # internationalised, too (RFC 6531); a name in Chinese or Japanese may be masked with words before it
    re.compile(rf"(?<![.%+-])(?<![^\W{_CJK}]){_LOCAL}{{1,64}}(?:'{_LOCAL}{{1,64}}){{0,2}}{_DOMAIN}"),
    re.compile(rf"[{_CJK}]{{1,16}}{_DOMAIN}"),
)
_SPELLED_EMAIL = re.compile(
    r"(?i)(?<![a-z0-9._%+-])[a-z0-9._%+-]{1,64} ?[\[(]at[\])] ?[a-z0-9-]{1,63}"
    r"(?: ?(?:\.|[\[(](?:dot|punkt)[\])]) ?[a-z0-9-]{1,63}){1,6}"
)
_EXTENSION = r"(?:[ ]?(?:x|ext\.?|转|分机)[ ]?\d{1,6})?"
_GAP = r"[ \t._\u00b7-]{1,2}"
_APART = r"[ \t._\u00b7-]{0,2}"  # between groups of digits whose sizes, or check digits, tell what they are
_BEFORE, _AFTER = r"(?<![A-Za-z0-9])(?<!\d[.,-])", r"(?![A-Za-z0-9])(?![.,-]\d)"
_IPV6: _Rule = ("ip", _re(r"(?<![\w.])(?:[0-9A-Fa-f]{1,4}:|::)[0-9A-Fa-f:]{2,39}(?![\w:])"), _ip)
_MAC: _Rule = (
    "mac",
    _re(r"(?<![\w:-])[0-9A-Fa-f]{2}(?:(?::[0-9A-Fa-f]{2}){5}|(?:-[0-9A-Fa-f]{2}){5})(?![\w:-])"),
    _whole,
)
_PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
_CHINESE: tuple[_Rule, ...] = (  # number plates (GA 36-2018); accounts of WeChat and QQ after their word
    (
        "plate",
        _re(
            rf"[{_PROVINCES}][A-HJ-NP-Z][ \u00b7\u2022]?(?=[A-Z0-9]{{0,5}}\d)"
            r"[A-HJ-NP-Z0-9]{4,5}[A-HJ-NP-Z0-9挂学警](?![A-Za-z0-9])"
        ),
        _whole,
    ),
    (
        "account",
        _re(
            r"(?i)(?:微信号?|wechat)[^\n\w\u4e00-\u9fff]{0,4}(?:是|为)?[: \uff1a]{0,3}"
            r"(?<![a-z0-9])([a-z][a-z0-9_-]{5,19})(?![a-z0-9_-])"
        ),
        _whole,
    ),
    (
        "account",
        _re(r"(?i)(?<![a-z])qq(?:号码?)?(?:是|为)?[: \uff1a]{0,3}([1-9]\d{4,10})(?!\d)"),
        _whole,
    ),
)
_NUMBERS: tuple[_Rule, ...] = (
    ("iban", _re(rf"(?<![A-Za-z0-9])[A-Za-z]{{2}} ?\d{{2}}(?:{_APART}[A-Za-z0-9]){{11,34}}"), _iban),
    ("id", _re(rf"(?<![A-Za-z0-9])[1-9](?:{_APART}\d){{5}}{_APART}(?:18|19|20)\d\d{_APART}(?:0[1-9]|1[0-2]){_APART}"
                      rf"(?:0[1-9]|[12]\d|3[01])(?:{_APART}\d){{3}}{_APART}[\dXx](?![A-Za-z0-9])"), _resident),
    ("card", _re(_BEFORE + r"(?<!\+)(?:2[ -]?[1-7]|[3-6])(?:[ -]?\d){11,18}" + _AFTER), _card),
    ("card", _re(_BEFORE + rf"(?:2[1-7]|[3-6]\d)\d\d(?:{_GAP}\d{{4}}){{3}}(?:{_GAP}\d{{1,3}})?" + _AFTER), _card),
    ("card", _re(_BEFORE + r"1800\d{8,11}" + _AFTER), _card),  # old JCB
    *(("id", _re(rf"(?i)(?:{words})[^\d\n]{{0,{_WORD}}}?(?<![a-z0-9])({form})"), _checked(check))
      for words, form, check in LABELLED),
    ("ssn", _re(_BEFORE + r"(?!000|666|9\d\d)\d{3}-(?!00)\d\d-(?!0000)\d{4}" + _AFTER), _whole),
    ("ssn", _re(rf"(?i)(?:\bssn\b|social security|社会安全号)[^\d\n]{{0,{_WORD}}}"
                r"((?!000|666|9)\d{3}[ .-]?\d{2}[ .-]?\d{4})" + _AFTER), _whole),
    # Individual taxpayers (ITIN) have numbers from 900 on.
    ("ssn", _re(_BEFORE + r"9\d\d-(?:5\d|6[0-5]|7\d|8[0-8]|9[0-24-9])-\d{4}" + _AFTER), _whole),
    *(("id", _re(form), _checked(check)) for form, check in FORMS),
    ("ip", _re(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)"), _ip),
    ("passport", _re(r"(?i)(?:passport|护照|通行证)[^\d\n]{0,16}?(?<![a-z0-9])([a-z]{1,2}\d{6,8}|\d{9})"
                            r"(?![a-z0-9])"), _whole),
    # With a country's code; Chinese mobile, landline and service numbers; American numbers; numbers that begin with 0;
    # and whatever a word says is one.
    ("phone", _re(r"(?<![\w+])\+\d{1,3}(?:[ .-]{0,2}\(?\d{1,5}\)?){2,6}" + _EXTENSION + _AFTER), _phone),
    ("phone", _re(_BEFORE + rf"(?:\(?(?:\+|00)?86\)?{_APART})?\(?1[3-9]\d\)?{_APART}"
                  rf"(?:\d{{4}}{_APART}\d{{4}}|\d{{3}}{_APART}\d{{5}})" + _AFTER), _phone),
    ("phone", _re(_BEFORE + r"(?:\(0\d{2,3}\)[ -]?|0\d{2,3}-|400[ -]?)\d{3,4}[ -]?\d{4}"
                          + _EXTENSION + _AFTER), _phone),
    ("phone", _re(_BEFORE + r"(?:(?:1|001)[ .-])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[ .-])\d{3}[ .-]\d{4}"
                         + _EXTENSION + _AFTER), _phone),
    ("phone", _re(_BEFORE + r"(?:\(0?\d{2,4}\)[ -]?\d{3,4}-|\(?0\d{1,5}\)?(?:[ .-]\d{2,4}){1,3}[ .-])\d{2,4}"
                         + _AFTER), _phone),
    ("phone", _re(r"(?i)(?:\b(?:phone|tel|call|mobile|cell|fax|whatsapp)|电话|手机|传真|座机|热线)"
                         r"[^\d\n+(]{0,20}([+(]?\d(?:[ .()-]{0,2}\d){6,14})" + _AFTER), _phone),
)  # fmt: skip
