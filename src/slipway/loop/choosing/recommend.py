"""`slipway models recommend`: needs against what is known of models. Fetches nothing, loads nothing, asks no model.

A model's memory is computed from its file or from the table of facts, its speed is what `slipway bench` measured of it
on this machine, or an estimate from what it measured of another one. How good its answers are is known to nobody
before they are measured, so nothing here claims it: among models that meet the needs the largest stand first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from slipway.core.candidate import ModelPin
from slipway.core.message import Usage
from slipway.core.metrics import rounded
from slipway.data.document_language import same_language
from slipway.errors import ConfigError, instead
from slipway.i18n import t
from slipway.loop.choosing.catalogue import Option, options
from slipway.loop.choosing.estimating import Check, Estimator
from slipway.loop.choosing.facts import known as known_facts
from slipway.loop.context import Context
from slipway.loop.rates import machine
from slipway.machine import free_bytes
from slipway.project.fields import Money
from slipway.runtime.cost import make_cost
from slipway.text.language_codes import is_code

# (tokens read, tokens written) of one query, where nobody says: what the templates' prompts come to
WORK = {
    "answer": (800, 60), "classify": (300, 4), "extract": (700, 120), "summarize": (1500, 150),
    "translate": (250, 200), "chat": (600, 150), "agent": (3000, 300),
}  # fmt: skip
NEEDS = ("languages", "context", "memory", "latency", "price")


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What a model must do. None and empty: no need. Bytes, seconds and money a query; `read` and `written`: tokens of
    a query; `memory` None: what is free on this machine.
    """

    task: str = ""
    languages: tuple[str, ...] = ()
    memory: float | None = None
    latency: float | None = None
    price: Money | None = None
    context: int = 4096
    per_hour: Money | None = None
    read: int | None = None
    written: int | None = None


class Miss(msgspec.Struct, frozen=True):
    """A need that is not met: why, and the value that would be met; None where it is not known, or is no number."""

    need: str
    why: str
    value: float | None = None


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A model in one quantisation with what a query takes. None: not known."""

    option: Option
    seconds: float | None
    cost: float | None
    misses: tuple[Miss, ...]


class Relax(msgspec.Struct, frozen=True):
    """A need that alone keeps models out, with the least that lets one in."""

    need: str
    model: str
    value: float | None
    why: str


class Advice(msgspec.Struct, kw_only=True):
    """`fit`: meets every need, the largest first. `left_out`: with reasons. `relax`: where nothing fits."""

    needs: Needs
    fit: list[Judged]
    left_out: list[Judged]
    relax: list[Relax]
    currency: str
    machine: str
    checks: list[Check]
    measured: int  # models whose speed was measured


def recommend(needs: Needs, context: Context | None = None) -> Advice:
    """Judge every known and local model, and those of the project. Raises ConfigError for needs that make no sense."""
    needs = _whole(needs, context)
    estimator = Estimator()
    found = options(context, estimator, needs.context)
    each: dict[str, list[Judged]] = {}
    for option in found:
        each.setdefault(option.name, []).append(_judge(option, needs, context))
    best = [_best(judged) for judged in each.values()]
    fit = sorted(
        (one for one in best if not one.misses), key=lambda one: (-(one.option.parameters or 0), one.cost or 0)
    )
    left = sorted(
        (one for one in best if one.misses),
        key=lambda one: (bool(one.option.unfit), len(one.misses), one.option.parameters or 0),
    )
    every = [one for judged in each.values() for one in judged]
    return Advice(
        needs=needs, fit=fit, left_out=left, relax=[] if fit else list(_relax(every)),
        currency=needs.per_hour.currency if needs.per_hour else (needs.price.currency if needs.price else ""),
        machine=machine(), checks=estimator.checks(), measured=len(estimator.references),
    )  # fmt: skip


def _whole(needs: Needs, context: Context | None) -> Needs:
    """The needs with what the project and this machine say where nobody did."""
    task = needs.task or (context.project.task.name if context else "answer")
    known = task in WORK
    if wrong := [one for one in needs.languages if not is_code(one)]:
        named = sorted({language for facts in known_facts() for language in facts.languages})
        raise ConfigError(
            t("'{name}' is no code of a language", name=wrong[0]),
            t("write codes with a comma between them, such as en,zh; cards name {known}", known=", ".join(named)),
        )
    if not known and needs.task and not (needs.read and needs.written):
        raise ConfigError(t("no task is called '{name}'", name=task), instead(task, WORK))
    read, written = WORK.get(task, WORK["answer"])
    hour = needs.per_hour or (context.project.machine.per_hour if context else None)
    if needs.price and hour and needs.price.currency != hour.currency:
        raise ConfigError(
            t("prices are in {currencies}; costs can only be compared in one",
              currencies=", ".join(sorted({needs.price.currency, hour.currency}))),
            t("give --price and --per-hour in one currency"),
        )  # fmt: skip
    return msgspec.structs.replace(
        needs, task=task, per_hour=hour, read=needs.read or read, written=needs.written or written,
        memory=needs.memory if needs.memory is not None else float(free_bytes()),
    )  # fmt: skip


def _judge(option: Option, needs: Needs, context: Context | None) -> Judged:
    read, written = needs.read or 0, needs.written or 0
    seconds = None
    if option.reading and option.writing:
        seconds = read / option.reading + written / option.writing
    cost = None
    if option.remote and context is not None:
        pin = ModelPin(name=option.name, engine=option.engine, source="")
        usage = Usage(prompt_tokens=read, completion_tokens=written)
        price = context.project.models[option.name].price
        if price and (price.input_per_million or price.output_per_million):
            cost, _ = make_cost(context.project)(pin, usage, 0.0)
    elif needs.per_hour and seconds is not None:
        cost = needs.per_hour.amount * seconds / 3600
    return Judged(option=option, seconds=seconds, cost=cost, misses=tuple(_misses(option, needs, seconds, cost)))


def _misses(option: Option, needs: Needs, seconds: float | None, cost: float | None) -> Iterator[Miss]:
    if option.unfit:
        yield Miss("kind", option.unfit)
        return
    yield from _languages(option, needs)
    if option.context is not None and option.context < needs.context:
        yield Miss("context", t("reads {n} tokens at most", n=option.context), float(option.context))
    if option.memory is not None and option.memory > (needs.memory or 0.0):
        yield Miss("memory", t("needs {need:.1f} GB of memory", need=option.memory / 1e9), option.memory)
    if needs.latency is not None and seconds is None:
        yield Miss("latency", t("its speed is not measured: slipway bench '{name}'", name=option.name))
    elif needs.latency is not None and seconds is not None and seconds > needs.latency:
        yield Miss("latency", t("takes about {n} s a query", n=rounded(seconds, 3)), seconds)
    if needs.price is not None and cost is None:
        yield Miss("price", t("its cost is not known: give --per-hour, or a price in the project file"))
    elif needs.price is not None and cost is not None and cost > needs.price.amount:
        amount = f"{rounded(cost)} {needs.price.currency}"
        yield Miss("price", t("costs about {amount} a query", amount=amount), cost)


def _languages(option: Option, needs: Needs) -> Iterator[Miss]:
    if needs.languages and not option.languages:
        yield Miss("languages", t("its languages are not known; `slipway bench` on your examples tells"))
    elif lacking := [one for one in needs.languages if not any(same_language(one, its) for its in option.languages)]:
        names = ", ".join(lacking)
        told = t("it may know {names}: its card names more languages than are listed here", names=names)
        yield Miss("languages", told if option.more else t("its card does not name {names}", names=names))


def _best(judged: Sequence[Judged]) -> Judged:
    """The largest quantisation that meets every need, else what misses least."""
    fit = [one for one in judged if not one.misses]
    if fit:
        return max(fit, key=lambda one: (one.option.measured, one.option.weights or 0))
    return min(judged, key=lambda one: (len(one.misses), one.option.weights or 0))


def _relax(judged: Sequence[Judged]) -> Iterator[Relax]:
    """For each need that alone keeps a model out, the model that asks least of it."""
    for need in NEEDS:
        alone = [one for one in judged if len(one.misses) == 1 and one.misses[0].need == need]
        if not alone:
            continue
        sign = -1 if need == "context" else 1

        def least(one: Judged, sign: int = sign) -> tuple[Any, ...]:
            value = one.misses[0].value
            return (value is None, sign * (value or 0.0), -(one.option.parameters or 0))

        one = min(alone, key=least)
        yield Relax(need, one.option.title, one.misses[0].value, one.misses[0].why)
