"""`task: extract`: a text, and what it says as a JSON object of the fields that a schema names."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from slipway.builtin.tasks.json_schema import faults, ordered, problem
from slipway.builtin.tasks.text_input import TextInput
from slipway.core.answer import Output
from slipway.errors import ConfigError
from slipway.i18n import t


class ExtractConfig(BaseModel):
    """`schema`: a JSON schema of an object, in the project file or in a file of JSON that it names."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fields: dict[str, Any] = Field(alias="schema")

    @field_validator("fields")
    @classmethod
    def _usable(cls, value: dict[str, Any]) -> dict[str, Any]:
        try:
            why = faults(value)
        except RecursionError:
            why = t("it is nested too deep")
        if why:
            raise ValueError(why)
        return value


class ExtractTask(TextInput):
    """Rows have `text` and `fields`, an object; the last message of a chat is the text. What a model writes is held to
    the schema where its engine can do that, and is no output unless it fits.
    """

    Config: ClassVar[type[ExtractConfig]] = ExtractConfig
    inputs: ClassVar[tuple[str, ...]] = ("text",)
    reference: ClassVar[str] = "fields"

    def __init__(self, config: ExtractConfig) -> None:
        self.config = config

    @staticmethod
    def read(options: Mapping[str, Any], text: Callable[[str, str], str]) -> dict[str, Any]:
        """See `core.protocols.ReadsFiles`: `schema` may name a file."""
        named = options.get("schema")
        if not isinstance(named, str):
            return dict(options)
        try:
            schema = json.loads(text("schema", named).removeprefix("\ufeff"))
        except (ValueError, RecursionError) as error:
            raise ConfigError(t("{path} is not JSON: {why}", path=named, why=error)) from error
        return {**options, "schema": schema}

    @property
    def json_schema(self) -> dict[str, Any]:
        """What every output fits."""
        return self.config.fields

    def expected(self, text: str) -> str:
        """The object as a model should write it. Raises ConfigError for what the schema does not allow."""
        try:
            return self._written(text)
        except ValueError as error:
            raise ConfigError(
                t("the reference does not fit the schema: {why}", why=error), t("correct the row, or the schema")
            ) from error

    def output(self, text: str) -> Output:
        """The object, as JSON on one line. Raises ValueError for anything that does not fit the schema."""
        said = text.strip()
        if said.startswith("```") and said.endswith("```"):  # as chat models wrap it without a grammar
            said = said.removeprefix("```").removesuffix("```").removeprefix("json")
        return Output(text=self._written(said))

    def _written(self, text: str) -> str:
        try:
            value = json.loads(text, parse_constant=_no_number, parse_float=_number)
        except RecursionError as error:
            raise ValueError("nested too deep") from error
        if not isinstance(value, dict):
            raise ValueError("not a JSON object")
        why = problem(value, self.config.fields)
        if why:
            raise ValueError(why)
        written = json.dumps(ordered(value, self.config.fields), ensure_ascii=False)
        written.encode()  # half a surrogate pair is no text: UnicodeEncodeError is a ValueError
        return written


def _number(text: str) -> float:
    found = float(text)
    if not math.isfinite(found):  # 1e400 would be written as Infinity
        raise ValueError(f"{text[:20]} is too large for a number")
    return found


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no JSON")
