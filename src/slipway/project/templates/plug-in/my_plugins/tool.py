"""A tool: what a word means in this house."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict


class GlossaryConfig(BaseModel):
    """`words`: word -> what it means."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    words: dict[str, str] = {"slipway": "a ramp into the water"}


class Glossary:
    """Looks a word up, whatever its case."""

    Config: ClassVar[type[GlossaryConfig]] = GlossaryConfig
    name: ClassVar[str] = "glossary"
    description: ClassVar[str] = "Tells what a word of this company means."
    parameters: ClassVar[dict[str, Any]] = {
        "type": "object",
        "properties": {"word": {"type": "string"}},
        "required": ["word"],
        "additionalProperties": False,
    }

    def __init__(self, config: GlossaryConfig) -> None:
        self._words = {word.casefold(): meaning for word, meaning in config.words.items()}

    async def call(self, arguments: Mapping[str, Any]) -> str:
        """The meaning. ValueError tells the model what was wrong."""
        word = arguments.get("word")
        if not isinstance(word, str):
            raise ValueError("`word` must be a text")
        return self._words.get(word.strip().casefold(), f"'{word}' is not in the glossary")
