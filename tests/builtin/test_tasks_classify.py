"""What an input, a label and a model's text are to `task: classify`."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from slipway.builtin.tasks.classify import ClassifyConfig, ClassifyTask
from slipway.errors import ConfigError
from slipway.plugins import Plugins
from slipway.testing.tasks import TaskContract

LABELS = ["card", "card arrival", "card_not_working", "C++", "C#", "账单", "账单查询", "Other"]


def task(labels: Any = tuple(LABELS)) -> ClassifyTask:
    return ClassifyTask(ClassifyConfig(labels=labels))


class TestDeclared(TaskContract):
    references = ("card", "CARD arrival ", "账单")

    def make_task(self) -> ClassifyTask:
        return task()


@pytest.mark.parametrize(
    ("said", "label"),
    [
        ("card", "card"),
        (" Card. ", "card"),
        ("It is card arrival.", "card arrival"),
        ("The label is: card not working", "card_not_working"),
        ("c++", "C++"),
        ("C#", "C#"),
        ("这是账单查询的问题", "账单查询"),
        ("账单", "账单"),
        ("other", "Other"),
    ],
)
def test_the_label_that_a_text_is_or_names(said: str, label: str) -> None:
    found = task().output(said)
    assert (found.text, found.label) == (label, label)


@pytest.mark.parametrize("said", ["", "I do not know", "card arrival or 账单", "discard", "cards", "Other, or card?"])
def test_a_text_that_names_no_label_or_two_is_none(said: str) -> None:
    with pytest.raises(ValueError, match="names"):
        task().output(said)


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        (["only"], "at least two"),
        (["Apple", "apple"], "differ only in case"),
        (["a", "a"], "listed twice"),
        ({1: "x", "1": "y"}, "listed twice"),
        ([True, False], "in quotes"),  # what YAML makes of `yes` and `no`: every row was dropped
        ({False: "x", "b": "y"}, "in quotes"),
        (["a", None], "in quotes"),
        (["a", date(2026, 1, 31)], "in quotes"),
        (["a", ["b"]], "must be text"),
        (["a", " "], "1 to 200"),
        ({"a": 1, "b": 2}, "string"),
        ("a, b", "dict"),
    ],
)
def test_labels_that_cannot_be_told_apart_are_refused(labels: Any, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        ClassifyConfig(labels=labels)


def test_numbers_are_labels() -> None:
    assert list(task([0, 1, 1.5]).labels) == ["0", "1", "1.5"]


def test_a_thousand_labels() -> None:
    many = task([f"label {n}" for n in range(1000)])
    assert many.output("I would say label 77").label == "label 77"
    assert many.expected("LABEL 999") == "label 999"


def test_a_label_that_is_not_declared_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        task().expected("card arival")
    assert "card arrival" in caught.value.hint


def test_labels_are_learned_in_the_spelling_used_most() -> None:
    free = task([])
    assert free.expected("anything") == "anything"
    assert free.learned(["Billing", "billing", "billing", "账单"]) == {"labels": {"billing": "", "账单": ""}}
    assert task().learned(["never seen"]) == {"labels": dict.fromkeys(LABELS, "")}
    for seen in ([], ["one", "One"]):
        with pytest.raises(ConfigError):
            free.learned(seen)


def test_an_input_is_one_text_and_a_chat_its_last_turn() -> None:
    turns = [{"role": "user", "content": "hello"}, {"role": "user", "content": "where is it?"}]
    assert task().conversation(turns) == {"text": "where is it?"}
    with pytest.raises(ConfigError, match="most"):
        task().input({"text": "a" * 100_001})


def test_what_is_wrong_with_labels_is_told_in_our_words_alone() -> None:
    with pytest.raises(ConfigError, match=r"^task: labels: name at least two labels"):
        Plugins().config("tasks", "classify", {"labels": ["a"]}, "task")
