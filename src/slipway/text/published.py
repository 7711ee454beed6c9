"""The rules by which published scores of question answering compare texts, written from their definitions.

For numbers that others can compare with theirs; Slipway's own rule is `words.answer_words`. SQuAD v1.1: Rajpurkar et
al. 2016. CMRC 2018: Cui et al. 2019. Both count characters and words, and neither knows what a number is.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from difflib import SequenceMatcher

_ARTICLE = re.compile(r"\b(?:a|an|the)\b")
_NO_ASCII_PUNCTUATION = {ord(mark): None for mark in string.punctuation}

_CMRC_MARKS = frozenset("-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
_HAN = re.compile("[\u4e00-\u9fa5]")

# What stands apart in Penn Treebank tokens (MacIntyre 1995): marks, a comma but in a number, the last full stop.
_APART = re.compile(r"\.{2,}|[;@#$%&?!*()\[\]{}<>«»‒–—―‘„]|,(?!\d)|(?<=[^.])\.(?=[\])}>\"' ]*$)")
_OPENING_QUOTE = re.compile(r"(?:(?<=^)|(?<=[\s(\[{<]))\"")
_CLITIC = re.compile(
    r"(?<=[^\s'])(?:'(?:s|m|d|ll|re|ve)?|n't)(?=\s|$)|(?<!\w)'(?=\w)(?!(?:re|ve|ll|[mtsdn])\b)"
    r"|\b(?:can(?=not\b)|(?:gon|wan)(?=na\b)|got(?=ta\b))"
)


def squad_words(text: str) -> list[str]:
    """SQuAD v1.1: lower case, ASCII punctuation deleted, English articles dropped, cut at spaces."""
    return _ARTICLE.sub(" ", text.lower().translate(_NO_ASCII_PUNCTUATION)).split()


def squad_f1(reference: str, text: str) -> float:
    """F1 of the bags of words; 0 when no word is shared, also when both are empty."""
    expected, found = squad_words(reference), squad_words(text)
    shared = sum((Counter(expected) & Counter(found)).values())
    return 2 * shared / (len(expected) + len(found)) if shared else 0.0


def squad_em(reference: str, text: str) -> float:
    """1 when the words are the same, else 0."""
    return float(squad_words(reference) == squad_words(text))


def cmrc_words(text: str) -> list[str]:
    """CMRC 2018's mixed segmentation without its marks: each Han character, and what is between as Treebank tokens."""
    found: list[str] = []
    run = ""
    for char in text.lower().strip():
        if char in _CMRC_MARKS:
            continue
        if _HAN.match(char):
            found += [*treebank(run), char]
            run = ""
        else:
            run += char
    return [*found, *treebank(run)]


def cmrc_f1(reference: str, text: str) -> float:
    """F1 of the longest run of words that both have."""
    expected, found = cmrc_words(reference), cmrc_words(text)
    shared = SequenceMatcher(None, expected, found, autojunk=False).find_longest_match().size
    return 2 * shared / (len(expected) + len(found)) if shared else 0.0


def cmrc_em(reference: str, text: str) -> float:
    """1 when the texts are the same in lower case without CMRC's marks, else 0."""
    first, second = ("".join(c for c in one.lower().strip() if c not in _CMRC_MARKS) for one in (reference, text))
    return float(first == second)


def treebank(text: str) -> list[str]:
    """Penn Treebank tokens of one lower-case sentence: `it's 1,000 (or so).` is it 's 1,000 ( or so ) ."""
    if text.isalnum():
        return [text]
    text = _OPENING_QUOTE.sub(" `` ", text).replace('"', " '' ")
    return _CLITIC.sub(r" \g<0> ", _APART.sub(r" \g<0> ", text)).split()
