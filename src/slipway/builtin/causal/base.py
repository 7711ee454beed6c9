"""The base: which GGUF files can be trained, and one of them as a torch module."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from slipway.builtin.engines.gguf_model import ModelHeader, read_header, sorted_files
from slipway.builtin.training.failures import check_weights
from slipway.builtin.training.packages import require
from slipway.core.candidate import ModelPin
from slipway.core.protocols import Job
from slipway.errors import ConfigError
from slipway.i18n import t

ARCHITECTURES = ("llama", "qwen2", "qwen3")  # `llama` is Mistral, SmolLM and others, too
_ENVIRONMENT = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "TQDM_DISABLE")


def base_of(job: Job) -> tuple[ModelPin, Path, ModelHeader]:
    """(pin, file, header) of the job's base.

    Raises ConfigError for one that cannot be trained here, MissingPrerequisite without the extra `train`, EngineError
    for a damaged file.
    """
    if job.base is None or job.base.engine not in ("llama", "openvino") or not job.files:
        raise ConfigError(
            t("'{name}' cannot be trained: it is no model in a GGUF file", name=job.base.name if job.base else "-"),
            t("name a model of engine llama whose source is a GGUF file"),
        )
    require("torch", "transformers", "gguf")
    quiet()
    path, _ = sorted_files(job.base.name, job.files)
    header = read_header(path)
    if header.architecture not in ARCHITECTURES:
        raise ConfigError(
            t("'{name}' has the architecture '{kind}', which cannot be trained here", name=job.base.name,
              kind=header.architecture),
            t("known: {names}", names=", ".join(ARCHITECTURES)),
        )  # fmt: skip
    return job.base, path, header


def quiet() -> None:
    """Nothing is fetched, and no bars but ours are drawn; read when the libraries are imported for the first time."""
    os.environ.update(dict.fromkeys(_ENVIRONMENT, "1"))


@contextmanager
def without_bars() -> Generator[None]:
    """Transformers draws a bar while it reads a GGUF file; whoever imported tqdm before `quiet` still sees it."""
    reading: Any = import_module("transformers.modeling_gguf_pytorch_utils")
    before = reading.tqdm

    def rows(iterable: Any, **_: Any) -> Any:
        return iterable

    reading.tqdm = rows
    try:
        yield
    finally:
        reading.tqdm = before


def end_of_turn(header: ModelHeader) -> int:
    """The token that ends an answer. Raises ConfigError for a file that names none."""
    for key in ("eot", "eos"):
        token = header.header.scalars.get(f"tokenizer.ggml.{key}_token_id")
        if isinstance(token, int):
            return token
    raise ConfigError(
        t("the model's file names no token that ends an answer"), t("use an instruction-tuned model, or another file")
    )


def load(path: Path, dtype: str = "float32") -> Any:
    """A `transformers` causal model on the CPU, its weights as the file holds them, dequantised.

    Nothing is fetched. Raises ConfigError for a file in a quantisation, or with tensors, that transformers cannot read,
    IntegrityError for weights that are no numbers.
    """
    quiet()
    import torch
    import transformers
    from transformers import AutoModelForCausalLM, GgufConfig

    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    try:
        with without_bars():
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                path.parent, gguf_file=path.name, quantization_config=GgufConfig(dequantize=True),
                dtype=getattr(torch, dtype), local_files_only=True, output_loading_info=True,
            )  # fmt: skip
    except (ValueError, KeyError, NotImplementedError, TypeError, IndexError, AttributeError, OSError) as error:
        why = (str(error).splitlines() or [""])[0][:200] or type(error).__name__
        raise ConfigError(
            t("{file} cannot be trained: {why}", file=path.name, why=why),
            t("use a file of the same model in f16, q8_0, q4_0 or a k-quant"),
        ) from error
    model, info = loaded
    if missing := sorted(info["missing_keys"]):  # transformers would draw them at random and go on
        raise ConfigError(
            t("{file} cannot be trained: {why}", file=path.name, why=t("it has no tensor '{name}'", name=missing[0])),
            t("fetch it again, or use another file of the same model"),
        )
    check_weights(path.name, model.state_dict().items())
    return model
