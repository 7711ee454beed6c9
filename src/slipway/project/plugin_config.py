"""How a plug-in is named in the project file: by its name, or by its name with options of its own."""

from __future__ import annotations

from typing import Any

from pydantic import model_validator

from slipway.core.metrics import METRICS
from slipway.i18n import t
from slipway.project.fields import Strict

_NAMED: dict[str, Any] = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": {"anyOf": [{"type": "object"}, {"type": "null"}]},
        },
    ]
}


def _named(value: Any) -> tuple[str, dict[str, Any]]:
    """A name and its options, from `name` or `{name: {option: value}}`."""
    if isinstance(value, str):
        return value, {}
    if isinstance(value, dict) and len(value) == 1:
        ((name, options),) = value.items()
        if isinstance(name, str) and (options is None or isinstance(options, dict)):
            return name, dict(options or {})
    raise ValueError(t("write a name, or one name with its options: {example}", example="name: {option: value}"))


class _Named(Strict):
    """Written as a name, or as one name with its options: `faiss`, or `faiss: {type: flat}`."""

    name: str
    options: dict[str, Any] = {}

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        """A name, or a mapping of one name to its options."""
        return _NAMED

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if isinstance(value, dict) and cls._is_whole(value):
            return value
        return cls._fields(*_named(value))

    @classmethod
    def _is_whole(cls, value: dict[Any, Any]) -> bool:
        """Whether it is what `_fields` made, read again."""
        return value.keys() == {"name", "options"}

    @classmethod
    def _fields(cls, name: str, options: dict[str, Any]) -> dict[str, Any]:
        return {"name": name, "options": options}


class PluginConfig(_Named):
    """A plug-in by its name, or with options of its own: `faiss`, or `faiss: {type: flat}`."""

    def __repr__(self) -> str:
        return repr({self.name: self.options} if self.options else self.name)


class MetricConfig(_Named):
    """A metric by its name; with options of its scorer; or under a name of yours: `short: {scorer: ./my.py:Short}`."""

    scorer: str

    @classmethod
    def _is_whole(cls, value: dict[Any, Any]) -> bool:
        return {"name", "scorer"} <= value.keys() <= {"name", "scorer", "options"}

    @classmethod
    def _fields(cls, name: str, options: dict[str, Any]) -> dict[str, Any]:
        scorer = options.pop("scorer", name)
        if scorer != name and name in METRICS:
            raise ValueError(t("'{name}' is a metric of Slipway's own; give yours another name", name=name))
        return {"name": name, "scorer": scorer, "options": options}

    def __repr__(self) -> str:
        more = {} if self.scorer == self.name else {"scorer": self.scorer}
        return repr({self.name: more | self.options} if more or self.options else self.name)
