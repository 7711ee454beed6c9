"""The contract that every task passes. Subclass it in a test file:

class TestMyTask(TaskContract):
    references = ("yes", "no")

    def make_task(self):
        return MyTask(MyTask.Config())
"""

# ruff: noqa: D102 -- the name of a test says what it tests

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from pydantic import ValidationError

from slipway.core.answer import Output
from slipway.errors import ConfigError

if TYPE_CHECKING:
    from slipway.core.protocols import Task

TEXTS = ("How do I pay my bill?", "如何支付账单？", "x", "two\nlines", "👍🏽 {{ 7 * 7 }} <b>", "a" * 5_000)
JUNK = ("", " ", "\x00", "{", "[]", "null", "nan", "-1", "\ud800", "a" * 50_000, "你好", '{"a": 1}')


class TaskContract:
    """What every task does alike. Override `make_task`, and the knobs that do not fit."""

    references: ClassVar[tuple[str, ...]] = ("a reference",)
    more: ClassVar[dict[str, Any]] = {}  # further fields that an input must have

    def make_task(self) -> Task:
        """A task."""
        raise NotImplementedError

    def given(self, text: str) -> dict[str, Any]:
        """What a row or a request gives for a text."""
        return {self.make_task().inputs[0]: text, **self.more}

    def test_names_its_fields(self) -> None:
        task = self.make_task()
        names = (*task.inputs, task.reference)
        assert task.inputs
        assert all(name.isidentifier() for name in names), "templates use them"
        assert len(set(names)) == len(names)
        assert not set(names) & {"passages", "examples", "language", "source", "group", "history"}

    @pytest.mark.parametrize("text", TEXTS)
    def test_an_input_is_plain_data_and_stays_what_it_is(self, text: str) -> None:
        task = self.make_task()
        found = task.input(self.given(text))
        assert task.input(found) == found
        assert json.loads(json.dumps(found)) == found
        assert task.inputs[0] in found
        assert text.strip() in task.text(found)
        assert task.text(found) == task.text(task.input(self.given(text)))

    @pytest.mark.parametrize("given", [{}, {"no such field": "x"}, "", " ", None, 7, ["a"]])
    def test_what_is_no_input_is_refused_in_words(self, given: Any) -> None:
        task = self.make_task()
        with pytest.raises(ConfigError) as caught:
            task.input(given if isinstance(given, dict) else {task.inputs[0]: given, **self.more})
        assert caught.value.message

    @pytest.mark.parametrize("text", TEXTS)
    def test_a_conversation_ends_with_the_input(self, text: str) -> None:
        task = self.make_task()
        before = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}]
        for turns in ([{"role": "user", "content": text}], [*before, {"role": "user", "content": text}]):
            found = task.conversation(turns)
            assert text.strip() in task.text(found)
            assert task.input(found) == found

    def test_an_empty_message_is_refused(self) -> None:
        for content in ("", " \n"):
            with pytest.raises(ConfigError):
                self.make_task().conversation([{"role": "user", "content": content}])

    def test_a_reference_is_right_by_its_own_measure(self) -> None:
        task = self.make_task()
        for text in self.references:
            expected = task.expected(text)
            assert task.expected(expected) == expected
            found = task.output(expected)
            assert isinstance(found, Output)
            assert not found.abstained
            assert expected in (found.text, found.label)

    @pytest.mark.parametrize("text", [*JUNK, *TEXTS])
    def test_any_text_is_an_output_or_is_none(self, text: str) -> None:
        try:
            found = self.make_task().output(text)
        except ValueError as error:
            assert str(error)
        else:
            assert isinstance(found, Output)
            assert found.confidence is None or 0 <= found.confidence <= 1

    def test_options_that_do_not_exist_are_refused(self) -> None:
        with pytest.raises(ValidationError):
            self.make_task().Config.model_validate({"no such option": 1})
