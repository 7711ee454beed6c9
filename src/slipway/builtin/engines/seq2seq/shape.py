"""What the `config.json` of an encoder-decoder says. Reads no weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from slipway.errors import EngineError
from slipway.i18n import t

KINDS = ("t5", "mt5")
ACTIVATIONS = ("relu", "gated-gelu", "gated-relu")
MOST = 4096  # of every size but that of the vocabulary: a damaged file asks for no more memory than that


@dataclass(frozen=True)
class Shape:
    """T5 (Raffel et al. 2020), T5 1.1 and mT5 (Xue et al. 2021). `scale`: what is said is multiplied with it before the
    last matrix. `start`: the token before the first of an answer; `end`: the one after its last.
    """

    width: int
    heads: int
    head_size: int
    encoder_layers: int
    decoder_layers: int
    buckets: int
    distance: int
    epsilon: float
    activation: str
    scale: float
    start: int
    end: int


def read_shape(name: str, files: Mapping[str, Path]) -> Shape:
    """Raises EngineError for another architecture, and for a file that is damaged or not there."""
    try:
        config = json.loads(files["config.json"].read_text("utf-8"))
        return _shape(config)
    except (OSError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise EngineError(
            t("'{name}' is no encoder-decoder that can be run: {why}", name=name, why=str(error)[:200] or repr(error)),
            t("a model of engine seq2seq is a folder with config.json, tokenizer.json and safetensors of {kinds}",
              kinds=", ".join(KINDS)),
            status=500,
        ) from error  # fmt: skip


def _shape(config: Mapping[str, object]) -> Shape:
    def number(key: str, default: int | None = None, least: int = 1, most: int = MOST) -> int:
        found = config.get(key)
        found = default if found is None else found
        if isinstance(found, list) and found:  # several tokens end an answer: the first is the one that is learned
            found = found[0]
        if not isinstance(found, int) or isinstance(found, bool) or not least <= found <= most:
            raise ValueError(f"{key}: {found!r:.40}")
        return found

    kind = str(config.get("model_type", "?"))
    if kind not in KINDS:
        raise ValueError(f"model_type: {kind}")
    activation = str(config.get("feed_forward_proj") or ("relu" if kind == "t5" else "gated-gelu"))
    if activation not in ACTIVATIONS:
        raise ValueError(f"feed_forward_proj: {activation}")
    width, layers = number("d_model", 512), number("num_layers", 6)
    tied = kind == "t5" and config.get("tie_word_embeddings") is not False
    buckets = number("relative_attention_num_buckets", 32, 4)
    return Shape(
        width=width, heads=number("num_heads", 8), head_size=number("d_kv", 64), encoder_layers=layers,
        decoder_layers=number("num_decoder_layers", layers), buckets=buckets,
        distance=number("relative_attention_max_distance", 128, buckets, 1 << 16),
        epsilon=float(str(config.get("layer_norm_epsilon", 1e-6))), activation=activation,
        scale=width**-0.5 if tied else 1.0, start=number("decoder_start_token_id", 0, 0, 1 << 24),
        end=number("eos_token_id", 1, 0, 1 << 24),
    )  # fmt: skip
