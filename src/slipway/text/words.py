"""How text is cut into words, in any language. Pure functions; knows nothing of metrics, indexes or files.

Chinese, Japanese and Korean are not cut at spaces: each of their characters is a word of its own ("mixed
segmentation", CMRC 2018, Cui et al. 2019; used for Chinese by MLQA, Lewis et al. 2020), or, for an index, each pair
of neighbours is. Everything else is cut where letters, digits and combining marks end. Thai, Lao, Khmer and Burmese
are written without spaces too and are left in long words here.
"""

from __future__ import annotations

import contextlib
import json
import re
import unicodedata
from functools import cache

from slipway.text.punctuation import meaningful, trimmed
from slipway.text.simplified import simplified

# Han (all extensions), kana, bopomofo, hangul and jamo, half-width forms; the middle dot U+30FB is punctuation.
_CJK = (
    "\u1100-\u11ff\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303b\u3041-\u309f\u30a1-\u30fa"
    "\u30fc-\u30ff\u3105-\u318f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff"
    "\uf900-\ufaff\uff66-\uffdc\U0001aff0-\U0001b16f\U00020000-\U0003ffff"
)
CJK_WEIGHT = 2.5
# With its punctuation.
WIDE = re.compile("[\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")
_IS_CJK = re.compile(f"[{_CJK}]")
NOTE = r"(?:\[\^[\w.-]{1,40}\])*"  # references to footnotes, as Markdown writes them
# After a full stop with a space (not after an initial or a common abbreviation), or after a CJK full stop.
SENTENCE_END = re.compile(
    r"(?<![ (][A-Z])(?<!\be\.g)(?<!\bi\.e)(?<!\bvs)(?<!\bcf)(?<!\bNo)(?<!\bDr)(?<!\bMr)(?<!\bMs)(?<!\bFig)(?<!\bMrs)"
    r"(?<!\bapprox)(?<!\b[Mm]ax)(?<!\bca)(?<!\bpp)(?<!\bArt)(?<!\bSec)(?<!\bProf)(?<!\bSr)(?<!\bSra)(?<!\bNr)(?<!\bAbs)"
    rf"[.!?…][\"'”’)\]]*{NOTE}[ \t]+(?=[\"'“‘(\[]?[^\Wa-z_]|`)|[。！？；…][”’」』）】\"']*{NOTE}"
)
_ARTICLES = frozenset({"a", "an", "the"})
_ARTICLE_LANGUAGES = ("en", "und", "")
_CURRENCY = re.compile("[\u00a2-\u00a5\u20a0-\u20c0]")


@cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    r"""(one CJK character or one other word, a run of CJK characters or one other word).

    `\w` leaves out combining marks, which would cut Hindi or Arabic words in pieces, so they are added.
    """
    marks = "".join(chr(code) for code in range(0x300, 0xAC00) if unicodedata.category(chr(code))[0] == "M")
    marks = "".join(mark for mark in marks if not _IS_CJK.match(mark))
    word = rf"(?:[^\W_{_CJK}][{marks}]*)+"
    return re.compile(rf"[{_CJK}]|{word}"), re.compile(rf"[{_CJK}]+|{word}")


def is_cjk(character: str) -> bool:
    """Whether one character is Han, kana, bopomofo or hangul."""
    return _IS_CJK.match(character) is not None


def fold(text: str) -> str:
    """NFKC (full-width and half-width forms, ligatures; Unicode Annex 15) and case folding."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def words(text: str) -> list[str]:
    """The folded words of `text`, in order, without punctuation; each CJK character is one word."""
    return _patterns()[0].findall(fold(text))


def cjk_bigrams(text: str) -> list[str]:
    """As `words`, but a run of CJK characters becomes its overlapping pairs; a lone character stays alone.

    For lexical indexes (as Lucene's CJKAnalyzer does).
    """
    tokens: list[str] = []
    for run in _patterns()[1].findall(fold(text)):
        if len(run) > 1 and is_cjk(run[0]):
            tokens.extend(run[i : i + 2] for i in range(len(run) - 1))
        else:
            tokens.append(run)
    return tokens


def index_words(text: str) -> list[str]:
    """The words that an index compares: `cjk_bigrams`, traditional characters as simplified ones."""
    return cjk_bigrams(simplified(text))


def weigh(text: str) -> float:
    """Characters, a CJK one counting 2.5: it carries about that much."""
    return float(len(text)) if text.isascii() else len(text) + (CJK_WEIGHT - 1) * len(WIDE.findall(text))


def sentences(text: str) -> list[tuple[int, int]]:
    """The spans of the sentences of `text`, trimmed; a line (of a list, a table, code) that ends is a sentence too."""
    spans: list[tuple[int, int]] = []
    for line in re.finditer(r"[^\n]+", text):
        at = line.start()
        for stop in [*(found.end() for found in SENTENCE_END.finditer(text, at, line.end())), line.end()]:
            piece = text[at:stop]
            if piece.strip():
                spans.append((at + len(piece) - len(piece.lstrip()), at + len(piece.rstrip())))
            at = stop
    return spans


def answer_words(text: str, language: str = "und") -> list[str]:
    """The words of an answer as answers are compared: case, articles and punctuation that says nothing do not count.

    Numbers and names keep the marks that make them what they are (`text.punctuation`): 3.5 is not 35, -5 not 5, C++ not
    C#. For the rest SQuAD's rule (Rajpurkar et al. 2016): "U.S." is "us", words are cut at spaces, articles dropped;
    CJK characters stand alone (MLQA, Lewis et al. 2020). Articles are dropped only for English or unknown `language`,
    and where a word follows: "vitamin A" keeps its A. The published rules themselves are in `text.published`.
    """
    spaced = _IS_CJK.sub(lambda found: f" {found[0]} ", meaningful(text, language))
    tokens = _CURRENCY.sub(lambda found: f" {found[0]} ", spaced).split()
    if language.split("-")[0].lower() in _ARTICLE_LANGUAGES:
        last = len(tokens) - 1
        return [token for n, token in enumerate(tokens) if token not in _ARTICLES or n == last]
    return tokens


def normalize_answer(text: str, language: str = "und") -> str:
    """`answer_words` joined by single spaces: equal strings are the same answer."""
    return " ".join(answer_words(text, language))


def answer_key(text: str) -> str:
    """What an answer, a correction or a question says, to tell whether two say the same: `normalize_answer` with all
    its words, and an object of JSON by its values. So 3.5 is not 35, -5 not 5, C++ not C#.
    """
    if text.lstrip().startswith("{"):
        with contextlib.suppress(ValueError, RecursionError):
            return json.dumps(json.loads(text), sort_keys=True, ensure_ascii=False)
    return normalize_answer(text, "zh") or " ".join(text.split())  # a language without articles: all words count


def normalize_label(text: str) -> str:
    """A class label or heading to compare: folded, spaces collapsed, punctuation and spaces trimmed at both ends.

    Inside, everything stays, and at the ends what means something does: "C++", "C#" and "C" differ, and "-1" and "1".
    """
    return trimmed(" ".join(fold(text).split()))
