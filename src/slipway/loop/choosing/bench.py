"""`slipway bench`: models by prompts, each asked the same examples one after the other, through the code that serves.

One model is loaded at a time, in a session of its own, so that its memory is its own. The first answer warms it up and
is told apart; medians are over the others. Examples are of dev: nothing here looks at the gate split, is remembered as
an answer, or is written to the project's catalog.
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import msgspec

from slipway.adapt.candidates import effective, make_candidate
from slipway.core.answer import Answer
from slipway.core.candidate import Candidate, ModelPin
from slipway.core.material import Dataset, Example
from slipway.core.metrics import MetricInfo, metric_info
from slipway.core.protocols import asks_model
from slipway.core.ref import Ref
from slipway.core.report import Aggregate
from slipway.errors import ConfigError, EngineError, NotFound, SlipwayError, nearest
from slipway.evaluate.aggregate import aggregates
from slipway.evaluate.encoders import teach
from slipway.evaluate.scoring import make_scorers, score_all
from slipway.i18n import t
from slipway.loop.choosing import prompts as built_in
from slipway.loop.choosing.measured import remember
from slipway.loop.choosing.peak import children, peak
from slipway.loop.choosing.subjects import Subject, subjects
from slipway.loop.context import Context, Listener, Silent
from slipway.loop.loop_thread import LoopThread
from slipway.loop.model_lock import Lock, locate, pin_models
from slipway.loop.rates import machine
from slipway.loop.stages.data import freeze_data
from slipway.loop.stages.evaluate import encoder_pins
from slipway.loop.state import Loop
from slipway.plugins import Plugins
from slipway.project.fields import Money
from slipway.project.plugin_config import MetricConfig
from slipway.project.schema import CandidateConfig, MachineConfig, Project
from slipway.runtime.cost import make_cost
from slipway.runtime.respond import answer
from slipway.runtime.session import Session
from slipway.store.store import Store

LEAST_TOKENS = 16  # that must be read, or written, for a rate to mean anything


class Row(msgspec.Struct, kw_only=True):
    """One model with one prompt. Rates are tokens a second, times seconds, memory bytes; None: it could not be told.

    `warm_up`: seconds of the first answer, loading apart. `ratio`: how many times as long as the first row it took,
    the median over the examples that both answered. `error`: why there is nothing.
    """

    model: str
    prompt: str
    engine: str
    quality: Aggregate | None = None
    load: float | None = None
    warm_up: float | None = None
    first_token: float | None = None
    seconds: float | None = None
    reading: float | None = None
    writing: float | None = None
    memory: int | None = None
    cost: float | None = None
    ratio: float | None = None
    read: int | None = None  # tokens of a query, the median
    written: int | None = None
    answered: int = 0
    failed: int = 0
    error: str = ""
    hint: str = ""


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


@dataclass
class _Plan:
    """Everything that is the same for all models."""

    project: Project
    root: Path
    plugins: Plugins
    store: Store
    examples: list[Example]
    warm_up: Example
    listener: Listener
    locate: Callable[[ModelPin], Mapping[str, Path]]
    metric: MetricConfig | None = None
    chunks: Ref | None = None
    seen: Sequence[Example] = ()
    meanings: Mapping[str, MetricInfo] = field(default_factory=dict[str, MetricInfo])
    pins: dict[str, ModelPin] = field(default_factory=dict[str, ModelPin])
    encoders: Mapping[str, ModelPin] = field(default_factory=dict[str, ModelPin])


def bench(
    names: Sequence[str],
    context: Context | None = None,
    prompts: Sequence[str] = (),
    examples: int = 20,
    *,
    engine: str | None = None,
    key_env: str = "",
    per_hour: Money | None = None,
    listener: Listener | None = None,
) -> Bench:
    """Ask every model with every prompt. A model that does not load is a row that says so; the others go on.

    Without a project (`context` None) a built-in set of short texts is asked, and nothing is scored. `prompts`: names
    of candidates, whose model is exchanged, or files of templates; default the first candidate that asks a model.
    Raises NotFound for an unknown model or prompt, ConfigError where there is nothing to ask.
    """
    known = context.project.models if context else {}
    default = context.project.candidates if context else {}
    asked = subjects(names, known, engine, key_env)
    with ExitStack() as stack:
        plan = _plan(context, examples, stack, listener or (context.listener if context else Silent()), per_hour)
        chosen = [_prompt(plan, text) for text in prompts] or [_first(plan)]
        if not asked:
            used = dict.fromkeys(model for name in default if (model := effective(plan.project, name).model))
            asked = [one for one in subjects(list(used), known) if _generates(one, plan)]
        if not asked:
            raise ConfigError(
                t("there is no model to ask"), t("name one: a model of the project, a source, a file or URL#model")
            )
        rows: list[Row] = []
        times: list[dict[str, float]] = []
        for subject in asked:
            for row, seconds in _measure(plan, subject, chosen):
                rows.append(row)
                times.append(seconds)
    _compare(rows, times)
    meaning = (plan.meanings.get(plan.metric.name) or metric_info(plan.metric.name)) if plan.metric else None
    prices = [plan.project.machine.per_hour]
    for model in plan.project.models.values():
        prices += [model.price.input_per_million, model.price.per_hour] if model.price else []
    return Bench(
        rows=rows, metric=plan.metric.name if plan.metric else "", examples=len(plan.examples),
        built_in=context is None, currency=next((one.currency for one in prices if one), ""), machine=machine(),
        busy=os.getloadavg()[0] if hasattr(os, "getloadavg") else None, meaning=meaning,
    )  # fmt: skip


def _plan(context: Context | None, most: int, stack: ExitStack, listener: Listener, per_hour: Money | None) -> _Plan:
    if context is None:
        state = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slipway-bench-")))
        store = Store(state)
        stack.callback(store.close)
        price = MachineConfig(per_hour=per_hour)
        return _Plan(
            Project(slipway=1, name="bench", machine=price), Path.cwd(), Plugins(), store,
            list(built_in.EXAMPLES[:most]), built_in.WARM_UP, listener, lambda pin: locate(pin, Path.cwd()),
        )  # fmt: skip
    with context.store.lock():
        loop = Loop(context)
        _, chunks, dataset = freeze_data(loop)
        chosen, spare, seen = _dev(context, dataset, most)
        encoders = encoder_pins(loop)
    project = context.project
    if per_hour is not None:
        project = project.model_copy(update={"machine": MachineConfig(per_hour=per_hour)})
    infos = [(one, loop.meanings.get(one.name) or metric_info(one.name)) for one in project.evaluate.metrics]
    metric = next((one for one, info in infos if info.kind == "quality"), None)
    return _Plan(
        project, context.root, context.plugins, context.store, chosen, spare, listener, context.locate, metric,
        chunks.ref if chunks else None, seen, loop.meanings, encoders=encoders,
    )  # fmt: skip


def _dev(context: Context, dataset: Dataset, most: int) -> tuple[list[Example], Example, list[Example]]:
    """(examples of dev, drawn alike every time; one to warm up with; what candidates may know)."""
    seen = [e for e in context.store.blobs.get_lines(dataset.items, Example) if e.split in ("train", "dev")]
    dev = sorted((e for e in seen if e.split == "dev"), key=lambda e: e.id)
    if not dev:
        raise ConfigError(
            t("the split '{split}' has no examples", split="dev"),
            t("add examples, or give it a larger share under data.split"),
        )
    random.Random(context.project.data.split.seed).shuffle(dev)
    return dev[:most], dev[min(most, len(dev) - 1)], seen


def _generates(subject: Subject, plan: _Plan) -> bool:
    return any(subject.name == effective(plan.project, name).model and _asks(plan, effective(plan.project, name))
               for name in plan.project.candidates)  # fmt: skip


def _asks(plan: _Plan, config: CandidateConfig) -> bool:
    strategy = plan.plugins.load("strategies", config.strategy.name)
    return asks_model(strategy) and config.prompt is not None and config.tune is None


def _first(plan: _Plan) -> tuple[str, CandidateConfig]:
    for name in plan.project.candidates:
        config = effective(plan.project, name)
        if _asks(plan, config):
            return name, config
    if plan.project.candidates:
        raise ConfigError(
            t("no candidate of the project asks a model that could be exchanged"), t("name a prompt file: --prompts")
        )
    return built_in.NAME, CandidateConfig()


def _prompt(plan: _Plan, text: str) -> tuple[str, CandidateConfig]:
    """A candidate's way to ask, or a file's. Raises NotFound, or ConfigError for a candidate without a prompt."""
    if text in plan.project.candidates:
        config = effective(plan.project, text)
        if not _asks(plan, config):
            raise ConfigError(
                t("candidates.{name} asks no model that could be exchanged", name=text),
                t("name a candidate with a prompt and without `tune`"),
            )
        return text, config
    path = Path(text).expanduser()
    here = path if path.is_file() else plan.root / text
    if here.is_file():
        return text, CandidateConfig(prompt=os.path.relpath(here.resolve(), plan.root.resolve()))
    near = nearest(text, plan.project.candidates)
    raise NotFound(
        t("no candidate and no file is called '{name}'", name=text[:200]),
        t("did you mean '{near}'?", near=near) if near else t("name a candidate, or a file with a prompt"),
    )


def _measure(
    plan: _Plan, subject: Subject, prompts: Sequence[tuple[str, CandidateConfig]]
) -> list[tuple[Row, dict[str, float]]]:
    """The rows of one model, and for each example how long it took. Raises ConfigError for a prompt that is wrong."""
    try:
        pin = _pin(plan, subject)
    except SlipwayError as error:
        return _unable(subject, prompts, error)
    candidates = [(name, _candidate(plan, subject, pin, name, config)) for name, config in prompts]
    thread = LoopThread()
    try:
        return thread.run(_ask_all(plan, subject, pin, candidates))
    except SlipwayError as error:
        return _unable(subject, prompts, error)
    finally:
        thread.close()


def _unable(
    subject: Subject, prompts: Sequence[tuple[str, CandidateConfig]], error: SlipwayError
) -> list[tuple[Row, dict[str, float]]]:
    """A row for each prompt of a model that could not be fetched or loaded."""
    engine = subject.config.engine
    return [
        (Row(model=subject.name, prompt=name, engine=engine, error=error.message, hint=error.hint), {})
        for name, _ in prompts
    ]


def _pin(plan: _Plan, subject: Subject) -> ModelPin:
    """Fetched where it is not here. The project's lock file has its own models only."""
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder:
        lock = Lock((plan.root if subject.ours else Path(folder)) / "slipway.lock")
        models = {subject.name: subject.config}
        project = plan.project.model_copy(update={"models": models})
        return pin_models(project, plan.root, lock, plan.listener.progress, plan.plugins)[subject.name]


def _candidate(plan: _Plan, subject: Subject, pin: ModelPin, name: str, config: CandidateConfig) -> Candidate:
    if config.prompt is None:
        sampling = msgspec.structs.replace(Candidate(name="", task="").sampling, max_tokens=built_in.TOKENS)
        return Candidate(name=name, task="answer", model=pin, prompt=built_in.TEMPLATE, sampling=sampling)
    named = CandidateConfig.model_validate({**config.model_dump(exclude_unset=True), "model": subject.name})
    project = plan.project.model_copy(update={"candidates": {name: named}})
    parts = (named.retrieve, named.few_shot)
    others = {m for part in parts for key in ("embedder", "reranker") if part and (m := getattr(part, key, None))}
    if missing := sorted(others - plan.pins.keys()):
        models = {m: plan.project.models[m] for m in missing}
        lock = Lock(plan.root / "slipway.lock")
        plan.pins |= pin_models(
            project.model_copy(update={"models": models}), plan.root, lock, plan.listener.progress, plan.plugins
        )
    return make_candidate(
        project, name, plan.root, {**plan.pins, subject.name: pin}, plan.chunks, plan.seen, plan.plugins
    )


async def _ask_all(
    plan: _Plan, subject: Subject, pin: ModelPin, candidates: Sequence[tuple[str, Candidate]]
) -> list[tuple[Row, dict[str, float]]]:
    project = plan.project.model_copy(update={"models": {**plan.project.models, subject.name: subject.config}})
    session = Session(plan.store, plan.locate, make_cost(project), None, plan.plugins)
    found: list[tuple[Row, dict[str, float]]] = []
    before = children()
    try:
        started = time.monotonic()
        await session.engine(pin)
        load = time.monotonic() - started
        for name, candidate in candidates:
            row = Row(model=subject.name, prompt=name, engine=pin.engine, load=load)
            answers = await _answers(plan, session, candidate, row)
            row.memory = peak(children() - before)
            _fill(row, answers)
            await _judge(plan, session, candidate, answers, row)
            found.append((row, {e.id: a.seconds for e, a in zip(plan.examples, answers, strict=True) if not a.error}))
    finally:
        await session.close()
    rows = [row for row, _ in found if row.reading and row.writing]
    if pin.files and rows:
        best = max(rows, key=lambda row: row.read or 0)
        remember(pin, best.reading or 0.0, best.writing or 0.0, max(row.memory or 0 for row in rows) or None)
    return found


async def _answers(plan: _Plan, session: Session, candidate: Candidate, row: Row) -> list[Answer]:
    if candidate.retrieve:
        await session.retriever(candidate.retrieve)
    warm = await _one(plan, session, candidate, plan.warm_up)
    row.warm_up = None if warm.error else warm.seconds
    made: list[Answer] = []
    for number, example in enumerate(plan.examples, 1):
        made.append(await _one(plan, session, candidate, example))
        plan.listener.progress(f"{row.model}: {row.prompt}", number, len(plan.examples))
    return made


async def _one(plan: _Plan, session: Session, candidate: Candidate, example: Example) -> Answer:
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
    row.cost = sum(one.cost for one in good) / len(good) if any(one.currency for one in good) else None
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


async def _judge(plan: _Plan, session: Session, candidate: Candidate, answers: Sequence[Answer], row: Row) -> None:
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
