"""What a bench asks: the examples, the prompts with their models exchanged, and where models lie. Asks nothing."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from slipway.adapt.candidates import effective, make_candidate
from slipway.core.artifact import Artifact
from slipway.core.candidate import Candidate, ModelPin
from slipway.core.material import Dataset, Example
from slipway.core.message import Sampling
from slipway.core.metrics import MetricInfo, metric_info
from slipway.core.protocols import Task, asks_model
from slipway.core.ref import Ref
from slipway.errors import ConfigError, NotFound, nearest
from slipway.i18n import t
from slipway.loop.at_work import at_work
from slipway.loop.choosing import speed_prompts as built_in
from slipway.loop.choosing.subjects import Subject
from slipway.loop.context import Context, Listener
from slipway.loop.model_lock import Lock, locate, pin_models
from slipway.loop.stages.data import freeze_data
from slipway.loop.stages.evaluate import encoder_pins
from slipway.loop.state import Loop
from slipway.plugins import Plugins
from slipway.project.fields import Money
from slipway.project.places import read_text
from slipway.project.plugin_config import MetricConfig
from slipway.project.schema import CandidateConfig, MachineConfig, ModelConfig, Project
from slipway.store.store import Store

Prompt = tuple[str, CandidateConfig]
"""What it is called, and how it asks; without a prompt of its own, the built-in one."""


@dataclass
class Plan:
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


def make_plan(context: Context | None, most: int, stack: ExitStack, listener: Listener, per_hour: Money | None) -> Plan:
    """Of a project's dev split, up to `most` examples, or of the built-in texts. `stack` closes what it opens."""
    if context is None:
        state = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slipway-bench-")))
        store = Store(state)
        stack.callback(store.close)
        price, plugins = MachineConfig(per_hour=per_hour), Plugins()
        task: Task = plugins.make("tasks", "answer", {}, "task")
        return Plan(
            Project(slipway=1, name="bench", machine=price), Path.cwd(), plugins, store,
            built_in.examples(task)[:most], built_in.warm_up(task), listener, lambda pin: locate(pin, Path.cwd()),
        )  # fmt: skip
    with at_work(context):
        loop = Loop(context)
        _, chunks, dataset = freeze_data(loop)
        chosen, spare, seen = _dev(context, dataset, most)
        encoders = encoder_pins(loop)
    project = context.project
    if per_hour is not None:
        project = project.model_copy(update={"machine": MachineConfig(per_hour=per_hour)})
    infos = [(one, loop.meanings.get(one.name) or metric_info(one.name)) for one in project.evaluate.metrics]
    metric = next((one for one, info in infos if info.kind == "quality"), None)
    return Plan(
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


def tuned_names(project: Project) -> list[str]:
    """Candidates whose model, adapter or classifier a tuner makes."""
    return [name for name in project.candidates if effective(project, name).tune is not None]


def made_candidate(plan: Plan, name: str) -> Candidate:
    """A tuned candidate as the newest run made it, with its own prompt and artifact. Makes nothing.

    Raises ConfigError for one that was not made yet, or was made of another prompt or other options.
    """
    config, again = effective(plan.project, name), t("`slipway run adapt` makes it")
    found = plan.store.catalog.list("candidate", Candidate, name)
    if not found or found[0][1].artifact is None:
        raise ConfigError(t("candidates.{name} was not made yet", name=name), again)
    candidate = found[0][1]
    assert candidate.artifact is not None
    assert config.tune is not None
    artifact = plan.store.catalog.get("artifact", candidate.artifact.digest, Artifact)
    prompt = read_text(plan.root, config.prompt, f"candidates.{name}.prompt") if config.prompt else ""
    now = (config.tune.name, config.tune.options, prompt if candidate.prompt else "")
    if now != (artifact.tuner, artifact.tuner_options, candidate.prompt):
        raise ConfigError(t("candidates.{name} has changed since it was made", name=name), again)
    return candidate


def default_models(plan: Plan) -> list[str]:
    """The models of the project's candidates that ask one which could be exchanged, each once."""
    asking = [config for name in plan.project.candidates if _asks(plan, config := effective(plan.project, name))]
    return list(dict.fromkeys(config.model for config in asking if config.model))


def _asks(plan: Plan, config: CandidateConfig) -> bool:
    strategy = plan.plugins.load("strategies", config.strategy.name)
    return asks_model(strategy) and config.prompt is not None and config.tune is None


def first_prompt(plan: Plan) -> Prompt:
    """The first candidate whose model could be exchanged; without candidates the built-in prompt."""
    for name in plan.project.candidates:
        config = effective(plan.project, name)
        if _asks(plan, config):
            return name, config
    if plan.project.candidates:
        raise ConfigError(
            t("no candidate of the project asks a model that could be exchanged"), t("name a prompt file: --prompts")
        )
    return built_in.NAME, CandidateConfig()


def find_prompt(plan: Plan, text: str) -> Prompt:
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


def pin_of(plan: Plan, subject: Subject, config: ModelConfig) -> ModelPin:
    """Fetched where it is not here. The project's lock file has its own models only."""
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder:
        lock = Lock((plan.root if subject.ours else Path(folder)) / "slipway.lock")
        models = {subject.name: config}
        project = plan.project.model_copy(update={"models": models})
        return pin_models(project, plan.root, lock, plan.listener.progress, plan.plugins)[subject.name]


def candidate_with(plan: Plan, subject: Subject, pin: ModelPin, name: str, config: CandidateConfig) -> Candidate:
    """The way to ask, with this model in it. Raises ConfigError for a prompt that is wrong."""
    if config.prompt is None:
        sampling = Sampling(max_tokens=built_in.TOKENS)
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
