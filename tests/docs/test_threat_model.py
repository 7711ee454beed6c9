"""The threat model names tests; every one of them exists, and both languages name the same."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
PAGES = {language: (ROOT / f"docs/{language}/threat-model.md").read_text("utf-8") for language in ("en", "zh")}


@pytest.mark.parametrize(("file", "name"), sorted(set(NAMED.findall(PAGES["en"]))))
def test_a_test_that_is_named_exists(file: str, name: str) -> None:
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    defined = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert name in defined, f"{file} has no test '{name}'"


def test_both_languages_name_the_same_tests() -> None:
    assert NAMED.findall(PAGES["en"]) == NAMED.findall(PAGES["zh"])


def test_every_row_of_the_owasp_list_has_a_test() -> None:
    for language, page in PAGES.items():
        rows = dict(re.findall(r"^## (LLM\d\d) .+?\n(.*?)(?=^## )", page, re.M | re.S))
        assert list(rows) == [f"LLM{n:02}" for n in range(1, 11)], language
        assert all(NAMED.search(text) for text in rows.values())
