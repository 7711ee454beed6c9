"""How much a statement answers a question, by rules that need no model. Pure; knows no retrieval and no prompt.

A statement counts by the question's words that it holds, each weighed by how rare it is among the statements at hand
(inverse document frequency, Robertson and Sparck Jones 1976), by those that only its heading and its lead hold, by the
place of its passage, by what the question asks for (a number, a time, a name), and by its similarity to the question
where an embedder tells it. One that begins with "it" or "this" takes part in what the one before it says. A question
answers nothing, and neither does a line that only says what others are about. Traditional Chinese is read as
simplified, so that each finds the other. The weights were set on XQuAD, the
example's train and dev questions, and questions about the manuals of PostgreSQL and git.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from slipway.text.simplified import simplified
from slipway.text.statements import Statement
from slipway.text.words import cjk_bigrams, fold, is_cjk, words

STEM = 5  # characters of a word that are compared: loads, loaded, loading
EMBEDDED = 16  # statements that an embedder is asked about: those with the best words
HEADING, PLACE, KIND, REFERS, SIMILARITY = 0.85, 0.1, 0.3, 0.4, 0.6  # beside 1 for its own words
QUESTION, LEAD = -0.5, -9.0
CODE = 3.0  # a code counts as so many words: E07, HZ-200
UNKNOWN = 0.3  # part of the confidence that is left where the question asks about a code that nothing holds
NAMED = 0.5  # part that is left of a row of which the question holds nothing but the names of columns
ALIKE = 0.6  # share of the words of two statements, numbers aside, from which on they say the same
LEAST = 40  # statements, at least, that rarity is reckoned in: in three sentences no word is rare
_SMALL = frozenset(
    re.findall(
        r"\w+",
        """a an the of and to is are was were be been have has had an at on in not what which who whom whose how does
        did do done when where why with by for from can could it its this that these those there if or many much one as
        into will would should may might i you we they he she than then so such about make made yes no""",
    )
)
_FOREIGN = 0.05  # share of statements up to which a script is not the one that they are written in
_ENOUGH = 4.0  # weight of the terms that are left beyond that: two rare ones
_SMALL_CJK = frozenset("的了是在有和与吗呢么什甚哪谁几多少个何为被会能可以如怎样些它他她这那里不没否对")
_ASKING = re.compile(
    "为[什甚]么|[什甚]么时候|[什甚]么|何时|何处|何人|哪[一里些个位种]?|谁|怎么样?|怎样|如何|是否|吗|呢"
)
_REFERS = re.compile(
    r"(?:it|its|this|these|that|those|they|their|he|she|his|her|such|both|there)\b|[它他她这那该此其]", re.I
)
_NAME = re.compile(  # max_wal_size, gc.auto; possessive, or a long word would take quadratic time
    r"(?<![A-Za-z0-9])[A-Za-z0-9]++(?:[_.:/]++[A-Za-z0-9]++)+", re.A
)
_CODE = re.compile(  # E07, HZ-200, 5 of 5号线
    r"(?<![A-Za-z0-9])[A-Za-z]{1,12}[-–]?\d[A-Za-z0-9]*|(?<![\d.月])\d{1,6}(?=号[线楼栋门厅库机])", re.A
)
_NUMBER = re.compile(r"\d")
_REPEATED = re.compile(r"(.{1,80}?)\1{3,}", re.S)
_KINDS = (  # what a question asks for, and what a statement that answers it holds
    (  # a number
        re.compile(
            r"\bhow (?:many|much|long|old|far|large|big|high|often|deep)\b|\bpercent"
            r"|多[少长大久深高远重宽快]|第几|百分|几[个次种天人名]",
            re.I,
        ),
        re.compile(
            r"\d|[一二三四五六七八九十百千万两]|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|twelve|hundred"
            r"|thousand|million|half|twice|none|zero)\b",
            re.I,
        ),
    ),
    (  # a time
        re.compile(
            r"\bwhen\b|\b(?:what|which) (?:year|date|day|century|decade)\b"
            r"|[什甚]么时候|何时|哪一?年|哪一?天|年份|几[年月]",
            re.I,
        ),
        re.compile(
            r"\b(?:1\d|20)\d\d\b|\d{3,4} ?年|\d月|世纪|\bcentur|天|小时|秒|分钟"
            r"|\d+ ?(?:day|hour|week|month|year|second|minute)s?\b"
            r"|\b(?:January|February|March|April|May|June|July|August|September|October|November|December)\b",
            re.I,
        ),
    ),
    (  # a name
        re.compile(r"\bwho(?:m|se)?\b|\bwhere\b", re.I),
        re.compile(r"(?<!^)(?<![.!?] )\b[A-Z][a-z]+"),
    ),
)


def terms(text: str) -> set[str]:
    """What counts of a text: words cut to their first letters, single CJK characters, and names as they are written in
    code; small words do not.
    """
    plain = {word[:STEM] for word in words(text) if word not in _SMALL and word not in _SMALL_CJK}
    return plain | {name.lower() for name in _NAME.findall(text)} | codes(text)


def codes(text: str) -> set[str]:
    """The codes in a text, a hyphen aside: numbers of parts, faults, models and lines, which mean nothing else."""
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return {_bare(found) for found in _CODE.findall(plain)} if _NUMBER.search(plain) else set()


def support(answer: str, passage: str, question: str = "") -> float:
    """Share of an answer's terms that a passage holds, 0 to 1, those of the question aside; 0 where none is left: it is
    as the answers "yes" and "the answer is", or repeats the question, or itself without an end.
    """
    answer, passage, question = simplified(answer), simplified(passage), simplified(question)
    said = terms(answer) - terms(question)
    return len(said & terms(passage)) / len(said) if said and not _loops(answer) else 0.0


def _bare(text: str) -> str:
    return fold(text).replace("-", "").replace("–", "")


def _loops(text: str) -> bool:
    """Whether a text ends in the same four times or more, 12 characters at least: what a small model falls into."""
    end = text.rstrip()[-400:]
    return any(len(found[0]) >= 12 and found[1].startswith(end[found.end() :]) for found in _REPEATED.finditer(end))


class Relevance:
    """The statements of some passages, best first, for one question. `headings`: of each passage, in their order."""

    def __init__(self, question: str, found: Sequence[Statement], headings: Sequence[str]) -> None:
        self.found = found
        question, headings = simplified(question), [simplified(heading) for heading in headings]
        found = [one._replace(text=simplified(one.text), lead=simplified(one.lead)) for one in found]
        self._found = found
        self._similarity: Mapping[int, float] = {}
        content = _ASKING.sub(" ", question)
        foreign = _foreign(content, found)
        above = [f"{headings[one.at]} {one.lead}" for one in found]
        asked_for = codes(content)
        unknown, begun = _unknown(asked_for, [*above, *(one.text for one in found)])
        wanted, plain = _wanted(content) - foreign - begun, terms(content) - foreign - begun
        common = [terms(one.text) for one in found]
        held = [_held(wanted, one.text, own) for one, own in zip(found, common, strict=True)]
        weight = _weights(wanted, held, asked_for)
        own = [_share(said, weight) for said in held]
        headed = {said: terms(said) for said in dict.fromkeys(above)}
        over = {said: _held(wanted, said, own) for said, own in headed.items()}
        enough = min(1.0, sum(_weights(plain, common).values()) / _ENOUGH) if foreign else 1.0
        trusted = _weights(plain, common, asked_for, LEAST)
        self._shares = [
            enough
            * _share(headed[above[n]] | common[n], trusted)
            * (NAMED if one.said and one.lead and not common[n] & plain else 1)
            for n, one in enumerate(found)
        ]
        self._terms, self._plain = common, plain
        self._answered = [(common[n] | headed[above[n]]) & plain for n in range(len(found))]
        self._trust = UNKNOWN if unknown else 1.0
        asked = next((holds for asks, holds in _KINDS if asks.search(question)), None)
        self._scores = [
            own[n]
            + HEADING * _share(over[above[n]] - held[n], weight)
            + PLACE / (1 + one.at)
            + (KIND if asked and _holds(asked, one.text, plain) else 0)
            + (REFERS * own[n - 1] if n and found[n - 1].at == one.at and _REFERS.match(one.text) else 0)
            + (QUESTION if one.text.endswith(("?", "？")) else 0)
            + (LEAD if one.leads else 0)
            for n, one in enumerate(found)
        ]

    def promising(self) -> list[int]:
        """The numbers of the statements that an embedder should be asked about."""
        return self.ranked()[:EMBEDDED]

    def learn(self, similarity: Mapping[int, float]) -> None:
        """How near statements are to the question by an embedder, 0 to 1, by their numbers."""
        self._similarity = {n: min(1.0, max(0.0, float(value))) for n, value in similarity.items()}

    def ranked(self) -> list[int]:
        """The numbers of the statements, best first; of equals the first."""
        scores = [score + SIMILARITY * self._similarity.get(n, 0.0) for n, score in enumerate(self._scores)]
        return sorted(range(len(scores)), key=lambda n: (-scores[n], n))

    def of_another(self, n: int, chosen: int) -> bool:
        """Whether a statement says in the same words as a chosen one what holds for something else: it is of another
        passage, and holds, with its heading, less of the question (sections of a manual are often that alike); or it is
        another row of the same table, and holds less of it.
        """
        one, other = self._found[n], self._found[chosen]
        if one.said and one.lead and one.lead == other.lead:
            return self._terms[n] & self._plain < self._terms[chosen] & self._plain
        if one.at == other.at or not self._answered[n] < self._answered[chosen]:
            return False
        own, others = ({term for term in self._terms[m] if not _NUMBER.search(term)} for m in (n, chosen))
        return len(own & others) >= ALIKE * len(own | others)

    def confidence(self, n: int) -> float:
        """How surely a statement is about what is asked, 0 to 1: the weight of the question's words that it or its
        heading holds; with an embedder, the mean of that and of its similarity. Little where a code is asked about that
        none of them holds.
        """
        share = self._shares[n]
        return self._trust * ((share + self._similarity.get(n, 0.0)) / 2 if self._similarity else share)


def _wanted(question: str) -> set[str]:
    """The terms that rank: of CJK text pairs of characters, which say more than single ones."""
    pairs = {pair for pair in cjk_bigrams(question) if is_cjk(pair[0]) and not _SMALL_CJK.issuperset(pair)}
    return pairs | {term for term in terms(question) if not is_cjk(term[0])}


def _foreign(question: str, found: Sequence[Statement]) -> set[str]:
    """Terms that say nothing because the statements are written in another script: an answer may hold none of them.

    What is left of a Chinese question on English pages are names, options and numbers, which stay as they are.
    """
    asked = _wanted(question) | terms(question)
    cjk = {term for term in asked if is_cjk(term[0])}
    written = sum(any(map(is_cjk, one.text)) for one in found)
    if cjk and written <= len(found) * _FOREIGN:
        return cjk
    if not cjk and written >= len(found) * (1 - _FOREIGN) and found:
        return {term for term in asked if term.isalpha() and not any(term in terms(one.text) for one in found)}
    return set()


def _held(wanted: set[str], text: str, own: set[str]) -> set[str]:
    """Those of the wanted terms that a text holds, whose terms are `own`; a pair of CJK characters may stand apart."""
    characters = set() if text.isascii() else set(fold(text))
    return {term for term in wanted if term in own or (is_cjk(term[0]) and characters.issuperset(term))}


def _holds(asked: re.Pattern[str], text: str, known: set[str]) -> bool:
    """Whether a text holds what is asked for; a name or a number that the question itself has is not it."""
    return any(not held[0].isascii() or terms(held[0]) - known for held in asked.finditer(text))


def _unknown(asked: set[str], texts: Sequence[str]) -> tuple[set[str], set[str]]:
    """Those of the codes that stand in none of the texts, and those that are only a part of one there (of HZ-200A)."""
    if not asked:
        return set(), set()
    whole = _bare("\n".join(texts))
    missing = asked - codes(whole)
    begun = {code for code in missing if not code.isdigit() and code in whole}
    return missing - begun, begun


def _weights(
    wanted: set[str], held: Sequence[set[str]], coded: Collection[str] = (), least: int = 0
) -> dict[str, float]:
    """Inverse document frequency of the wanted words among the statements, reckoned in `least` of them at least; times
    CODE for codes.
    """
    counts = Counter(term for own in held for term in own & wanted)
    count = {term: counts[term] + 0.5 for term in sorted(wanted)}
    size = max(len(held), least)
    return {term: math.log(1 + (size - n + 1) / n) * (CODE if term in coded else 1) for term, n in count.items()}


def _share(own: set[str], weight: Mapping[str, float]) -> float:
    """Part of the whole weight that a text's own terms have, 0 to 1. Summed in one order: the same every time."""
    whole = sum(weight.values())
    return sum(value for term, value in weight.items() if term in own) / whole if whole else 0.0
