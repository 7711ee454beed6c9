"""Which files make a llama model, and whether llama.cpp can load them here. Loads nothing itself.

What llama.cpp would refuse in one opaque sentence, or die of, is refused here in words that say what to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from slipway.builtin.engines.gguf_header import GgufHeader, read_header
from slipway.builtin.engines.llama_process import free_bytes
from slipway.errors import ConfigError, EngineError
from slipway.i18n import t

ADAPTER = ".lora.gguf"
OVERHEAD_BYTES = 200 << 20  # of the process, its code and its compute buffers


def sorted_files(name: str, files: Mapping[str, str | Path]) -> tuple[Path, dict[str, Path]]:
    """(the model, adapters by name in a fixed order). Raises ConfigError unless there is exactly one model."""
    adapters = {key.removesuffix(ADAPTER): Path(path) for key, path in sorted(files.items()) if key.endswith(ADAPTER)}
    models = [Path(path) for key, path in files.items() if key.endswith(".gguf") and not key.endswith(ADAPTER)]
    if len(models) != 1:
        raise ConfigError(
            t("the model '{name}' needs exactly one GGUF file, and has {n}", name=name, n=len(models)),
            t("its source must hold one file that ends in .gguf; adapters end in {suffix}", suffix=ADAPTER),
        )
    return models[0], adapters


def check_files(name: str, model: Path, adapters: Sequence[Path], context: int, parallel: int) -> GgufHeader:
    """The model's header. Raises EngineError for files that are damaged or of the wrong kind, for a context (in
    tokens, for each of `parallel` slots) that the model was not trained for, and for want of memory.
    """
    header = read_header(model)
    if header.is_adapter:
        raise _unusable(
            t("{path} is a LoRA adapter, not a model", path=model),
            t("name it <name>{suffix} and put it beside its model", suffix=ADAPTER),
        )
    if header.context and context > header.context:
        raise _unusable(
            t("'{name}' was trained for {n} tokens of context", name=name, n=header.context),
            t("set context to at most {n} in the model's options", n=header.context),
        )
    for path in adapters:
        adapter = read_header(path)
        if not adapter.is_adapter or adapter.architecture != header.architecture:
            raise _unusable(
                t("{path} is not a LoRA adapter for this model", path=path),
                t("tune one on this model, or leave it out"),
            )
    _check_memory(name, header, context * parallel)
    return header


def _check_memory(name: str, header: GgufHeader, tokens: int) -> None:
    needed, free = header.size + header.cache_bytes(tokens) + OVERHEAD_BYTES, free_bytes()
    if needed > free:
        sizes = {"needed": needed >> 20, "free": free >> 20}
        raise _unusable(
            t("'{name}' needs about {needed} MB of memory; {free} MB are free", name=name, **sizes),
            t("lower context or parallel in the model's options, quantize the model, or free memory"),
        )


def _unusable(message: str, hint: str) -> EngineError:
    return EngineError(message, hint, status=503)
