"""All that the rules find in a document, as drafts with their source and lineage."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain

from slipway.core.material import Document
from slipway.core.ref import digest_of
from slipway.data.drafts import chinese, english, structure
from slipway.data.drafts.as_written import AsWritten, plain
from slipway.data.drafts.draft import Draft
from slipway.data.drafts.found import Found
from slipway.data.drafts.passages import Passage, passages
from slipway.data.references import Corpus
from slipway.text.language import of_short_text
from slipway.text.words import fold, is_cjk, words

LANGUAGES = ("en", "zh")
_SKIPPED = re.compile(
    r"\b(?:change ?log|release (?:notes|history|\d)|what's new|table of contents|bibliography|copyright|"
    r"licen[cs]e|see also|"
    r"references|credits|acknowledg\w+|version history|index)\b|release \d|^(?:目录|索引|参见|参考文献|版权|"
    r"许可|致谢|更新日志|发行说明|相关主题)",
    re.IGNORECASE,
)


def drafts_of(document: Document, corpus: Corpus) -> Iterator[Draft]:
    """Every draft of a document in English or Chinese, in its order; nothing for one in another language."""
    language = document.language.split("-")[0].lower()
    if language == "und":
        language = of_short_text(document.text)
    if language not in LANGUAGES:
        return
    written, read = AsWritten(document.text), plain(document)
    paths = {(one.start, one.end): one.path for one in document.sections}
    for passage in passages(read):
        if any(_SKIPPED.search(heading) for heading in (*passage.headings, document.title)):
            continue
        source = _source(document, paths.get((passage.section.start, passage.section.end), ()), corpus)
        for found in _found(passage, language == "zh"):
            if found.fits and _answered(found) and _language(found, language):
                yield Draft(
                    id=digest_of([found.rule, fold(found.question), source])[:12],
                    question=written(found.question),
                    answer=written(found.answer),
                    source=source,
                    language=language,
                    rule=found.rule,
                    document=document.digest,
                    passage=written(found.passage[:1000]),
                )


def _found(passage: Passage, in_chinese: bool) -> Iterator[Found]:
    rules = chinese if in_chinese else english
    for sentence, first in passage.sentences():
        yield from rules.of_sentence(sentence, passage, first=first)
    opening = next((block.text for block in passage.blocks if block.kind == "text"), "")
    if opening:
        yield from rules.of_heading(passage, structure.opening(opening))
        yield from rules.of_description(passage, structure.first(opening))
    yield from chain(
        structure.of_tables(passage, in_chinese),
        structure.of_terms(passage, in_chinese),
        structure.of_steps(passage, in_chinese),
    )


def _source(document: Document, path: Sequence[str], corpus: Corpus) -> str:
    """`document#heading` where that names this section, else the document."""
    if path:
        name = f"{document.source}#{path[-1]}"
        if not corpus.place(name).problem:
            return name
    return document.source


def _answered(found: Found) -> bool:
    """Whether the answer says more than the question."""
    asked = set(words(found.question))
    return any(word not in asked for word in words(found.answer))


def _language(found: Found, language: str) -> bool:
    """A page may hold passages in another language: the answer of a Chinese question is Chinese, or a short name."""
    chars = [char for char in found.answer if char.isalpha()]
    share = sum(map(is_cjk, chars)) / len(chars) if chars else 0.0
    return share < 0.1 if language == "en" else share > 0.2 or len(found.answer) < 60
