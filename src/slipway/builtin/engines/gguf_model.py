"""Which files make a GGUF model, what they say of themselves, and whether they can be loaded here.

Loads nothing itself. What an engine would refuse in one opaque sentence, or die of, is refused here in words that say
what to do; the file format is `slipway.gguf`'s.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from slipway import gguf
from slipway.core.message import Message
from slipway.errors import ConfigError, EngineError
from slipway.i18n import t
from slipway.machine import free_bytes

ADAPTER = ".lora.gguf"
OVERHEAD_BYTES = 200 << 20  # of the process, its code and its compute buffers

_CONTROL = 3  # tokenizer.ggml.token_type
_TOKENS, _KINDS = "tokenizer.ggml.tokens", "tokenizer.ggml.token_type"


@dataclass(frozen=True)
class ModelHeader:
    """What a GGUF file says of its model. `control`: texts of the control tokens; `size`: of the file, in bytes;
    `vocabulary`: number of tokens.
    """

    header: gguf.Header
    control: tuple[str, ...]
    size: int
    vocabulary: int = 0

    @property
    def architecture(self) -> str:
        """`llama`, `qwen2`, ...: the prefix of the model's own keys."""
        return str(self.header.scalars.get("general.architecture", ""))

    @property
    def is_adapter(self) -> bool:
        """Whether it is a LoRA adapter and no model."""
        return self.header.scalars.get("general.type") == "adapter"

    @property
    def context(self) -> int:
        """Tokens the model was trained for; 0 when the file does not say."""
        return self._number("context_length")

    @property
    def beginning(self) -> int | None:
        """Id of the token that may stand before any text, None when there is none."""
        for key in ("bos", "eos"):
            token = self.header.scalars.get(f"tokenizer.ggml.{key}_token_id")
            if isinstance(token, int):
                return token
        return None

    @property
    def ends(self) -> list[int]:
        """Ids of the tokens that end an answer: of the text, of the turn, of the message."""
        tokens = [self.header.scalars.get(f"tokenizer.ggml.{key}_token_id") for key in ("eos", "eot", "eom")]
        return [token for token in tokens if isinstance(token, int)]

    @cached_property
    def spelled_control(self) -> re.Pattern[str] | None:
        """Finds the control tokens that a text spells out; None when the model has none."""
        control = [re.escape(token) for token in self.control if len(token) > 1]
        return re.compile("|".join(control)) if control else None

    def disarm(self, messages: Sequence[Message]) -> list[dict[str, str]]:
        """Messages as JSON, with the control tokens broken up wherever the content spells one out.

        An engine would take `<|im_end|>` in a retrieved passage for the end of the turn; a zero-width space inside
        keeps it text.
        """
        control = self.spelled_control

        def split(found: re.Match[str]) -> str:
            return found[0][0] + "\u200b" + found[0][1:]

        return [
            {"role": message.role, "content": control.sub(split, message.text) if control else message.text}
            for message in messages
        ]

    def cache_bytes(self, tokens: int) -> int:
        """Memory that keys and values of `tokens` take as 16-bit floats (an upper bound with sliding windows)."""
        heads = self._number("attention.head_count")
        width = self._number("embedding_length") // max(heads, 1)
        key = self._number("attention.key_length") or width
        value = self._number("attention.value_length") or width
        shared = self._number("attention.head_count_kv") or heads
        return tokens * self._number("block_count") * shared * (key + value) * 2

    def _number(self, key: str) -> int:
        """A number of the architecture's, the largest where there is one for each layer; 0 for anything else."""
        key = f"{self.architecture}.{key}"
        found = self.header.arrays.get(key, [self.header.scalars.get(key)])
        return max((number for number in found if isinstance(number, int) and number > 0), default=0)


def read_header(path: Path) -> ModelHeader:
    """Read it, and check that the file holds every tensor it lists. Raises EngineError that says what is wrong."""
    hint = t("fetch it again with `slipway models pull`")
    if not path.is_file():
        raise _unusable(t("the model file {path} does not exist", path=path), hint)
    with path.open("rb") as file:
        try:
            header = gguf.read_header(file, (_TOKENS, _KINDS))
        except gguf.Unsound as error:
            raise _unusable(t("{file} is damaged: {why}", file=path, why=error), hint) from error
    tokens, kinds = header.arrays.pop(_TOKENS, []), header.arrays.pop(_KINDS, [])
    control = tuple(str(token) for token, kind in zip(tokens, kinds, strict=False) if kind == _CONTROL and token)
    return ModelHeader(header, control, path.stat().st_size, len(tokens))


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


def check_files(
    name: str, model: Path, adapters: Sequence[Path], context: int, parallel: int, *, held_twice: bool = False
) -> ModelHeader:
    """The model's header. Raises EngineError for files that are damaged or of the wrong kind, for a context (in
    tokens, for each of `parallel` slots) that the model was not trained for, and for want of memory. `held_twice`:
    the weights are in memory twice for a while, because the engine lays them out again.
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
    _check_memory(name, header.size * (2 if held_twice else 1) + header.cache_bytes(context * parallel))
    return header


def _check_memory(name: str, size: int) -> None:
    needed, free = size + OVERHEAD_BYTES, free_bytes()
    if needed > free:
        sizes = {"needed": needed >> 20, "free": free >> 20}
        raise _unusable(
            t("'{name}' needs about {needed} MB of memory; {free} MB are free", name=name, **sizes),
            t("lower context or parallel in the model's options, quantize the model, or free memory"),
        )


def _unusable(message: str, hint: str) -> EngineError:
    return EngineError(message, hint, status=503)
