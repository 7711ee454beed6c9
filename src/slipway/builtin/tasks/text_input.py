"""What tasks over a single text have in common: the input is `{"text": ...}`, and of a conversation its last turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slipway.errors import ConfigError
from slipway.i18n import t

LONGEST = 100_000  # characters of a text; a longer one is refused before any work is done


def one_text(given: Mapping[str, Any], field: str) -> str:
    """The text in a field of an input. Raises ConfigError without one or for one too long."""
    text = given.get(field)
    if not isinstance(text, str) or not text.strip():
        raise ConfigError(
            t("the input has no '{field}'", field=field), t("send text in the field '{field}'", field=field)
        )
    if len(text) > LONGEST:
        raise ConfigError(
            t("'{field}' has {n} characters; {most} is the most", field=field, n=len(text), most=LONGEST),
            t("shorten it, or add it as a document to search"),
        )
    return text


class TextInput:
    """The part of a task that is about its input."""

    def input(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The text. Raises ConfigError without one or for one too long."""
        return {"text": one_text(given, "text")}

    def conversation(self, turns: Sequence[Mapping[str, str]]) -> dict[str, Any]:
        """The last turn; what was said before does not matter."""
        return self.input({"text": turns[-1]["content"] if turns else ""})

    def text(self, input: Mapping[str, Any]) -> str:
        """The text."""
        return input["text"]
