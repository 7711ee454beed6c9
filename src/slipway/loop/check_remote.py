"""`slipway check --remote`: one call to each remote model, and what a whole run will cost, told before it is spent."""

from __future__ import annotations

import asyncio
import math
import re
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from slipway.adapt.candidates import effective
from slipway.core.candidate import ModelPin
from slipway.core.material import Example
from slipway.core.message import GenerateRequest, Message, Sampling, Usage
from slipway.core.metrics import rounded
from slipway.core.protocols import Embeds, Engine, Task
from slipway.data.examples import make_examples
from slipway.errors import SlipwayError
from slipway.i18n import t
from slipway.loop.finding import Finding
from slipway.loop.loop_thread import LoopThread
from slipway.plugins import Plugins
from slipway.project.places import read_text
from slipway.project.schema import CandidateConfig, Project
from slipway.runtime.cost import make_cost
from slipway.runtime.respond import complete
from slipway.runtime.session import Cost, make_engine
from slipway.store.store import Store
from slipway.text.words import weigh

SECONDS = 60.0  # for one call, retries included
_ASKED = GenerateRequest(messages=(Message("user", "Say yes."),), sampling=Sampling(max_tokens=8))
_CHARACTERS_A_TOKEN = (6.0, 2.5)  # of English; `weigh` counts a CJK character as 2.5
_EXAMPLE = 400  # weighted characters of a worked example
_CODE = re.compile(r"\{[%{#].*?[%}#]\}", re.DOTALL)  # of a template


class Estimate(msgspec.Struct, frozen=True):
    """What a run asks of one model, at least and at most. `tokens`: read and generated."""

    calls: tuple[int, int]
    least: Usage
    most: Usage


def check_remote(project: Project, root: Path, plugins: Plugins) -> Iterator[Finding]:
    """Findings about every model without files of its own whose engine is `openai`."""
    remote = [name for name, model in project.models.items() if model.engine == "openai"]
    if not remote:
        yield Finding("ok", t("no model is remote: nothing was asked"))
        return
    loop = LoopThread()  # whoever calls may have a loop that runs
    try:
        for name in remote:
            yield loop.run(_call(project, name, plugins))
    finally:
        loop.close()
    try:
        estimates = estimate(project, root, plugins)
    except SlipwayError as error:
        yield Finding("warning", t("what a run will cost cannot be estimated: {why}", why=error.message), error.hint)
        return
    cost = make_cost(project)
    for name in remote:
        if name in estimates:
            yield _told(name, estimates[name], ModelPin(name=name, engine="openai", source=""), cost)


async def _call(project: Project, name: str, plugins: Plugins) -> Finding:
    """One call, as small as a call can be."""
    model = project.models[name]
    pin = ModelPin(name=name, engine=model.engine, source="", options=model.options)
    engine: Engine | None = None
    started = time.monotonic()
    try:
        engine = make_engine(pin, {}, plugins=plugins)
        async with asyncio.timeout(SECONDS):
            await engine.start()
            usage = await _ask(engine)
    except TimeoutError:
        return Finding(
            "error",
            t("the model '{name}' did not answer within {n:g} s", name=name, n=SECONDS),
            t("check whether the server is overloaded, or base_url of the model"),
        )
    except SlipwayError as error:
        return Finding("error", error.message, error.hint)
    finally:
        if engine is not None:
            await engine.close()
    seconds = time.monotonic() - started
    amount, currency = make_cost(project)(pin, usage, seconds)
    said = t(
        "the model '{name}' answers: {read} tokens read, {generated} generated, {seconds:.2f} s",
        name=name, read=usage.prompt_tokens, generated=usage.completion_tokens, seconds=seconds,
    )  # fmt: skip
    return Finding("ok", f"{said}, {rounded(amount)} {currency}" if model.price else said)


async def _ask(engine: Engine) -> Usage:
    if "generate" in engine.capabilities:
        return (await complete(engine, _ASKED)).usage
    if isinstance(engine, Embeds):
        await engine.embed(["yes"])
    return Usage()


def estimate(project: Project, root: Path, plugins: Plugins) -> dict[str, Estimate]:
    """Model -> what `slipway run` asks of it when nothing was answered before.

    Each candidate answers the dev split (with `evaluate.folds` train, too), and between one of them and all of them the
    gate split. Embedding documents is not counted. Raises ConfigError for examples or a prompt that cannot be read.
    """
    task: Task = plugins.make("tasks", project.task.name, project.task.options, "task")
    with tempfile.TemporaryDirectory(prefix="slipway-check-") as state, closing(Store(Path(state))) as store:
        made = make_examples(project.data, root, store, task)
        examples = list(store.blobs.get_lines(made.items, Example))
    count = Counter(example.split for example in examples)
    dev = count["dev"] + (count["train"] if project.evaluate.folds else 0)
    asked = sum(weigh(task.text(example.input)) for example in examples) / max(1, len(examples))
    configs = [effective(project, name) for name in project.candidates]
    found: dict[str, Estimate] = {}
    for config in configs:
        if config.model is None or config.prompt is None:
            continue
        prompt = weigh(config.system + _CODE.sub("", read_text(root, config.prompt, "prompt"))) + asked
        most = _characters(config, project.data.chunk.max_chars)
        turns = int(config.strategy.options.get("turns", 5)) + 1 if config.strategy.name == "agent" else 1
        calls = (
            config.samples * (dev + (count["gate"] if len(configs) == 1 else 0)),
            config.samples * (dev + count["gate"]) * turns,
        )
        few, many = (
            Usage(
                prompt_tokens=math.ceil(calls[end] * (prompt + extra) / _CHARACTERS_A_TOKEN[end]),
                completion_tokens=calls[end] * (1 if end == 0 else config.sampling.max_tokens),
            )
            for end, extra in enumerate((0.0, most))
        )
        before = found.get(config.model, Estimate((0, 0), Usage(), Usage()))
        found[config.model] = Estimate(
            (before.calls[0] + calls[0], before.calls[1] + calls[1]), before.least + few, before.most + many
        )
    return found


def _characters(config: CandidateConfig, largest: int) -> float:
    """Weighted characters of the passages and worked examples in a prompt, at most; at least there are none."""
    most = 0.0
    if retrieve := config.retrieve:
        most = min(retrieve.top_k * largest, 2.5 * retrieve.max_chars)
        if retrieve.excerpt_chars is not None:
            most = min(most, retrieve.excerpt_chars)
    return most + _EXAMPLE * (config.few_shot.k if config.few_shot else 0)


def _told(name: str, found: Estimate, pin: ModelPin, cost: Cost) -> Finding:
    (low, currency), (high, _) = (cost(pin, usage, 0.0) for usage in (found.least, found.most))
    text = t(
        "a run asks '{name}' {calls} times at least and {more} at most: {read} to {read_most} tokens read, "
        "{generated} to {generated_most} generated",
        name=name, calls=found.calls[0], more=found.calls[1],
        read=f"{found.least.prompt_tokens:,}", read_most=f"{found.most.prompt_tokens:,}",
        generated=f"{found.least.completion_tokens:,}", generated_most=f"{found.most.completion_tokens:,}",
    )  # fmt: skip
    if not currency or not high:
        return Finding("warning", text, t("give the model a price, and the cost is told: price.input_per_million, ..."))
    money = t("it costs {low} to {high} {currency}; answers that are remembered are not asked for again",
              low=rounded(low), high=rounded(high), currency=currency)  # fmt: skip
    return Finding("ok", text, money)
