"""`slipway bench`: models by prompts, each asked the same examples one after the other, through the code that serves.

One model is loaded at a time, in a session of its own, so that its memory is its own. The first answer warms it up and
is told apart; medians are over the others. Examples are of dev: nothing here looks at the gate split, is remembered as
an answer, or is written to the project's catalog.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from statistics import median

import msgspec

from slipway.core.answer import Answer
from slipway.core.candidate import Candidate
from slipway.core.material import Example
from slipway.core.metrics import MetricInfo, metric_info
from slipway.core.report import Aggregate
from slipway.errors import ConfigError, EngineError, SlipwayError
from slipway.evaluate.aggregate import aggregates
from slipway.evaluate.encoders import teach
from slipway.evaluate.scoring import make_scorers, score_all
from slipway.i18n import t
from slipway.loop.choosing.measured import remember
from slipway.loop.choosing.peak import children, peak
from slipway.loop.choosing.plan import (
    Plan,
    Prompt,
    candidate_with,
    default_models,
    find_prompt,
    first_prompt,
    made_candidate,
    make_plan,
    pin_of,
    tuned_names,
)
from slipway.loop.choosing.subjects import Subject, subjects
from slipway.loop.context import Context, Listener, Silent
from slipway.loop.loop_thread import LoopThread
from slipway.loop.rates import machine
from slipway.project.fields import Money
from slipway.project.schema import CandidateConfig
from slipway.runtime.cost import make_cost
from slipway.runtime.respond import answer
from slipway.runtime.session import Session

LEAST_TOKENS = 16  # that must be read, or written, for a rate to mean anything


class Asking(msgspec.Struct, kw_only=True):
    """What is asked. `models`: names of the project, sources, files, URL#model, or tuned candidates. `prompts`: names
    of candidates, whose model is exchanged, or files of templates; default the first candidate that asks a model. A
    tuned candidate is asked with its own prompt alone, on which it was trained. `examples`: of dev. `engine`: for
    models that the project does not have. `key_env`: the variable with the key of a server. `per_hour`: the machine's.
    """

    models: Sequence[str]
    prompts: Sequence[str] = ()
    examples: int = 20
    engine: str | None = None
    key_env: str = ""
    per_hour: Money | None = None


class Row(msgspec.Struct, kw_only=True):
    """One model with one prompt. Rates are tokens a second, times seconds, memory bytes; None: it could not be told.

    `warm_up`: seconds of the first answer, loading apart. `ratio`: how many times as long as the first row it took,
    the median over the examples that both answered. `error`: why there is nothing.
    """

    model: str
    prompt: str
    engine: str
    quality: Aggregate | None = None
    cost: float | None = None
    memory: int | None = None
    currency: str = ""
    answered: int = 0
    failed: int = 0
    load: float | None = None
    warm_up: float | None = None
    first_token: float | None = None
    seconds: float | None = None
    ratio: float | None = None
    error: str = ""
    hint: str = ""
    read: int | None = None  # tokens of a query, the median
    written: int | None = None
    reading: float | None = None
    writing: float | None = None


class Bench(msgspec.Struct, kw_only=True):
    """What was measured. `metric`: the quality; empty without one. `busy`: the machine's load average at the end."""

    rows: list[Row]
    metric: str = ""
    examples: int = 0
    built_in: bool = False
    currency: str = ""
    machine: str = ""
    busy: float | None = None
    meaning: MetricInfo | None = None


def bench(asking: Asking, context: Context | None = None, listener: Listener | None = None) -> Bench:
    """Ask every model with every prompt. A model that does not load is a row that says so; the others go on.

    Without a project (`context` None) a built-in set of short texts is asked, and nothing is scored. Raises NotFound
    for an unknown model or prompt, ConfigError where there is nothing to ask.
    """
    known = context.project.models if context else {}
    asked = subjects(
        asking.models, known, asking.engine, asking.key_env, tuned_names(context.project) if context else ()
    )
    with ExitStack() as stack:
        listener = listener or (context.listener if context else Silent())
        plan = make_plan(context, asking.examples, stack, listener, asking.per_hour)
        chosen = [find_prompt(plan, text) for text in asking.prompts]
        if not chosen and (not asked or any(one.config for one in asked)):
            chosen = [first_prompt(plan)]
        if not asked:
            asked = subjects(default_models(plan), known)
        if not asked:
            raise ConfigError(
                t("there is no model to ask"), t("name one: a model of the project, a source, a file or URL#model")
            )
        made = {one.name: made_candidate(plan, one.name) for one in asked if one.config is None}
        rows: list[Row] = []
        times: list[dict[str, float]] = []
        for subject in asked:
            for row, seconds in _measure(plan, subject, chosen, made.get(subject.name)):
                rows.append(row)
                times.append(seconds)
    _compare(rows, times)
    meaning = (plan.meanings.get(plan.metric.name) or metric_info(plan.metric.name)) if plan.metric else None
    return Bench(
        rows=rows, metric=plan.metric.name if plan.metric else "", examples=len(plan.examples),
        built_in=context is None, currency=next((row.currency for row in rows if row.currency), ""), machine=machine(),
        busy=os.getloadavg()[0] if hasattr(os, "getloadavg") else None, meaning=meaning,
    )  # fmt: skip


def _measure(
    plan: Plan, subject: Subject, prompts: Sequence[Prompt], made: Candidate | None
) -> list[tuple[Row, dict[str, float]]]:
    """The rows of one model, and for each example how long it took. Raises ConfigError for a prompt that is wrong."""
    if made is not None:
        prompts = [(subject.name, CandidateConfig())]
        candidates = [(subject.name, made)]
    else:
        assert subject.config is not None
        try:
            pin = pin_of(plan, subject, subject.config)
        except SlipwayError as error:
            return _unable(subject, prompts, error)
        candidates = [(name, candidate_with(plan, subject, pin, name, config)) for name, config in prompts]
    thread = LoopThread()
    try:
        return thread.run(_ask_all(plan, subject, candidates))
    except SlipwayError as error:
        return _unable(subject, prompts, error)
    finally:
        thread.close()


def _unable(subject: Subject, prompts: Sequence[Prompt], error: SlipwayError) -> list[tuple[Row, dict[str, float]]]:
    """A row for each prompt of a model that could not be fetched or loaded."""
    engine = subject.config.engine if subject.config else ""
    return [
        (Row(model=subject.name, prompt=name, engine=engine, error=error.message, hint=error.hint), {})
        for name, _ in prompts
    ]


async def _ask_all(
    plan: Plan, subject: Subject, candidates: Sequence[tuple[str, Candidate]]
) -> list[tuple[Row, dict[str, float]]]:
    more = {subject.name: subject.config} if subject.config else {}
    project = plan.project.model_copy(update={"models": {**plan.project.models, **more}})
    first = candidates[0][1]
    pin = first.model or first.encoder
    engine = pin.engine if pin else first.strategy
    session = Session(plan.store, plan.locate, make_cost(project), None, plan.plugins)
    found: list[tuple[Row, dict[str, float]]] = []
    before = children()
    try:
        started = time.monotonic()
        await session.model(first)
        load = time.monotonic() - started
        for name, candidate in candidates:
            row = Row(model=subject.name, prompt=name, engine=engine, load=load)
            answers = await _answers(plan, session, candidate, row)
            row.memory = peak(children() - before)
            _fill(row, answers)
            await _judge(plan, session, candidate, answers, row)
            found.append((row, {e.id: a.seconds for e, a in zip(plan.examples, answers, strict=True) if not a.error}))
    finally:
        await session.close()
    rows = [row for row, _ in found if row.reading and row.writing]
    if pin and pin.files and subject.config and rows:
        best = max(rows, key=lambda row: row.read or 0)
        remember(pin, best.reading or 0.0, best.writing or 0.0, max(row.memory or 0 for row in rows) or None)
    return found


async def _answers(plan: Plan, session: Session, candidate: Candidate, row: Row) -> list[Answer]:
    if candidate.retrieve:
        await session.retriever(candidate.retrieve)
    warm = await _one(plan, session, candidate, plan.warm_up)
    row.warm_up = None if warm.error else warm.seconds
    made: list[Answer] = []
    for number, example in enumerate(plan.examples, 1):
        made.append(await _one(plan, session, candidate, example))
        plan.listener.progress(f"{row.model}: {row.prompt}", number, len(plan.examples))
    return made


async def _one(plan: Plan, session: Session, candidate: Candidate, example: Example) -> Answer:
    try:
        async with asyncio.timeout(plan.project.evaluate.timeout):
            return await answer(candidate, example.input, session)
    except TimeoutError:
        why = t("no answer within {n:g} s", n=plan.project.evaluate.timeout)
    except (EngineError, ConfigError) as error:
        why = error.message
    return Answer(text="", raw="", error=why)


def _fill(row: Row, answers: Sequence[Answer]) -> None:
    """Medians over what was answered; a rate only where there were tokens enough to measure it by."""
    good = [one for one in answers if not one.error]
    row.answered, row.failed = len(good), len(answers) - len(good)
    if not good:
        row.error = str(answers[0].error) if answers else t("there are no examples")
        return
    row.seconds = median(one.seconds for one in good)
    row.first_token = median(one.first_token_seconds for one in good)
    row.currency = next((one.currency for one in good if one.currency), "")
    row.cost = sum(one.cost for one in good) / len(good) if row.currency else None
    if any(one.usage.prompt_tokens for one in good):
        row.read = round(median(one.usage.prompt_tokens for one in good))
        row.written = round(median(one.usage.completion_tokens for one in good))
    reading = list[float]()
    writing = list[float]()
    for one in good:
        read = one.usage.prompt_tokens - one.usage.cached_tokens
        waited = one.first_token_seconds - one.retrieve_seconds
        rest = one.seconds - one.first_token_seconds
        if read >= LEAST_TOKENS and waited > 0:
            reading.append(read / waited)
        if one.usage.completion_tokens >= LEAST_TOKENS and rest > 0.1 * one.seconds:
            writing.append((one.usage.completion_tokens - 1) / rest)
    row.reading = median(reading) if reading else None
    row.writing = median(writing) if writing else None


async def _judge(plan: Plan, session: Session, candidate: Candidate, answers: Sequence[Answer], row: Row) -> None:
    """The project's first quality metric, by the scorers that `slipway run` uses."""
    if plan.metric is None or not row.answered:
        return
    scorers = make_scorers([plan.metric], plan.plugins)
    each = [(one,) for one in answers]
    encoders = {name: pin for name, pin in plan.encoders.items() if name == plan.metric.name}
    await teach(scorers, encoders, plan.examples, each, session)
    scores = score_all(candidate, plan.examples, each, scorers)
    row.quality = aggregates(scores, plan.meanings).get(plan.metric.name)


def _compare(rows: Sequence[Row], times: Sequence[Mapping[str, float]]) -> None:
    for row, seconds in zip(rows, times, strict=True):
        both = [seconds[key] / first for key, first in times[0].items() if key in seconds and first > 0]
        row.ratio = median(both) if both else None
