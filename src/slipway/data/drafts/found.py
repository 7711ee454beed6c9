"""What a rule finds: a question whose answer stands in the document, word for word."""

from __future__ import annotations

import re

import msgspec

from slipway.text.words import weigh

LONGEST_QUESTION = 200  # weighted characters
LONGEST_ANSWER = 500
_MARKUP = re.compile(
    r"\]\(|!\[|https?://\S{60}|<[a-z/!][^>]*>|\x00|\{[%{]|「\s*」|「 |“\s*”|按[住下]? *(?:键|\+)|(?:^|[\s“\"])"
    r"\+ ?[A-Z\u4e00-\u9fff]"
)


class Found(msgspec.Struct):
    """`passage`: the sentence or row that it was made from, for whoever judges it."""

    rule: str
    question: str
    answer: str
    passage: str

    @property
    def fits(self) -> bool:
        """Whether it can be asked and answered in a line or a few, without markup in it."""
        return (
            8 <= weigh(self.question) <= LONGEST_QUESTION
            and 2 <= weigh(self.answer) <= LONGEST_ANSWER
            and any(char.isalnum() for char in self.answer)
            and not _MARKUP.search(self.question + self.answer)
            and _balanced(self.answer)
            and _balanced(self.question)
        )


def _balanced(text: str) -> bool:
    """No bracket or quotation mark is open: a span was not cut inside one."""
    pairs = ("()", "[]", "（）", "《》", "“”", "「」", "【】")
    return all(text.count(a) == text.count(b) for a, b in pairs) and text.count('"') % 2 == 0
