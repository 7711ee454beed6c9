"""`task: answer`: a question, and an answer in words. The one place that knows what a question is called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from slipway.builtin.tasks.text_input import one_text
from slipway.core.answer import Output


class AnswerConfig(BaseModel):
    """Nothing to choose."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AnswerTask:
    """A question, answered in words. `history`: what was said before it, from a chat."""

    Config: ClassVar[type[AnswerConfig]] = AnswerConfig
    inputs: ClassVar[tuple[str, ...]] = ("question",)
    reference: ClassVar[str] = "answer"

    def __init__(self, config: AnswerConfig) -> None:
        self.config = config

    def input(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The question, and the history when there is one. Raises ConfigError without one or for one too long."""
        question = one_text(given, "question")
        history = given.get("history")
        return {"question": question, "history": list(history)} if history else {"question": question}

    def conversation(self, turns: Sequence[Mapping[str, str]]) -> dict[str, Any]:
        """The last turn is the question, what came before is history."""
        return self.input({"question": turns[-1]["content"] if turns else "", "history": turns[:-1]})

    def text(self, input: Mapping[str, Any]) -> str:
        """The question."""
        return input["question"]

    def expected(self, text: str) -> str:
        """Any text."""
        return text

    def output(self, text: str) -> Output:
        """The text."""
        return Output(text=text)
