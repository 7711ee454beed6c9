"""A tiny Llama with random weights as a GGUF file, as small as engines and transformers load: bytes are its tokens."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def byte_letters() -> list[str]:
    """The 256 letters that stand for bytes in byte-level BPE (Radford et al. 2019)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    other = iter(range(256, 512))
    return [chr(byte) if byte in plain else chr(next(other)) for byte in range(256)]


def write_llama(
    path: Path, seed: int = 0, *, hidden: int = 64, layers: int = 2, heads: int = 4, groups: int = 2, inner: int = 128,
    merged: tuple[str, ...] = ("t h", "s h"), scale: float = 0.08, **changed: np.ndarray,
) -> Path:  # fmt: skip
    """`merged`: pairs of the vocabulary, so that two models may have different tokenizers. `changed`: tensors, with
    `__` for dots.
    """
    rng = np.random.default_rng(seed)
    tokens = [*SPECIAL, *byte_letters(), *("".join(pair.split()) for pair in merged)]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(512)
    writer.add_embedding_length(hidden)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(groups)
    writer.add_rope_dimension_count(hidden // heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(tokens))
    writer.add_file_type(0)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([3] * len(SPECIAL) + [1] * (len(tokens) - len(SPECIAL)))
    writer.add_token_merges(list(merged))
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)
    width = hidden // heads * groups
    shapes = {"token_embd.weight": (len(tokens), hidden), "output_norm.weight": (hidden,)}
    for layer in range(layers):
        at = f"blk.{layer}."
        shapes |= {f"{at}attn_norm.weight": (hidden,), f"{at}ffn_norm.weight": (hidden,)}
        shapes |= {f"{at}attn_q.weight": (hidden, hidden), f"{at}attn_output.weight": (hidden, hidden)}
        shapes |= {f"{at}attn_k.weight": (width, hidden), f"{at}attn_v.weight": (width, hidden)}
        shapes |= {f"{at}ffn_gate.weight": (inner, hidden), f"{at}ffn_up.weight": (inner, hidden)}
        shapes |= {f"{at}ffn_down.weight": (hidden, inner)}
    for name, shape in shapes.items():
        value = rng.normal(0, scale if len(shape) > 1 else 0, shape) + (1 if len(shape) == 1 else 0)
        writer.add_tensor(name, changed.get(name.replace(".", "__"), value).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_adapter(path: Path, seed: int) -> Path:
    """A LoRA adapter of rank 4 for the tiny Llama; its weights are noise, large enough to change what is said."""
    rng = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 8.0)
    for layer in range(2):
        for name, read, write in (("attn_q", 64, 64), ("attn_v", 64, 32), ("ffn_down", 128, 64)):
            for part, shape in (("a", (4, read)), ("b", (write, 4))):
                value = rng.normal(0, 0.3, shape).astype(np.float32)
                writer.add_tensor(f"blk.{layer}.{name}.weight.lora_{part}", value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
