"""How single values of the project file are written: numbers with units, money, names. Knows no key of the file."""

from __future__ import annotations

import ipaddress
import math
import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from slipway.core.release import check_channel
from slipway.errors import ConfigError
from slipway.i18n import joined, t

SECONDS = {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_QUANTITY = re.compile(r"\s*([-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)\s*([A-Za-z%]*)\s*")
NAME = r"^[a-z0-9][a-z0-9_.-]{0,62}$"


def quantity(value: Any, units: dict[str, float]) -> Any:
    """A number with one of `units` as a plain number; plain numbers pass; raises ValueError with the known units."""
    if not isinstance(value, str):
        return value
    found = _QUANTITY.fullmatch(value)
    if found and (not found[2] or found[2] in units):
        number = float(found[1]) * (units[found[2]] if found[2] else 1.0)
        if math.isfinite(number):
            return number
    raise ValueError(t("'{value}' is not a number with one of the units {units}", value=value, units=", ".join(units)))


def _written(pattern: str, *more: dict[str, Any]) -> WithJsonSchema:
    """The JSON schema of a number that may be written with a unit."""
    number = r"^\s*[-+]?\d+(\.\d+)?([eE][-+]?\d+)?\s*"
    return WithJsonSchema(
        {"anyOf": [{"type": "number"}, {"type": "string", "pattern": f"{number}({pattern})?$"}, *more]}
    )


Seconds = Annotated[float, BeforeValidator(lambda v: quantity(v, SECONDS)), _written("|".join(SECONDS))]
Bytes = Annotated[
    float, BeforeValidator(lambda v: quantity(v, {k: float(n) for k, n in _BYTES.items()})), _written("|".join(_BYTES))
]
Kept = Annotated[
    float | None,
    BeforeValidator(lambda v: quantity(v, SECONDS)),
    Field(gt=0),
    _written("|".join(SECONDS), {"type": "null"}),
]
Bound = Annotated[float | None, _written("ms|s|min|h|d|%|[A-Z]{3}", {"type": "null"})]
Name = Annotated[str, Field(pattern=NAME)]
Redact = Annotated[
    Literal["off", "mask", "hash"],
    BeforeValidator(lambda v: "off" if v is False else v),  # YAML reads a bare `off` as false
]


def _channel(value: str) -> str:
    try:
        return check_channel(value)
    except ConfigError as error:
        raise ValueError(joined([error.message, error.hint])) from error


ChannelName = Annotated[str, AfterValidator(_channel), WithJsonSchema({"type": "string", "pattern": NAME})]


def _web_address(value: str) -> str:
    """An address of http or https with a host, without a user and a password."""
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
        _ = parts.port
    except ValueError:
        good = False
    if not good or len(value) > 2000 or not value.isprintable() or " " in value:
        raise ValueError(t("'{value}' is not an address such as https://example.com/docs/", value=value))
    return value


def _network(value: str) -> str:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError as error:
        raise ValueError(t("'{value}' is not a network such as 10.0.0.0/8", value=value)) from error
    return value


WebAddress = Annotated[str, AfterValidator(_web_address)]
Network = Annotated[str, AfterValidator(_network)]


class Money(BaseModel):
    """An amount and its ISO 4217 currency, written `0.10 CNY`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    amount: float = Field(ge=0)
    currency: str = Field(pattern=r"^[A-Z]{3}$")

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        """A string such as `0.10 CNY`, or the two fields."""
        return {"anyOf": [{"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*[A-Z]{3}\s*$"}, handler(core_schema)]}

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        found = _QUANTITY.fullmatch(value)
        if not found or not re.fullmatch(r"[A-Z]{3}", found[2]):
            raise ValueError(t("'{value}' is not an amount with a currency, such as '0.10 CNY'", value=value))
        return {"amount": float(found[1]), "currency": found[2]}


_RANGE = re.compile(r"\s*(\d+(?:\.\d+)?)(?:\s+to\s+(\d+(?:\.\d+)?))?\s*")
_RANGE_SCHEMA = r"\s*\d+(\.\d+)?(\s+to\s+\d+(\.\d+)?)?\s*"


def _range(value: Any) -> Any:
    """`4`, `4 to 6` as lowest and highest; others as they are."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value, value
    if not isinstance(value, str):
        return value
    found = _RANGE.fullmatch(value)
    if not found:
        raise ValueError(t("'{value}' is neither a number nor a range such as '4 to 6'", value=value))
    return float(found[1]), float(found[2] or found[1])


def _ordered(value: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= value[0] <= value[1] < float("inf"):
        raise ValueError(t("a range goes from a lower to a higher number, and none is below 0"))
    return value


Range = Annotated[
    tuple[float, float],
    BeforeValidator(_range),
    AfterValidator(_ordered),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": f"^{_RANGE_SCHEMA}$"}]}),
]


class Budget(BaseModel):
    """Time or money that may be spent: written `10m`, `2h`, `90 s` or `5 CNY`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    seconds: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    money: Money | None = None

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        """A string such as `10m` or `5 CNY`, or a number of seconds, or the fields."""
        pattern = r"^\s*\d+(\.\d+)?\s*(ms|s|m|min|h|d|[A-Z]{3})\s*$"
        return {"anyOf": [{"type": "number"}, {"type": "string", "pattern": pattern}, handler(core_schema)]}

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if isinstance(value, str) and re.search(r"[A-Z]{3}\s*$", value):
            return {"money": value}
        if isinstance(value, str | int | float):
            return {"seconds": quantity(value, {**SECONDS, "m": 60.0})}
        return value

    @model_validator(mode="after")
    def _one(self) -> Budget:
        if (self.seconds is None) == (self.money is None):
            raise ValueError(t("a budget is a time, such as 10m, or an amount of money, such as 5 CNY"))
        if self.money is not None and not self.money.amount:
            raise ValueError(t("a budget is more than nothing"))
        return self


class Strict(BaseModel):
    """Unknown keys are refused; values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)
