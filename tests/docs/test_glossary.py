"""The pages keep to the glossary: a word that it rules out does not stand on them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GLOSSARY = (ROOT / "docs/design/022-glossary.md").read_text("utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in GLOSSARY.splitlines()
    if line.startswith("| ") and not line.startswith("| term ")
]
NOT = [word for row in ROWS for word in re.findall(r"`([^`]+)`", row[3])]
PAGES = sorted([*ROOT.glob("docs/en/*.md"), *ROOT.glob("docs/zh/*.md"), *ROOT.glob("README*.md")])


def test_the_table_has_rows_and_words() -> None:
    assert len(ROWS) > 50
    assert len(NOT) > 15
    assert all(len(row) == 4 and re.search("[\u4e00-\u9fff]", row[1]) for row in ROWS)
    assert len({row[0] for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_uses_no_word_that_the_glossary_rules_out(page: Path) -> None:
    lines = list(enumerate(page.read_text("utf-8").splitlines(), 1))
    pattern = {word: rf"\b{re.escape(word)}\b" if word.isascii() else re.escape(word) for word in NOT}
    found = [f"{n}: {word}" for n, line in lines for word in NOT if re.search(pattern[word], line, re.IGNORECASE)]
    assert not found
