from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.core.answer import Citation
from slipway.runtime.excerpt import excerpt
from slipway.text.words import sentences, weigh

HARBOUR = "The harbour was built in 1840. Ships were repaired there. It was closed after the flood of 1953. Nobody lives there now."
KEEL = "The keel is laid first. It weighs nine tonnes. The paint is red."
ZH = "船坞建于一八四〇年。那里修理船只。洪水之后它关闭了。现在没有人住在那里。"


def passage(text: str, *path: str) -> Citation:
    return Citation(chunk=text[:4], source="a.md", path=path, start=0, end=len(text), text=text, score=1.0)


def shown(passages: Sequence[Citation]) -> str:
    return "\n".join(p.shown or p.text for p in passages)


def test_sentences_are_spans_of_the_text_also_in_lists_and_chinese() -> None:
    text = "One is here. Two, e.g. this, follows!\n- a list item\n| a | row |\n第一句。第二句！"
    assert [text[a:b] for a, b in sentences(text)] == [
        "One is here.", "Two, e.g. this, follows!", "- a list item", "| a | row |", "第一句。", "第二句！",
    ]  # fmt: skip


async def test_what_fits_is_left_as_it_is() -> None:
    whole = [passage(KEEL)]
    assert list(await excerpt("What does the keel weigh?", whole, 1000)) == whole


async def test_the_sentence_that_answers_is_shown_and_the_rest_left_out() -> None:
    found = await excerpt("When was the harbour closed after the flood?", [passage(HARBOUR), passage(KEEL)], 60)
    assert "1953" in shown(found)
    assert "Ships were repaired" not in shown(found)
    assert all(p.text in (HARBOUR, KEEL) for p in found)  # what was retrieved is still told


async def test_the_sentence_after_a_match_follows_it() -> None:
    found = await excerpt(
        "Which keel is laid first, and what of it?", [passage(KEEL), passage("Water is wet. " * 9)], 50
    )
    assert "nine tonnes" in shown(found)


async def test_chinese_is_ranked_by_its_characters() -> None:
    found = await excerpt("洪水之后怎么样了？", [passage(ZH)], 30)
    assert "关闭" in shown(found)
    assert "修理" not in shown(found)


async def test_headings_count_as_words_of_their_sentences() -> None:
    other = passage("It is open at nine. It is shut on Sundays.", "Museum")
    harbour = passage("It is open at seven. It is shut in winter.", "Harbour")
    assert "seven" in shown(await excerpt("When does the harbour open?", [other, harbour], 25))


async def test_the_embedder_speaks_too() -> None:
    async def nearest(texts: Sequence[str]) -> np.ndarray:
        return np.array([1.0 if "paint" in text else 0.0 for text in texts], np.float32)

    assert "paint" in shown(await excerpt("Which colour?", [passage(KEEL)], 20, nearest))


async def test_left_out_text_leaves_a_gap_and_order_is_that_of_the_text() -> None:
    found = await excerpt("built 1840, lives now", [passage(HARBOUR)], 75)
    assert shown(found) == "The harbour was built in 1840.\nNobody lives there now."


@pytest.mark.parametrize("question", ["", "?", "没有", "xyzzy"])
async def test_a_question_without_a_known_word_takes_the_first_sentences(question: str) -> None:
    found = await excerpt(question, [passage(HARBOUR), passage(KEEL)], 60)
    assert shown(found).startswith("The harbour was built in 1840.")


@given(st.lists(st.text(max_size=300), min_size=1, max_size=4), st.text(max_size=50), st.integers(1, 400))
async def test_any_text_gives_sentences_of_it_within_the_bound(texts: list[str], question: str, most: int) -> None:
    found = await excerpt(question, [passage(text) for text in texts], most)
    longest = max((weigh(t[a:b]) for t in texts for a, b in sentences(t)), default=0)
    for one in found:
        for line in one.shown.split("\n"):
            assert line in one.text
    if any(p.shown for p in found):
        assert sum(weigh(p.shown.replace("\n", "")) for p in found) <= max(most, longest) + most  # what stands between


async def test_a_statement_is_shown_with_the_term_that_it_explains() -> None:
    text = "wait (integer)\n\nIt is long. It is also short.\n\nport\n\n--port\n\nThe harbour gate. It listens on 8080 always."
    found = await excerpt("On what does the harbour port listen?", [passage(text)], 45)
    assert shown(found) == "port\n\n--port\nIt listens on 8080 always."
    tight = await excerpt("On what does the harbour port listen?", [passage(text)], 5)
    assert shown(tight) == shown(found)  # the best is always shown, and with its term
