"""Whether a sentence answers yes or no, in English or Chinese. None where it does neither, or both.

It reads, in this order: a yes or no at the start; one after "the answer is" or "therefore"; "it does not", "不支持";
and a sentence that repeats the question, affirmed or denied. A sentence about something else is no yes.
"""

from __future__ import annotations

import re

from slipway.text.simplified import simplified
from slipway.text.words import SENTENCE_END, fold, words

_READ = 4000  # characters at the beginning, and as many at the end, of a long text
_WITHIN = 0.75  # share of a short sentence's words that are of the question
_REPEATED = 0.6  # share of a question's words that a sentence must have to be an answer to it

_YES = (
    "yes|yeah|yep|yup|correct|true|right|sure|certainly|definitely|absolutely|indeed|of course|affirmative|no problem|"
    "no doubt|without (?:a )?doubt"
)
_NO = (
    "no|nope|nah|false|incorrect|wrong|never|negative|not at all|not really|not necessarily|definitely not|"
    "absolutely not|certainly not|of course not|by no means|not"
)
_ZH_YES = "是的|是|对的|对|可以|能够|能|会的|会|有的|有|正确|没错|不错|没问题|当然可以|当然|的确|确实|支持|需要|真"
_ZH_NO = (
    "不是|不可以|不能够|不能|不会|不对|不行|不用|不必|不需要|不支持|不允许|不|否|没有|没|无法|并不是|并不|并非|未必|错误|错|假"
    "|当然不是|当然不|绝不|从不|不正确"
)
# What begins like an answer and is none.
_NEITHER = re.compile(
    r"(?:yes and no|no matter|no one|nobody|no\. ?\d|no \w+ (?:is|was|are|were)\b|"
    r"right (?:now|after|before|away)|sure,? but it depends|"
    r"是否|能否|会否|有没有|是不是|能不能|会不会|可不可以|不管|不论|不得不|不仅|不但|不只|不过|不同|对于|对不起|有些|有时|有关|"
    r"会议|能量|能源|真空|真实|无论|错过|可以说不)"
)
_END = r"(?![\w'])"
_LEAD = re.compile(rf"(?:(?P<yes>{_YES}){_END}|(?P<no>{_NO}){_END})")
# A Chinese word may go on into another one (是 into 是否), so short ones must be followed by a mark or a particle.
_ZH_LEAD = re.compile(
    rf"(?:(?P<no>{'|'.join(sorted(_ZH_NO.split('|'), key=len, reverse=True))})|"
    rf"(?P<yes>{'|'.join(sorted(_ZH_YES.split('|'), key=len, reverse=True))}))"
    rf"(?:[的了啊呀哦呢吧]?(?=[\s,，。.!！;；:：、)）]|$))"
)
_CONCLUSION = re.compile(
    r"(?:\b(?:answer|conclusion|verdict)\b(?: to (?:the|this|your) question)?\s*(?:is|:|：|would be)\s*|"
    r"\b(?:therefore|thus|hence|so)\b[,，:]?\s*|(?:答案|结论|回答)\s*(?:是|为|:|：)+\s*|(?:因此|所以|综上)[,，:：]?\s*)"
    r"[\"'“‘*_「(（]*"
)
_AUX = "is|are|was|were|does|do|did|can|could|will|would|has|have|had|should|may|must|might"
_PRONOUN = re.compile(
    rf"(?:it|they|you|we|he|she|this|that|there|one|i)(?:'(?:s|re|ll|ve|d)|\s+(?:{_AUX}|\w{{1,10}}n't|cannot)){_END}(?:\s+not)?"
    rf"(?P<bad>\s+(?:incorrect|false|wrong|untrue){_END})?"
)
_DENIAL = re.compile(r"\b(?:not|never|cannot|no longer|neither|unable to|no)\b|\b\w{1,10}n't\b")
_NO_DENIAL = re.compile(
    r"\bnot (?:only|just|merely)\b|\bno (?:doubt|problem|matter|wonder)\b|\bno\. ?\d|\bwhether or not\b"
)
_ZH_DENIAL = re.compile("不|没有|没|无法|无需|未|并非|切勿")
# What says no of a question that does not have the word itself.
_OPPOSITE = re.compile(r"\b(?:disabled|forbidden|prohibited|unsupported|unsafe|impossible)\b|禁用|禁止|关闭|不安全")
_ZH_NO_DENIAL = re.compile(
    "不仅|不但|不只|不错|不同|不断|不过|不少|不久|没错|没问题|无论|不管|不论|不得不|未来|是否|能否|可否|有没有|是不是|能不能|会不会|"
    "可不可以|不可否认|毫不|不一定会?|差不多"
)
# Says that it is not known, or that it depends.
_OPEN = re.compile(
    r"\b(?:i|we) (?:do not|don't|am not|are not|cannot|can't|could not|couldn't) (?:know|sure|certain|find|tell|say|"
    r"answer|determine)|\b(?:not (?:sure|clear|known|certain|mentioned|stated|specified)|unclear|unknown|"
    r"depends?|varies|whether (?!or)|sometimes|(?:does|do)(?: not|n't) (?:say|mention|state|specify))\b|"
    r"不清楚|不知道|不一定|不确定|不明确|无法(?:确定|回答|判断)|(?:没有|未)(?:提到|提及|说明)|"
    r"取决|视情况|是否|能否|有些|有时|部分"
)
_OPENING = re.compile(
    r"(?:(?:unfortunately|notably|by default|sadly|generally|in general|currently|actually|in fact|yes|no|"
    r"(?:according to|based on|as of)[^,]*),"
    r"|(?:很遗憾|遗憾的是|目前|实际上|事实上|根据[^，]*|一般来说)[，,])\s*"
)
# Without a subject: 不可以在线使用。
_ZH_BARE = re.compile("(?:不|没有|无法|无需|并不|必须|可以|能够|支持|需要|会)[^，。,]{0,12}[。.!！ ]?$")
# A question, such as the one that was asked, said again.
_ASKS = re.compile(rf"^(?:{_AUX})\b|(?:[?？]|[吗呢么][。.]?)[\s\"'”’)]*$")
_TOPIC = re.compile("(?:对于|关于|至于|针对)")
_CLAUSE = re.compile(
    r"[,，;；]|\b(?:but|however|although|though|unless|except|because|since|if|when)\b|但|除非|除了|因为|如果"
)
_ASKING = frozenset(
    words(
        "do does did is are was were can could will would has have had should may must might the a an it there any i "
        "you we no not 吗呢么是否能会可以有没不的了请问"
    )
)


def polarity(text: str, question: str = "", yes: tuple[str, ...] = (), no: tuple[str, ...] = ()) -> bool | None:
    """True for a yes, False for a no. `yes` and `no`: further words that say so at the start, of other languages."""
    text = text if len(text) <= 2 * _READ else text[:_READ] + "\n" + text[-_READ:]
    plain = simplified(fold(text)).replace("\u2019", "'").strip().lstrip("*_#>-\"'“‘「『(（[ \n\t")
    for word in sorted((*yes, *no), key=len, reverse=True):
        if re.match(rf"{re.escape(simplified(fold(word)))}(?!\w)", plain):
            return word in yes
    found = _led(plain)
    if found is None:
        for conclusion in _CONCLUSION.finditer(plain):
            said = _led(plain[conclusion.end() :])
            found = said if said is not None else found
    return found if found is not None else _stated(plain, question)


def _led(plain: str) -> bool | None:
    """A yes or no that the text begins with."""
    if re.match(r"no (?:problem|doubt)\b", plain):
        return True
    if _NEITHER.match(plain):
        return None
    match = _LEAD.match(plain) or _ZH_LEAD.match(plain)
    if match is None:
        return None
    if match["no"] == "not" and re.match("not (?:only|just|merely|sure|clear|known|certain)", plain):
        return None
    if match["no"] == "no" and re.match(r"no [a-z]+ (?:in|of|has|have)\b", plain):
        return None
    return match["yes"] is not None


def _stated(plain: str, question: str) -> bool | None:
    """What the first sentence says of the question."""
    plain = _OPENING.sub("", plain, count=1) if _OPENING.match(plain) else plain
    end = SENTENCE_END.search(plain)
    sentence = plain[: end.end()] if end else plain.split("\n", 1)[0]
    if _OPEN.search(sentence) or _TOPIC.match(sentence) or _ASKS.search(sentence):
        return None
    clause = _CLAUSE.split(sentence, maxsplit=1)[0]
    asked = simplified(fold(question))
    denials = _denials(clause) + sum(word not in asked for word in _OPPOSITE.findall(clause))
    if match := _PRONOUN.match(clause):
        return (denials + (match["bad"] is not None)) % 2 == 0
    if _denials(asked) or denials > 1:
        return None
    return denials == 0 if _ZH_BARE.match(clause) or _repeats(sentence, clause, asked) else None


def _repeats(sentence: str, clause: str, question: str) -> bool:
    """Whether a sentence has most of a question's words, or has few but of the question."""
    asked, said, short = _content(question), _content(sentence), _content(clause)
    return bool(asked) and (
        len(asked & said) / len(asked) >= _REPEATED or (len(short) > 1 and len(asked & short) / len(short) >= _WITHIN)
    )


def _content(text: str) -> set[str]:
    """The words that say what a text is about; English ones without their endings."""
    return {word.removesuffix("s")[:5] if word.isascii() else word for word in words(text) if word not in _ASKING}


def _denials(clause: str) -> int:
    english, chinese = _NO_DENIAL.sub(" ", clause), _ZH_NO_DENIAL.sub(" ", clause)
    return len(_DENIAL.findall(english)) + len(_ZH_DENIAL.findall(chinese))
