r"""Which marks of a text change what it says, and which are only punctuation. Pure functions; cuts no words.

A comparison of answers that deletes every mark holds 3.5 for 35, -5 for 5, 10^6 for 106 and C++ for C. `meaningful`
deletes only the marks that say nothing, and writes the others in one way, so that what is equal stays equal:

- numbers: decimal point, minus, exponent (`1e-5`, `10^-5`, 10⁻⁵), fraction (`1/2`, ½), time (`10:30`), version
  (`1.10` is not `1.1`) stay; commas between thousands go (`1,000` is `1000`); `.5` is `0.5`; `+5` is `5`; dates with
  the year first are written as 2021-05-03; any other mark between two digits parts them (`1939-1945`, `5, 6`)
- `%`, currency signs and `<`, `>` before a number are words of their own
- names: `C++`, `C#`, `.NET`, `A-` and `A+` keep their marks; as in SQuAD, `U.S.` is `US`, `well-known` is `wellknown`
"""

from __future__ import annotations

import re
import string
import unicodedata

_QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u02bc": "'"})
_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d", "-"))
# Full-width forms that are no punctuation of Chinese: those part words, as `，` and `：` do.
_WIDE = str.maketrans({chr(ord(c) + 0xFEE0): c for c in "%#$.&@*/=^<>\"'`_~\\|"} | {"\uff0b": "+", "\u2030": "‰"})
_CJK = "\u3041-\u9fff\uac00-\ud7a3\U00020000-\U0003ffff"  # each stands alone: what follows it begins a word
_THOUSANDS_IN = "en", "zh", "ja", "ko", "und", ""  # languages that write 1,000.5; elsewhere 1,000 may be 1.000

_WIDE_NUMBER = re.compile("[\uff10-\uff19][\uff10-\uff19\uff0c\uff0e]*[\uff10-\uff19]")
_THIN_SPACE = re.compile(r"(?<=\d)[\u00a0\u2009\u202f](?=\d{3}(?!\d))")
_SUPERSCRIPT = re.compile("(?<=[0-9\uff10-\uff19])[\u207a\u207b]?[\u2070\u00b9\u00b2\u00b3\u2074-\u2079]+")
_FRACTION_BAR = re.compile(r"\s?\u2044\s?")
_EXPONENT_PLUS = re.compile(r"(?<=\de)\+(?=\d)")
_THOUSANDS = re.compile(r"(?<!\d)(?<!\d[.,_'])[1-9]\d{0,2}(?:([,_'])\d{3})(?:\1\d{3})*(?!\d|[,_']\d)")
_DATE = re.compile(r"(?<![\d.])(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?![\d]|[-/.]\d)")
_SYMBOLS = re.escape(string.punctuation)
_BETWEEN = re.compile(rf"(?<=\d)[{_SYMBOLS}]+(?=\d)")
_KEPT_BETWEEN = frozenset((".", "/", ":", "^", "^-", "+", "*", "=", "<", ">", "|", "\\", "&", "@"))
_MINUS_MONEY = re.compile(r"-\s?([$€£¥])(?=\.?\d)")
_MINUS = re.compile(rf"(?<![\w)\]%^])-(?=\.?\d)|(?<=[{_CJK}])-(?=\.?\d)")
_PLUS = re.compile(rf"(?<![\w+)\]%])\+(?=\.?\d)|(?<=[{_CJK}])\+(?=\.?\d)")
_LEADING_POINT = re.compile(rf"(?<![\w.)\]])\.(?=\d)|(?<=[{_CJK}])\.(?=\d)")
_POINT_NAME = re.compile(rf"(?:(?<=^)|(?<=[\s(\[{{\"'`{_CJK}]))\.(?=[^\W\d_{_CJK}])")
_SIGN = re.compile("[≤≥≈±]")
_COMPARED = re.compile(r"([<>])(=?)(?=\s*[-+$]?\.?\d)")
_MONEY = re.compile(r"\$(?=\s*[-+]?\.?\d)|(?<=\d)\s?\$")
_PERCENT = re.compile(r"(?<=\d)\s?([%‰])")
_AFTER_LETTER = re.compile(rf"(?<=[^\W_{_CJK}])[+#]+")
_GRADE = re.compile(rf"(?:(?<=^)|(?<=[\s{_CJK}]))([\"'(\[*]*[^\W\d_{_CJK}]{{1,2}})-(?![\w-])")
_STARTS = re.compile(r"-\.?\d|\.[^\W_]")
_ENDS = re.compile(r"[^\W_]#+$|\d%$|^[^\W\d_]{1,2}-$")
_NOTHING = {ord(mark): None for mark in string.punctuation}

# Marks that stay are put out of the way of the deletion that follows, on code points of the private use area.
_HIDE = {mark: chr(0xE000 + ord(mark)) for mark in string.punctuation}
_SHOW = {ord(hidden): mark for mark, hidden in _HIDE.items()}


def meaningful(text: str, language: str = "und") -> str:
    """`text` folded (NFKC, case), only with the marks that mean something; other marks are gone or are spaces."""
    text = text.translate(_SHOW)  # no one else's private characters pass for ours
    text = _unfolded_numbers(text.translate(_QUOTES).translate(_DASHES).translate(_WIDE))
    text = "".join(" " if _parts(char) else char for char in text)
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).translate(_DASHES)
    text = _FRACTION_BAR.sub("/", text)
    if any(char.isdigit() for char in text):
        text = _numbers(text, language.split("-")[0].lower() in _THOUSANDS_IN)
    text = _POINT_NAME.sub(_hidden(" ."), text)
    text = _AFTER_LETTER.sub(lambda found: _hide(found[0]), text)
    text = _GRADE.sub(lambda found: found[1] + _hide("- "), text)
    return text.translate(_NOTHING).translate(_SHOW)


def plain_marks(text: str) -> str:
    """`text` in NFKC with one minus and one apostrophe, and with numbers that NFKC would spoil kept apart."""
    text = _unfolded_numbers(text.translate(_QUOTES).translate(_DASHES).translate(_WIDE))
    return _FRACTION_BAR.sub("/", unicodedata.normalize("NFKC", text).translate(_DASHES))


def trimmed(label: str) -> str:
    """A folded label without the punctuation at its ends, but for what means something: `-1`, `c#`, `.net`, `50%`."""
    label = label.translate(_DASHES)
    start, end = 0, len(label)
    while start < end and _trims(label[start]) and not _STARTS.match(label, start):
        start += 1
    while end > start and _trims(label[end - 1]) and not _ENDS.search(label[start:end]):
        end -= 1
    return label[start:end] or label


def _trims(char: str) -> bool:
    return char.isspace() or unicodedata.category(char)[0] == "P"


def _unfolded_numbers(text: str) -> str:
    """What NFKC would spoil: 10² would be 102, 6½ would be 61/2, 5① would be 51."""
    if text.isascii():
        return text
    text = _WIDE_NUMBER.sub(lambda found: unicodedata.normalize("NFKC", found[0]), text)
    text = _THIN_SPACE.sub(",", text)
    text = re.sub("(?<=\\d)\uff0e(?=\\d)", ".", text)
    text = _SUPERSCRIPT.sub(lambda found: "^" + unicodedata.normalize("NFKC", found[0]), text)
    return "".join(_spaced(char) for char in text)


def _spaced(char: str) -> str:
    if char.isascii() or char.isdecimal():
        return char
    plain = unicodedata.normalize("NFKC", char)
    superscript = unicodedata.decomposition(char).startswith(("<super>", "<sub>"))
    return f" {plain} " if not superscript and any(one.isdecimal() for one in plain) else char


def _numbers(text: str, thousands: bool) -> str:
    """The marks of numbers hidden, in one way of writing."""
    text = _EXPONENT_PLUS.sub("", text)
    if thousands:
        text = _THOUSANDS.sub(lambda found: found[0].replace(found[1], ""), text)
    text = _DATE.sub(lambda found: _hide(f"{found[1]}-{int(found[3]):02}-{int(found[4]):02}"), text)
    text = re.sub(r"(?<=\de)-(?=\d)", _HIDE["-"], text)
    text = _MONEY.sub(_hidden(" $ "), _MINUS_MONEY.sub(r"\1-", text))
    text = _MINUS.sub(_hidden(" -"), text)
    text = _PLUS.sub(" ", text)
    point = re.escape(_HIDE["-"])
    text = re.sub(rf"(?<={point})\.(?=\d)", _hidden("0."), text)
    text = _LEADING_POINT.sub(_hidden(" 0."), text)
    text = _BETWEEN.sub(lambda found: _hide(found[0]) if found[0] in _KEPT_BETWEEN else " ", text)
    text = _COMPARED.sub(lambda found: ("≤" if found[1] == "<" else "≥") if found[2] else _hide(found[1]) + " ", text)
    text = _SIGN.sub(r" \g<0> ", text)
    return _PERCENT.sub(lambda found: f" {_hide(found[1])} ", text)


def _hide(marks: str) -> str:
    return "".join(_HIDE.get(mark, mark) for mark in marks)


def _hidden(marks: str) -> str:
    """`_hide` as a replacement of `re.sub`."""
    return _hide(marks).replace("\\", r"\\")


def _parts(char: str) -> bool:
    """Whether a mark beyond ASCII parts what stands around it, as `、` and `，` do."""
    return ord(char) > 127 and char not in "‰" and unicodedata.category(char)[0] == "P"
