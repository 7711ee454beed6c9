"""A task of labels: a message goes to one of the places that the project names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from slipway.core.answer import Output
from slipway.errors import ConfigError

NONE = "none"


class RouteConfig(BaseModel):
    """`labels`: where a message can go; `none` in addition means that no label fits, which counts as an abstention."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    labels: list[str] = Field(default=["billing", "technical", "账单"], min_length=2)


class RouteTask:
    """Rows have `message` and `label`; a chat's last message is the message."""

    Config: ClassVar[type[RouteConfig]] = RouteConfig
    inputs: ClassVar[tuple[str, ...]] = ("message",)
    reference: ClassVar[str] = "label"

    def __init__(self, config: RouteConfig) -> None:
        self.labels = {_folded(label): label for label in config.labels}

    def input(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The message. Raises ConfigError without one."""
        message = given.get("message")
        if not isinstance(message, str) or not message.strip():
            raise ConfigError("there is no message", "send text in the field 'message'")
        return {"message": message}

    def conversation(self, turns: Sequence[Mapping[str, str]]) -> dict[str, Any]:
        """What was said before does not matter here."""
        return self.input({"message": turns[-1]["content"] if turns else ""})

    def text(self, input: Mapping[str, Any]) -> str:
        """The message."""
        return input["message"]

    def expected(self, text: str) -> str:
        """The label as the project writes it. Raises ConfigError for one that it does not name."""
        if _folded(text) not in self.labels:
            raise ConfigError(f"'{text}' is no label", f"known: {', '.join(self.labels.values())}")
        return self.labels[_folded(text)]

    def output(self, text: str) -> Output:
        """The label that the text is. Raises ValueError for anything else."""
        said = _folded(text)
        if said == NONE:
            return Output(text=text, abstained=True)
        if said not in self.labels:
            raise ValueError(f"'{text[:50]}' is no label")
        return Output(text=self.labels[said], label=self.labels[said])


def _folded(text: str) -> str:
    return text.strip().strip(".。").casefold()
