"""The one registry: a name -> the class that implements it. Imports an implementation only when it is first used."""

from __future__ import annotations

import importlib
import importlib.util
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal

from slipway.core.metrics import METRICS, MetricInfo, scorer_metric
from slipway.core.metrics import metric_info as _table_line
from slipway.errors import ConfigError, MissingPrerequisite, NotFound, nearest
from slipway.i18n import t

_project = Path()  # where `./file.py:Class` is looked for

Kind = Literal["engines", "indexes", "scorers"]

# name -> ("module:Class", extra that brings its packages)
BUILTIN: dict[Kind, dict[str, tuple[str, str]]] = {
    "engines": {
        "llama": ("slipway.builtin.engines.llama.engine:LlamaEngine", "llama"),
        "openvino": ("slipway.builtin.engines.openvino.engine:OpenvinoEngine", "openvino"),
        "onnx": ("slipway.builtin.engines.onnx.engine:OnnxEngine", "onnx"),
        "openai": ("slipway.builtin.engines.openai.engine:OpenAIEngine", ""),
        "echo": ("slipway.builtin.engines.echo:EchoEngine", ""),
        "replay": ("slipway.builtin.engines.replay:ReplayEngine", ""),
    },
    "indexes": {
        "faiss": ("slipway.builtin.indexes.dense:FaissIndex", "retrieve"),
        "tantivy": ("slipway.builtin.indexes.lexical:TantivyIndex", "retrieve"),
    },
    "scorers": {
        "token_f1": ("slipway.builtin.scorers.overlap:TokenF1", ""),
        "exact_match": ("slipway.builtin.scorers.overlap:ExactMatch", ""),
        "rouge_l": ("slipway.builtin.scorers.overlap:RougeL", ""),
        "bleu": ("slipway.builtin.scorers.overlap:Bleu", ""),
        "accuracy": ("slipway.builtin.scorers.overlap:Accuracy", ""),
        "retrieval_recall": ("slipway.builtin.scorers.retrieval:RetrievalRecall", ""),
        "retrieval_mrr": ("slipway.builtin.scorers.retrieval:RetrievalMRR", ""),
        "retrieval_ndcg": ("slipway.builtin.scorers.retrieval:RetrievalNDCG", ""),
        "citation_precision": ("slipway.builtin.scorers.retrieval:CitationPrecision", ""),
    },
}


def set_project(folder: Path) -> None:
    """Look for `./file.py:Class` in this project's folder from now on."""
    global _project
    _project = folder
    load.cache_clear()


def project_file(name: str) -> Path | None:
    """The file behind `./file.py:Class`; None for the name of anything else."""
    path, found, _ = name.rpartition(":")
    return _project / path if found and name.startswith(("./", "/")) else None


def known(kind: Kind) -> dict[str, str]:
    """Every name of a kind -> `module:Class`: built-ins, then entry points of the group `slipway.<kind>`."""
    names = {name: target for name, (target, _) in BUILTIN[kind].items()}
    names.update({found.name: found.value for found in entry_points(group=f"slipway.{kind}")})
    return names


@cache
def load(kind: Kind, name: str) -> type[Any]:
    """The class behind a name, or behind `./file.py:Class` of the project.

    Raises NotFound (with the known names and the nearest), MissingPrerequisite (with the extra to install) or
    ConfigError (the file or class named is not there).
    """
    if name.startswith(("./", "/")):
        return _from_file(name)
    names = known(kind)
    if name not in names:
        near = nearest(name, names)
        hint = t("did you mean '{near}'?", near=near) + " " if near else ""
        raise NotFound(
            t("no {kind} is called '{name}'", kind=kind[:-1], name=name),
            hint + t("known: {names}", names=", ".join(sorted(names))),
        )
    module, _, attribute = names[name].partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("slipway"):
            raise
        extra = BUILTIN[kind].get(name, ("", ""))[1]
        raise MissingPrerequisite(
            t("'{name}' needs the package '{package}', which is not installed", name=name, package=error.name),
            f"pip install 'slipway-ai[{extra}]'" if extra else f"pip install {error.name}",
        ) from error


def metric_info(name: str) -> MetricInfo:
    """What a metric's numbers mean: the table's line, or one made from the scorer that a project or package brings.

    Raises NotFound, with the nearest name, when neither knows it.
    """
    if name in METRICS:
        return METRICS[name]
    scorers = known("scorers")
    if name not in scorers and not name.startswith(("./", "/")):
        return _table_line(name, scorers)
    return scorer_metric(name, load("scorers", name))


def _from_file(name: str) -> type[Any]:
    path, attribute = project_file(name), name.rpartition(":")[2]
    if path is None or not path.is_file():
        raise ConfigError(
            t("'{name}' names no Python file", name=name), t("write it as ./file.py:ClassName, relative to the project")
        )
    spec = importlib.util.spec_from_file_location(f"slipway_project_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ConfigError(t("'{name}' cannot be imported as Python", name=path))
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # noqa: BLE001  # the project's own code may fail in any way
        raise ConfigError(
            t("{path} cannot be imported: {kind}: {why}", path=path, kind=type(error).__name__, why=error)
        ) from error
    if not hasattr(module, attribute):
        raise ConfigError(t("{path} defines no '{name}'", path=path, name=attribute))
    return getattr(module, attribute)
