from __future__ import annotations

import pytest

from slipway.builtin.tasks.answer import AnswerTask
from slipway.core.answer import Citation
from slipway.core.message import Message
from slipway.errors import ConfigError
from slipway.runtime.prompt import build_messages, check_template


def passage(text: str) -> Citation:
    return Citation(chunk="c", source="a.md", path=("A", "B"), start=0, end=1, text=text, score=1.0)


def test_system_history_and_the_rendered_turn() -> None:
    template = "{% for p in passages %}[{{ p.n }}] {{ p.heading }}: {{ p.text }}\n{% endfor %}Q: {{ question }}"
    input = {
        "question": "为什么?",
        "history": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}],
    }
    assert build_messages(template, "Be brief.", input, [passage("one"), passage("two")], []) == (
        Message("system", "Be brief."),
        Message("user", "hi"),
        Message("assistant", "ho"),
        Message("user", "[1] A > B: one\n[2] A > B: two\nQ: 为什么?"),
    )


def test_a_number_that_python_cannot_write_is_said_in_words() -> None:
    check_template("{{ question }}{% set x = 1e999 %}{{ x }}", "p.md", AnswerTask)
    with pytest.raises(ConfigError, match="failed on this input"):
        build_messages("{{ question }}{% set x = 1e999 %}{{ x }}", "", {"question": "q"}, (), ())


def test_a_question_is_text_not_a_template() -> None:
    found = build_messages("{{ question }}", "", {"question": "{{ 7 * 7 }} {% raw %}"}, [], [])
    assert found[0].content == "{{ 7 * 7 }} {% raw %}"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ question", r"p\.md:1"),
        ("a\n{% for %}{{ question }}", r"p\.md:2"),
        ("{{ qestion }}", "did you mean 'question'"),
        ("no variable", "never uses 'question'"),
    ],
)
def test_a_template_that_cannot_work_is_refused(template: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_template(template, "p.md", AnswerTask)


@pytest.mark.parametrize(
    "template",
    [
        "{{ question.__class__.__mro__ }}",
        "{{ ''.__class__.__base__.__subclasses__() }}{{ question }}",
        "{{ passages.append(1) }}{{ question }}",
        "{{ question / 0 }}",
        "{% for i in range(10**9) %}x{% endfor %}{{ question }}",
        "{% include '/etc/passwd' %}{{ question }}",
    ],
)
def test_a_template_cannot_leave_its_sandbox(template: str) -> None:
    with pytest.raises(ConfigError, match="failed on this input"):
        build_messages(template, "", {"question": "q"}, [], [])
