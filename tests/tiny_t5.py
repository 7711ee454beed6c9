"""A tiny T5 with random weights in Hugging Face's format: bytes are its tokens, and it writes letters only."""

from __future__ import annotations

import json
import string
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

SPECIAL = ("<pad>", "</s>", "<unk>")


def write_t5(
    folder: Path, seed: int = 0, *, width: int = 32, heads: int = 2, size: int = 8, inner: int = 48, layers: int = 2,
    letters: bool = True, **config: object,
) -> dict[str, Path]:  # fmt: skip
    """Its files by name. `letters`: what no letter is has no weight in the last matrix, so greedy answers never end."""
    folder.mkdir(parents=True, exist_ok=True)
    bytes_ = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: n for n, token in enumerate([*SPECIAL, *bytes_])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIAL))
    files = {name: folder / name for name in ("config.json", "tokenizer.json", "model.safetensors")}
    tokenizer.save(str(files["tokenizer.json"]))
    shape = {
        "model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "d_model": width, "d_kv": size, "d_ff": inner,
        "num_heads": heads, "num_layers": layers, "num_decoder_layers": layers, "vocab_size": len(vocabulary),
        "relative_attention_num_buckets": 8, "relative_attention_max_distance": 32, "feed_forward_proj": "gated-gelu",
        "tie_word_embeddings": False, "decoder_start_token_id": 0, "eos_token_id": 1, "pad_token_id": 0,
        "dropout_rate": 0.0, "is_encoder_decoder": True,
    }  # fmt: skip
    shape |= config
    files["config.json"].write_text(json.dumps(shape))
    draw = np.random.default_rng(seed)

    def matrix(rows: int, columns: int) -> np.ndarray:
        return (draw.standard_normal((rows, columns)) * columns**-0.5).astype(np.float32)

    weights = {"shared.weight": matrix(len(vocabulary), width) * 4, "lm_head.weight": matrix(len(vocabulary), width)}
    if letters:
        weights["lm_head.weight"][[n for token, n in vocabulary.items() if token not in string.ascii_letters]] = 0
    for side in ("encoder", "decoder"):
        weights[f"{side}.final_layer_norm.weight"] = np.ones(width, np.float32)
        for layer in range(layers):
            parts = [("SelfAttention", 0)] + ([("EncDecAttention", 1)] if side == "decoder" else [])
            for part, place in parts:
                at = f"{side}.block.{layer}.layer.{place}"
                weights[f"{at}.layer_norm.weight"] = np.ones(width, np.float32)
                weights |= {f"{at}.{part}.{one}.weight": matrix(heads * size, width) for one in "qkv"}
                weights[f"{at}.{part}.o.weight"] = matrix(width, heads * size)
            at = f"{side}.block.{layer}.layer.{len(parts)}"
            weights[f"{at}.layer_norm.weight"] = np.ones(width, np.float32)
            weights |= {f"{at}.DenseReluDense.wi_{n}.weight": matrix(inner, width) for n in (0, 1)}
            weights[f"{at}.DenseReluDense.wo.weight"] = matrix(width, inner)
        table = matrix(8, heads)
        weights[f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"] = table
    save_file(weights, files["model.safetensors"])
    return files
