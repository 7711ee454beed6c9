"""Look at the project and the machine before anything runs; say how to fix each finding. Changes nothing.

The project's own plug-ins are code: they are parsed here, and run only when that is asked for.
"""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from slipway.adapt.candidates import check_parts, effective, read_schema
from slipway.core.metrics import METRICS
from slipway.core.protocols import Elsewhere, Task, asks_model, makes_classifier
from slipway.data.collect import collect
from slipway.data.examples import example_files
from slipway.data.losses import BROKEN
from slipway.data.parsing.ocr import PACKAGES, installed
from slipway.data.preview import preview
from slipway.data.reasons import explain
from slipway.errors import ConfigError, MissingPrerequisite, SlipwayError
from slipway.evaluate.aggregate import meanings
from slipway.evaluate.encoders import encoders
from slipway.evaluate.scoring import make_scorers
from slipway.i18n import t
from slipway.loop.check_machine import check_machine, check_models, check_port
from slipway.loop.check_remote import check_remote
from slipway.loop.check_serving import check_serving
from slipway.loop.finding import Finding
from slipway.plugins import BUILTIN, Plugins
from slipway.project.places import named_plugins, plugin_path, read_text
from slipway.project.plugin_file import inspect
from slipway.project.plugin_options import check_measured, check_options
from slipway.project.schema import Project
from slipway.release.rules import Rule, check_rules
from slipway.runtime.cost import make_cost
from slipway.runtime.extract import check_pattern
from slipway.runtime.prompt import check_template

# extra -> (a module it brings, why it is needed)
EXTRAS = {
    "openvino": "openvino_genai",
    "llama": "xllamacpp",
    "onnx": "onnxruntime",
    "data": "selectolax",
    "retrieve": "faiss",
    "postgres": "psycopg",
    "qdrant": "qdrant_client",
    "chroma": "chromadb",
    "pgvector": "psycopg",
    "opensearch": "httpx",
}


def check(project: Project, file: Path, *, run_plugins: bool = False, remote: bool = False) -> list[Finding]:
    """Every finding about a valid project file on this machine, errors first.

    `run_plugins` imports the project's own plug-ins too, and so runs their code. `remote` asks each remote model once,
    which may cost money, and estimates what a run will cost.
    """
    root = file.parent
    plugins = Plugins(root)
    own = dict(_own_plugins(project))
    unsound = list(_plugins(own, root))
    skip = set() if run_plugins and not unsound else set(own)
    found = [*unsound, *_not_run(skip), *_extras(project), *_options(project, plugins, file, skip)]
    found += [
        *check_models(project, root),
        *_prompts(project, root, plugins, skip),
        *_parts(project, plugins, skip),
        *_data(project, root, plugins, skip),
    ]
    found += [*_metrics(project, plugins, skip), *_prices(project), *check_machine(root), *check_port(project)]
    found += _folds(project, plugins, skip)
    found += [*_store(project, root), *_index_servers(project, plugins, skip), *check_serving(project)]
    if remote:
        found += check_remote(project, root, plugins)
    order = {"error": 0, "warning": 1, "ok": 2}
    return sorted(found, key=lambda f: order[f.level])


def _error(error: SlipwayError) -> Finding:
    return Finding("error", error.message, error.hint)


def _extras(project: Project) -> Iterator[Finding]:
    engines = {model.engine for model in project.models.values()}
    needed = {engine: engine in engines for engine in ("openvino", "llama", "onnx")}
    needed["onnx"] |= not engines.isdisjoint(("static", "cross-encoder", "seq2seq"))  # they run by the same packages
    needed["data"] = project.data.has_documents
    needed["retrieve"] = any(effective(project, name).retrieve for name in project.candidates)
    needed["postgres"] = bool(project.store.url)
    indexes = {name for name, _ in _indexes(project)}
    needed |= {name: name in indexes for name in ("qdrant", "chroma", "pgvector", "opensearch")}
    for extra, module in EXTRAS.items():
        if needed[extra] and importlib.util.find_spec(module) is None:
            yield Finding(
                "error", t("the extra '{extra}' is not installed", extra=extra), f"pip install 'slipway-ai[{extra}]'"
            )
    for extra, module in (("train", "torch"), ("keras", "keras")):
        training = sorted(name for name in _tuners(project) if BUILTIN["tuners"].get(name, ("", ""))[1] == extra)
        if training and importlib.util.find_spec(module) is None:
            yield Finding(
                "warning",
                t("`tune: {name}` can train nothing here: the extra '{extra}' is not installed", name=training[0],
                  extra=extra),
                f"pip install 'slipway-ai[{extra}]'",
            )  # fmt: skip


def _folds(project: Project, plugins: Plugins, skip: Collection[str]) -> Iterator[Finding]:
    """What `evaluate.folds` costs, before it is run."""
    count = project.evaluate.folds
    if not count:
        return
    names: list[str] = []
    for name in project.candidates:
        config = effective(project, name)
        tuned = [one for one in (config.tune, config.retrieve.tune if config.retrieve else None) if one]
        with contextlib.suppress(SlipwayError):  # what cannot be loaded is told by `_options`
            reads = any(one.name in skip or plugins.load("tuners", one.name).reads for one in tuned)
            names += [name] if reads or config.few_shot else []
    yield Finding(
        "ok", t("evaluate.folds: {n} trainings more, {count} of each of: {names}", n=count * len(names), count=count,
                names=", ".join(names) or "-"),
        t("and every candidate answers the examples of train, too"),
    )  # fmt: skip


def _tuners(project: Project) -> set[str]:
    configs = [effective(project, name) for name in project.candidates]
    named = [one for config in configs for one in (config.tune, config.retrieve.tune if config.retrieve else None)]
    return {one.name for one in named if one is not None}


def _store(project: Project, root: Path) -> Iterator[Finding]:
    """Whether the database can be reached and takes writes; nothing is made in it."""
    if not project.store.url or importlib.util.find_spec("psycopg") is None:
        return
    from slipway.store.postgres import Postgres

    try:
        database = Postgres(project.store.address(root))
        database.room()
        database.engine.dispose()
    except SlipwayError as error:
        yield _error(error)
    else:
        yield Finding("ok", t("the database {where} answers", where=database.where))


def _indexes(project: Project) -> Iterator[tuple[str, dict[str, Any]]]:
    """(plug-in, options) of the indexes that candidates search."""
    for name in project.candidates:
        retrieve = effective(project, name).retrieve
        if retrieve is not None:
            for one in (retrieve.index, retrieve.lexical):
                yield one.name, one.options


def _index_servers(project: Project, plugins: Plugins, skip: Collection[str]) -> Iterator[Finding]:
    """Whether the programs that hold indexes answer."""
    asked: list[tuple[str, dict[str, Any]]] = []
    for one in _indexes(project):
        if one in asked or one[0] in skip:
            continue
        asked.append(one)
        try:
            index = plugins.make("indexes", one[0], one[1], "retrieve")
            if isinstance(index, Elsewhere):
                yield Finding("ok", t("the index server {where} answers", where=index.answers()))
        except ConfigError as error:
            if not one[1]:
                yield _error(error)  # else `_options` has said so
        except MissingPrerequisite as error:
            if importlib.util.find_spec(EXTRAS.get(one[0], "faiss")):
                yield _error(error)  # else `_extras` has said so
        except SlipwayError as error:
            yield _error(error)


def _own_plugins(project: Project) -> Iterator[tuple[str, str]]:
    """(name, the key it stands under) of every `./file.py:Class`."""
    return (
        (name, ".".join(map(str, where))) for where, name in named_plugins(project) if plugin_path(name) is not None
    )


def _plugins(own: Mapping[str, str], root: Path) -> Iterator[Finding]:
    for name, where in own.items():
        try:
            inspect(root, name, where)
        except SlipwayError as error:
            yield _error(error)


def _not_run(names: Iterable[str]) -> Iterator[Finding]:
    for name in sorted(names):
        yield Finding(
            "ok", t("{name} is code of this project; it was not run", name=name), t("`slipway check --plugins` runs it")
        )


def _options(project: Project, plugins: Plugins, file: Path, skip: Collection[str]) -> Iterator[Finding]:
    for wrong in (lambda: check_options(project, plugins, file, skip), lambda: check_measured(project, file)):
        try:
            wrong()
        except SlipwayError as error:
            for line in error.message.splitlines():
                yield Finding("error", line, error.hint)


def _parts(project: Project, plugins: Plugins, skip: Collection[str]) -> Iterator[Finding]:
    """What a candidate lacks, or cannot use."""
    for name in project.candidates:
        config = effective(project, name)
        tuner = config.tune.name if config.tune else ""
        asks: bool | None = False  # of a plug-in that is not to be run, or of which `_options` says what is wrong
        with contextlib.suppress(SlipwayError):
            if config.strategy.name not in skip and tuner not in skip:
                plugins.load("strategies", config.strategy.name)
                asks = False if tuner and makes_classifier(plugins.load("tuners", tuner)) else None
        try:
            check_parts(config, name, project.data.has_documents, plugins, asks=asks)
        except ConfigError as error:
            yield _error(error)


def _prompts(project: Project, root: Path, plugins: Plugins, skip: Collection[str]) -> Iterator[Finding]:
    task = None
    if project.task.name not in skip:
        with contextlib.suppress(SlipwayError):  # `_plugins` has said why
            task = plugins.make("tasks", project.task.name, project.task.options, "task")
    for name in project.candidates:
        config = effective(project, name)
        if config.tune and config.tune.name not in skip and _classifies(config.tune.name, plugins):
            continue
        not_run = config.strategy.name in skip
        if (not_run and config.prompt is None) or not (not_run or _asks_model(config.strategy.name, plugins)):
            continue  # it asks no model, or may be one that does not
        if config.prompt is None:
            continue  # `_parts` says so
        try:
            prompt = read_text(root, config.prompt, f"candidates.{name}.prompt")
            if task is not None:
                check_template(prompt, config.prompt, task)
            read_schema(root, config.json_schema, name)
            check_pattern(config.answer_pattern, f"candidates.{name}.answer_pattern")
        except SlipwayError as error:
            yield _error(error)


def _classifies(tuner: str, plugins: Plugins) -> bool:
    try:
        return makes_classifier(plugins.load("tuners", tuner))
    except SlipwayError:
        return False  # `_options` has said why


def _asks_model(strategy: str, plugins: Plugins) -> bool:
    try:
        return asks_model(plugins.load("strategies", strategy))
    except SlipwayError:  # `_options` says why
        return True


def _data(project: Project, root: Path, plugins: Plugins, skip: Collection[str]) -> Iterator[Finding]:
    config = project.data
    for lacking in sorted({installed(source.ocr).lacking for source in config.documents if source.ocr} - {""}):
        yield Finding(
            "warning", t("data.documents asks for OCR, and this is not installed: {what}", what=lacking), PACKAGES
        )
    try:
        _, refused = collect(config, root)
        for name, note in refused:
            if note.reason in ("outside", "not-a-file", "same-name"):
                yield Finding("warning", f"data.documents: {name}: {explain(note.reason)}", note.detail)
        for source in config.examples:
            example_files(source, config.roots, root)
        if config.examples and project.task.name not in skip and importlib.util.find_spec("selectolax"):
            task = _task(project, plugins)
            for loss in preview(config, root, task) if task is not None else ():
                level = "error" if loss.reason in BROKEN else "warning"
                yield Finding(level, f"{loss.what}: {loss.count} ({', '.join(loss.items)})", loss.how)
    except SlipwayError as error:
        yield _error(error)
    if not config.examples:
        yield Finding(
            "error", t("the project has no examples: nothing can be measured"), t("list them under data.examples")
        )
    if not project.gate:
        yield Finding("error", t("the project has no gate: nothing may be released"), t("add a rule under gate"))


def _task(project: Project, plugins: Plugins) -> Task | None:
    """None where `_options` has said why there is none. Raises what it has not said."""
    named = project.task
    try:
        plugins.check_name("tasks", named.name)
        if named.options:
            plugins.config("tasks", named.name, named.options, "task")
    except ConfigError:
        return None
    return plugins.make("tasks", named.name, named.options, "task")


def _metrics(project: Project, plugins: Plugins, skip: Collection[str]) -> Iterator[Finding]:
    found = dict(METRICS)
    with contextlib.suppress(SlipwayError):  # `_options` has named each that there is not
        found |= meanings(project, plugins, skip)
    rules = {name: Rule(**rule.model_dump()) for name, rule in project.gate.items() if name in found}
    for name, rule in rules.items():
        try:
            check_rules({name: rule}, found)
        except SlipwayError as error:
            yield _error(error)
    with contextlib.suppress(SlipwayError):  # `_options` has said why a scorer cannot be made
        scorers = make_scorers([one for one in project.evaluate.metrics if one.scorer not in skip], plugins)
        try:
            encoders(project, scorers)
        except SlipwayError as error:
            yield _error(error)
    vouched = len(rules) < len(project.gate) or any(rule.vouches(found[name]) for name, rule in rules.items())
    if not vouched and any(rule.against for rule in rules.values()):
        yield Finding(
            "warning",
            t("no rule of the gate asks for quality by itself: a first release cannot pass"),
            t("give a quality metric a min, such as token_f1: {min: 0.3}"),
        )


def _prices(project: Project) -> Iterator[Finding]:
    try:
        make_cost(project)
    except SlipwayError as error:
        yield _error(error)
        return
    priced = project.machine.per_hour or any(model.price for model in project.models.values())
    if "cost_per_query" in project.gate and not priced:
        yield Finding(
            "warning",
            t("there is a rule about cost, but nothing has a price: every query costs 0"),
            t("set machine.per_hour, for example 0.50 CNY"),
        )
