"""Numbers written in words, English or Chinese, put into digits: `三百五十` is 350, `twenty-one` is 21."""

from __future__ import annotations

import re

_DIGITS = {char: n for n, char in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_TENS = {"十": 10, "百": 100, "千": 1000}
_BIG = {"万": 10**4, "亿": 10**8}
_RUN = "[零〇一二两三四五六七八九十百千万亿]"
_CHINESE = re.compile(rf"(?<!\d)(?<!\d )({_RUN}+)(?:点([零〇一二三四五六七八九]+))?")
_PERCENT = re.compile(rf"百分之\s?(-?\d[\d.]*|{_RUN}+(?:点[零〇一二三四五六七八九]+)?)")
_NEGATIVE = re.compile(rf"(?:负|零下)\s?(?=\d|{_RUN})|\b(?:minus|negative) (?=\d)", re.IGNORECASE)
# One character is a number only before what is counted: 三个, but not 统一 or 十分.
_COUNTED = re.compile(
    "[个元年月日天周岁度人次台页条种倍块只件米克升份层级章节类组号步项位名美欧%秒]|小时|分钟|公里|公斤|字节|毫秒|摄氏度|华氏度"
)

_TEENS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_SMALL = {word: n for n, word in enumerate(_TEENS.split())}
_TENS_WORDS = "twenty thirty forty fifty sixty seventy eighty ninety"
_TY = {word: 10 * n for n, word in enumerate(_TENS_WORDS.split(), 2)}
_MANY = {"thousand": 10**3, "million": 10**6, "billion": 10**9}
_ONES = "|".join(list(_SMALL)[1:10])
_BELOW_100 = rf"(?:(?:{'|'.join(_TY)})(?:[- ](?:{_ONES})\b)?|(?:{'|'.join(reversed(_SMALL))})\b)"
_BELOW_1000 = rf"{_BELOW_100}(?:\s+hundred(?:(?: and)? {_BELOW_100})?)?"
_ENGLISH = re.compile(
    rf"\b(?!one(?:\s+(?:of|another|can|should|must|may|who|that|which)\b|'s))"
    rf"{_BELOW_1000}(?:\s+(?:{'|'.join(_MANY)})\b(?:,? (?:and )?{_BELOW_1000})?)*\b",
    re.IGNORECASE,
)


def arabic(text: str) -> str:
    """`text` with its number words as digits, `百分之` as a percent sign and `负` and `minus` as a minus."""
    text = _PERCENT.sub(lambda found: f"{found[1]}%", text)
    alone = text.strip(" .。，,!！\t\n")
    text = _CHINESE.sub(lambda found: _chinese(found, text, alone), text)
    text = _ENGLISH.sub(lambda found: str(_english(found[0])), text)
    return _NEGATIVE.sub("-", text)


def _chinese(found: re.Match[str], text: str, alone: str) -> str:
    run, places = found[1], found[2]
    if run[0] not in _DIGITS and run[0] != "十":
        return found[0]  # a multiplier, not a number: 万, 亿
    if len(found[0]) == 1 and found[0] != alone and not _COUNTED.match(text, found.end()):
        return found[0]
    if all(char in _DIGITS for char in run):  # 二〇二一, or one digit
        value = "".join(str(_DIGITS[char]) for char in run)
    else:
        value = str(chinese_number(run))
    return value + ("." + "".join(str(_DIGITS[char]) for char in places) if places else "")


def chinese_number(run: str) -> int:
    """The value of a run of Chinese numerals with places: 三亿五千万, 两万三, 十五."""
    total = section = digit = 0
    last = 1
    for char in run:
        if char in _DIGITS:
            digit = _DIGITS[char]
            last = last if digit else 1  # after a 零 the last digit is a one: 一百零三
        elif char in _TENS:
            section += (digit or 1) * _TENS[char]
            digit, last = 0, _TENS[char]
        else:
            total = (total + section + digit) * _BIG[char] if char == "亿" else total + (section + digit) * _BIG[char]
            section = digit = 0
            last = _BIG[char]
    return total + section + digit * (last // 10 if last > 10 and len(run) > 2 else 1)


def _english(words: str) -> int:
    total = current = 0
    for word in re.findall(r"[a-z]+", words.lower()):
        if word in _MANY:
            total, current = total + max(1, current) * _MANY[word], 0
        elif word == "hundred":
            current = max(1, current) * 100
        elif word != "and":
            current += _SMALL.get(word, 0) + _TY.get(word, 0)
    return total + current
