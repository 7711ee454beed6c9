"""The contract that every scorer passes. Subclass it in a test file:

class TestMyScorer(ScorerContract):
    def make_scorer(self):
        return MyScorer(MyScorer.Config())
"""

# ruff: noqa: D102 -- the name of a test says what it tests

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import pytest
from pydantic import ValidationError

from slipway.core.answer import Answer, Citation
from slipway.core.material import Example

if TYPE_CHECKING:
    from slipway.core.protocols import Scorer

EXAMPLES = (
    Example(
        input={"question": "How heavy is the keel?"}, expected=("13 tonnes",), relevant=("keel.md",), language="en"
    ),
    Example(input={"question": "多少钱？"}, expected=("三百元", "300元"), relevant=("price.md#价格",), language="zh"),
    Example(input={"question": "Nobody knows"}, language="en"),
    Example(input={"question": "?"}, expected=("",)),
)
TEXTS = ("13 tonnes", "thirteen", "三百元", "", " ", "\x00\ud800", "a" * 20_000, "👍🏽", "0.5", "-1", "nan")
PASSAGE = Citation(chunk="0" * 64, source="keel.md", path=("Keel",), start=0, end=9, text="13 tonnes", score=0.9)


class ScorerContract:
    """What every scorer does alike. Override `make_scorer`."""

    def make_scorer(self) -> Scorer:
        """A scorer."""
        raise NotImplementedError

    def scored(self) -> list[tuple[Example, Answer, float | None]]:
        scorer = self.make_scorer()
        citations = ((), (PASSAGE,), (msgspec.structs.replace(PASSAGE, cited=True), PASSAGE))
        answers = [Answer(text=text, raw=text, citations=found) for text in TEXTS for found in citations]
        answers.append(Answer(text="", raw="", error="it failed"))
        answers.append(Answer(text="none", raw="none", abstained=True))
        return [(example, answer, scorer.score(example, answer)) for example in EXAMPLES for answer in answers]

    def test_says_which_direction_is_better(self) -> None:
        assert isinstance(self.make_scorer().higher_is_better, bool)

    def test_values_lie_between_0_and_1_or_there_is_none(self) -> None:
        for example, answer, value in self.scored():
            if value is not None:
                assert isinstance(value, int | float), (example, answer)
                assert math.isfinite(value), (example, answer)
                assert 0 <= value <= 1, (example, answer, value)

    def test_the_same_again(self) -> None:
        assert [value for *_, value in self.scored()] == [value for *_, value in self.scored()]

    def test_options_that_do_not_exist_are_refused(self) -> None:
        with pytest.raises(ValidationError):
            self.make_scorer().Config.model_validate({"no such option": 1})
