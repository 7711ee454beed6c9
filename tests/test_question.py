"""What an input is called is known to its task alone: `question` stands in the task `answer`, and in what is not ours."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import slipway

ROOT = Path(slipway.__file__).parent
MAY = (
    "builtin/tasks/answer.py", "testing/", "project/templates/",
    # Others' formats call it that, and a draft is a question whatever the task calls what it becomes.
    "data/imports/", "data/drafts/", "loop/drafting.py", "cli/reviewing.py", "render/pages/drafts.py",
)  # fmt: skip
FILES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))


def named(source: str, word: str) -> Iterator[int]:
    """Lines in which a field of this name is read or written: as a text by itself, a keyword, or an attribute."""
    tree = ast.parse(source)
    said = {id(part) for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "t"
            for part in node.args}  # fmt: skip  # a word for people is no field
    for node in ast.walk(tree):
        if id(node) in said:
            continue
        found = (
            (isinstance(node, ast.Constant) and node.value == word)
            or (isinstance(node, ast.keyword) and node.arg == word)
            or (isinstance(node, ast.Attribute) and node.attr == word)
        )
        if found:
            yield node.lineno


@pytest.mark.parametrize(
    "line", ["x['question']", "f(question=1)", "x.question", "{'question': 1}", "x = ('question',)"]
)
def test_it_would_be_found(line: str) -> None:
    assert list(named(f"\n{line}", "question")) == [2]
    assert not list(named("question = 'a question'", "question"))


def test_no_module_but_the_task_knows_what_a_question_is_called() -> None:
    found = [
        f"{name}:{line}"
        for name in FILES
        if not name.startswith(MAY)
        for line in named((ROOT / name).read_text("utf-8"), "question")
    ]
    assert found == []
    assert list(named((ROOT / MAY[0]).read_text("utf-8"), "question"))
