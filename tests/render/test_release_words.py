"""Two prompts beside each other: every word that only one of them has is marked, wherever it stands."""

from __future__ import annotations

from slipway.render.document import Passage, Section
from slipway.render.pages.releases import release_difference

BEFORE = (
    "Answer briefly and only from the passages below.\n{{ question }}\nIf they do not say, say that you do not know."
)
AFTER = "Answer politely and only from the passages below.\n{{ question }}\nIf they do not say, say that nobody knows."


def marked(found: object) -> list[list[str]]:
    assert isinstance(found, Section)
    passages = [part for side in found.parts if isinstance(side, Section) for part in side.parts]
    return [[one.text[a:b] for a, b in one.marked] for one in passages if isinstance(one, Passage)]


def test_changes_at_both_ends_of_a_prompt_are_marked_word_by_word() -> None:
    found = release_difference({"candidate.prompt": (BEFORE, AFTER)}, whole=True)
    (section,) = [part for part in found.parts if isinstance(part, Section)]
    assert section.title == "prompt"
    before, after = marked(section)
    assert before == ["briefly ", "you do not know."]
    assert after == ["politely ", "nobody knows."]


def test_short_values_and_texts_too_long_to_compare_are_not() -> None:
    short = release_difference({"candidate.retrieve.top_k": (3, 4)}, whole=True)
    assert not [part for part in short.parts if isinstance(part, Section)]
    long = release_difference({"candidate.prompt": ("a " * 5_000, "b " * 5_000)}, whole=True)
    (section,) = [part for part in long.parts if isinstance(part, Section)]
    assert not marked(section)
    assert not [part for part in release_difference({"p": (BEFORE, AFTER)}).parts if isinstance(part, Section)]
