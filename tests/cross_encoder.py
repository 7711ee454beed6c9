"""A small random cross-encoder in the layout of its family."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

HIDDEN, HEADS, WIDE, POSITIONS = 32, 4, 64, 60
_OWN = "a b c d e f g the keel weighs nine tonnes how much does it"
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *_OWN.split(" ")]


def made(
    folder: Path, kind: str, labels: int = 1, more: tuple[str, ...] = ()
) -> tuple[dict[str, Path], dict[str, np.ndarray]]:
    """A random cross-encoder of two layers, in the layout of its family, with a tokenizer of a few words and `more`."""
    known = [*WORDS, *(word for word in dict.fromkeys(more) if word not in WORDS)]
    from safetensors.numpy import save_file
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    random = np.random.default_rng(3)
    types = 2 if kind == "bert" else 1
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (len(known), HIDDEN),
        "embeddings.position_embeddings.weight": (POSITIONS, HIDDEN),
        "embeddings.token_type_embeddings.weight": (types, HIDDEN),
    }
    norms = ["embeddings.LayerNorm"]
    for layer in range(2):
        at = f"encoder.layer.{layer}"
        for name, (out, into) in {
            "attention.self.query": (HIDDEN, HIDDEN), "attention.self.key": (HIDDEN, HIDDEN),
            "attention.self.value": (HIDDEN, HIDDEN), "attention.output.dense": (HIDDEN, HIDDEN),
            "intermediate.dense": (WIDE, HIDDEN), "output.dense": (HIDDEN, WIDE),
        }.items():  # fmt: skip
            shapes |= {f"{at}.{name}.weight": (out, into), f"{at}.{name}.bias": (out,)}
        norms += [f"{at}.attention.output.LayerNorm", f"{at}.output.LayerNorm"]
    head = ("pooler.dense", "classifier") if kind == "bert" else ("classifier.dense", "classifier.out_proj")
    for name, out in zip(head, (HIDDEN, labels), strict=True):
        shapes |= {f"{name}.weight": (out, HIDDEN), f"{name}.bias": (out,)}
    weights = {name: random.normal(0, 0.4, shape).astype(np.float32) for name, shape in shapes.items()}
    for name in norms:
        weights |= {f"{name}.weight": np.ones(HIDDEN, np.float32), f"{name}.bias": np.zeros(HIDDEN, np.float32)}
    root = "bert." if kind == "bert" else "roberta."
    beside = lambda name: name.startswith("classifier")  # noqa: E731 -- one line
    folder.mkdir()
    save_file(
        {name if beside(name) else root + name: one for name, one in weights.items()}, folder / "model.safetensors"
    )
    config = {
        "model_type": kind, "num_hidden_layers": 2, "num_attention_heads": HEADS, "hidden_size": HIDDEN,
        "intermediate_size": WIDE, "layer_norm_eps": 1e-5, "hidden_act": "gelu", "max_position_embeddings": POSITIONS,
        "pad_token_id": 0,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(known)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    return {path.name: path for path in folder.iterdir()}, weights
