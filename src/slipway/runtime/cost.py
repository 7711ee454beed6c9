"""What an answer costs, from a price table. Prices are the project's; tokens and seconds were measured.

A model with a price per million tokens costs by its tokens. Any other is local: it costs seconds of the machine's
hourly price. Those are its tokens times rates that were measured once and pinned (`loop.rates`), so that the same
answers cost the same on every run and every machine; without rates, and for an answer without a model or without
tokens, they are the seconds it took.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from slipway.core.candidate import ModelPin
from slipway.core.message import Usage
from slipway.errors import ConfigError
from slipway.i18n import t
from slipway.project.fields import Money
from slipway.project.schema import Project
from slipway.runtime.session import Cost


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds that a model takes for a token of the prompt and for one that it generates; where that was measured."""

    prompt: float
    completion: float
    machine: str = ""
    at: str = ""
    by: str = ""

    def seconds(self, usage: Usage) -> float:
        """What so many tokens take, however busy the machine is; tokens that a cache saved count as well."""
        return self.prompt * usage.prompt_tokens + self.completion * usage.completion_tokens


Rates = Callable[[ModelPin], Rate | None]


def currency_of(project: Project) -> str:
    """The currency of its prices; empty without any. Raises ConfigError for more than one."""
    amounts: list[Money | None] = [project.machine.per_hour]
    for model in project.models.values():
        if price := model.price:
            amounts += [price.per_hour, price.input_per_million, price.output_per_million]
    currencies = sorted({money.currency for money in amounts if money})
    if len(currencies) > 1:
        raise ConfigError(
            t("prices are in {currencies}; costs can only be compared in one", currencies=", ".join(currencies)),
            t("convert them to one currency in the project file"),
        )
    return currencies[0] if currencies else ""


def make_cost(project: Project, rates: Rates = lambda pin: None) -> Cost:
    """The cost function of a project. Raises ConfigError when its prices are in more than one currency."""
    prices = {name: model.price for name, model in project.models.items() if model.price}
    hour, currency = project.machine.per_hour, currency_of(project)

    def cost(pin: ModelPin | None, usage: Usage, seconds: float) -> tuple[float, str]:
        price = prices.get(pin.name) if pin else None
        by_token = 0.0
        if price and (price.input_per_million or price.output_per_million):
            by_token += usage.prompt_tokens * (price.input_per_million.amount if price.input_per_million else 0) / 1e6
            by_token += usage.completion_tokens * (
                (price.output_per_million.amount if price.output_per_million else 0) / 1e6
            )
            return by_token, currency
        hourly = price.per_hour if price and price.per_hour else hour
        rate = rates(pin) if pin else None
        if rate is not None and usage.prompt_tokens + usage.completion_tokens:
            seconds = rate.seconds(usage)
        return (hourly.amount * seconds / 3600 if hourly else 0.0), currency

    return cost
