"""From the project file's candidates to frozen ones: prompt text read, model pinned, retrieval and few-shot resolved.

Knows nothing of how good a candidate is.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from slipway.adapt.tuning import apply, retrieved_with
from slipway.core.artifact import Artifact
from slipway.core.candidate import Candidate, FewShot, ModelPin, Retrieval, ToolPin
from slipway.core.material import Example
from slipway.core.message import Sampling
from slipway.core.protocols import Labelled, Task, asks_model, from_nothing
from slipway.core.ref import Ref, digest_of
from slipway.errors import ConfigError
from slipway.i18n import t
from slipway.plugins import Plugins
from slipway.project.places import read_text
from slipway.project.schema import CandidateConfig, Project
from slipway.runtime.extract import check_pattern
from slipway.runtime.prompt import check_template

RERANKED = 20  # passages that a reranker orders where the project file does not say how many


def effective(project: Project, name: str) -> CandidateConfig:
    """A candidate's keys with those of the ones it extends as defaults; mappings merge key by key."""
    chain = [project.candidates[name]]
    while chain[-1].extends is not None:
        chain.append(project.candidates[chain[-1].extends])
    merged: dict[str, Any] = {}
    for config in reversed(chain):
        merged = _merge(merged, config.model_dump(exclude_unset=True, exclude={"extends"}))
    return CandidateConfig.model_validate(merged)


def make_candidate(
    project: Project,
    name: str,
    root: Path,
    pins: Mapping[str, ModelPin],
    chunks: Ref | None,
    seen: Sequence[Example],
    plugins: Plugins,
    artifact: Artifact | None = None,
    embedder: Artifact | None = None,
) -> Candidate:
    """Freeze one candidate. Raises ConfigError for what its configuration lacks, or names but does not exist.

    `seen`: the examples of train and dev; worked examples are of train, labels of both. One whose strategy asks no
    model has none, whatever it names or takes from the candidate that it extends. `embedder`: of `retrieve.tune`.
    """
    config = effective(project, name)
    classifies = artifact is not None and artifact.kind == "classifier"
    check_parts(config, name, chunks is not None, plugins, asks=False if classifies else None)
    task, task_options = task_of(project, seen, plugins)
    retrieve = _retrieval(config, pins, chunks)
    if retrieve is not None and embedder is not None:
        retrieve = retrieved_with(retrieve, embedder)
    candidate = Candidate(
        name=name,
        task=project.task.name,
        task_options=task_options,
        strategy=config.strategy.name,
        strategy_options=config.strategy.options,
        retrieve=retrieve,
    )
    base = pins[config.model] if config.model else None
    if artifact is not None and artifact.kind == "classifier":
        return apply(candidate, artifact, base)
    if not asks_model(plugins.load("strategies", config.strategy.name)):
        return candidate
    assert config.prompt is not None
    prompt = read_text(root, config.prompt, f"candidates.{name}.prompt")
    check_template(prompt, config.prompt, task)
    candidate = msgspec.structs.replace(
        candidate,
        tools=tuple(ToolPin(tool=tool.name, options=tool.options) for tool in config.tools),
        model=base,
        prompt=prompt,
        system=config.system,
        few_shot=_few_shot(name, config, pins, [e for e in seen if e.split == "train"], task),
        sampling=msgspec.convert(config.sampling.model_dump(), Sampling),
        answer_pattern=check_pattern(config.answer_pattern, f"candidates.{name}.answer_pattern"),
        samples=config.samples,
        json_schema=read_schema(root, config.json_schema, name),
        choices=tuple(config.choices),
    )
    return apply(candidate, artifact, base) if artifact is not None else candidate


def task_of(project: Project, seen: Sequence[Example], plugins: Plugins) -> tuple[Task, dict[str, Any]]:
    """The task, and the options that candidates pin: labels that are not declared are those of the examples."""
    name, options = project.task.name, project.task.options
    task: Task = plugins.make("tasks", name, options, "task")
    if isinstance(task, Labelled):
        options = task.learned([label for example in seen for label in example.expected])
        task = plugins.make("tasks", name, options, "task")
    return task, options


_WHOLE = ("index", "lexical", "strategy", "tune")  # a plug-in with its options: those of another would not fit it


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    both = {
        k: _merge(base[k], v)
        for k, v in over.items()
        if isinstance(v, dict) and isinstance(base.get(k), dict) and k not in _WHOLE
    }
    return {**base, **over, **both}


def check_parts(
    config: CandidateConfig, name: str, documents: bool, plugins: Plugins, *, asks: bool | None = None
) -> None:
    """Raise ConfigError for a part that a candidate lacks, or has and cannot use. What the parts hold is not read.

    `documents`: whether the project has any. `asks`: whether it asks a model; None: as its strategy says.
    """
    retrieve, strategy, few_shot = config.retrieve, config.strategy, config.few_shot
    if retrieve is None and (strategy.name == "quote" or strategy.options.get("fallback") == "quote"):
        raise ConfigError(
            t("candidates.{name} quotes passages, and retrieves none", name=name),
            t("give it `retrieve`: the passages to quote"),
        )
    if retrieve is not None and not documents:
        raise ConfigError(
            t("candidates.{name} retrieves, but the project has no documents", name=name),
            t("list them under data.documents"),
        )
    if retrieve is not None and retrieve.embedder is None and retrieve.mode != "lexical":
        raise ConfigError(
            t("candidates.{name}.retrieve: mode {mode} needs an embedder", name=name, mode=retrieve.mode),
            t("name a model of engine onnx or openai, or use mode: lexical"),
        )
    if not (asks_model(plugins.load("strategies", strategy.name)) if asks is None else asks):
        return
    begins = config.tune is not None and from_nothing(plugins.load("tuners", config.tune.name))
    if config.prompt is None or (config.model is None and not begins):
        raise ConfigError(
            t("candidates.{name} needs a model and a prompt", name=name),
            t("give both, or `extends` a candidate that has them"),
        )
    if config.tools and strategy.name == "direct":
        raise ConfigError(
            t("candidates.{name} has tools, and the strategy `direct` calls none", name=name),
            t("add strategy: agent"),
        )
    if few_shot is not None and few_shot.choose == "nearest" and not (few_shot.embedder or _embedder(config)):
        raise ConfigError(
            t("candidates.{name}.few_shot: choose: nearest needs an embedder", name=name),
            t("name a model of engine onnx or openai"),
        )


def _embedder(config: CandidateConfig) -> str | None:
    return config.retrieve.embedder if config.retrieve else None


def _retrieval(config: CandidateConfig, pins: Mapping[str, ModelPin], chunks: Ref | None) -> Retrieval | None:
    retrieve = config.retrieve
    if retrieve is None or chunks is None:
        return None
    return Retrieval(
        chunks=chunks,
        embedder=pins[retrieve.embedder] if retrieve.embedder and retrieve.mode != "lexical" else None,
        top_k=retrieve.top_k, mode=retrieve.mode, filters=retrieve.filters, max_chars=retrieve.max_chars,
        rerank=retrieve.rerank or (RERANKED if retrieve.reranker else None),
        reranker=pins[retrieve.reranker] if retrieve.reranker else None, excerpt_chars=retrieve.excerpt_chars,
        index=retrieve.index.name, index_options=retrieve.index.options,
        lexical=retrieve.lexical.name, lexical_options=retrieve.lexical.options,
    )  # fmt: skip


def _few_shot(
    name: str, config: CandidateConfig, pins: Mapping[str, ModelPin], train: Sequence[Example], task: Task
) -> FewShot | None:
    few_shot = config.few_shot
    if few_shot is None:
        return None
    pool = [{**e.input, task.reference: task.expected(e.expected[0])} for e in train if e.expected]
    if len(pool) < few_shot.k:
        raise ConfigError(
            t("candidates.{name}.few_shot wants {k} examples; the train split has {n}", name=name, k=few_shot.k,
              n=len(pool)),
            t("lower k, or give data.split.train a larger share"),
        )  # fmt: skip
    if few_shot.choose == "fixed":
        # Drawn by seed from examples in an order that does not change when the file is shuffled.
        pool = random.Random(few_shot.seed).sample(sorted(pool, key=digest_of), few_shot.k)
        return FewShot(examples=tuple(pool), k=few_shot.k)
    embedder = few_shot.embedder or _embedder(config)
    assert embedder is not None
    return FewShot(examples=tuple(pool), choose="nearest", k=few_shot.k, embedder=pins[embedder])


def read_schema(root: Path, path: str | None, name: str) -> dict[str, Any] | None:
    """The JSON schema in a file of the project; raises ConfigError when it is none."""
    if path is None:
        return None
    where = f"candidates.{name}.json_schema"
    try:
        schema = json.loads(read_text(root, path, where))
    except (ValueError, RecursionError) as error:
        raise ConfigError(t("{where}: {path} is not JSON: {why}", where=where, path=path, why=error)) from error
    if not isinstance(schema, dict):
        raise ConfigError(t("{where}: {path} is not a JSON schema object", where=where, path=path))
    return schema
