"""An encoder-decoder as large as T5-small, served by the engine `seq2seq` and by transformers: the time of an answer.

    python bench/seq2seq.py [--read 100] [--write 24] [--answers 5] [--json]

The weights are random, which takes as long as any others. Both are asked greedily, on one thread, one after the other
for each answer, so that a busy machine slows both; reported are processor milliseconds for an answer (median), the
ratio, and whether the tokens are the same.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models
from transformers import T5Config, T5ForConditionalGeneration

from slipway.builtin.engines.seq2seq.engine import Seq2SeqEngine
from slipway.builtin.engines.seq2seq.loaded import Loaded
from slipway.builtin.seq2seq import base

SIZE = {"vocab_size": 32_128, "d_model": 512, "d_kv": 64, "d_ff": 2048, "num_layers": 6, "num_heads": 8}


def written(folder: Path) -> tuple[Any, dict[str, Path]]:
    """(the model, its files)."""
    torch.manual_seed(0)
    model: Any = T5ForConditionalGeneration(T5Config(**SIZE, decoder_start_token_id=0)).eval()
    model.generation_config.eos_token_id = None  # so many tokens as were asked for
    given = {"config.json": folder / "given.json", "tokenizer.json": folder / "given-tokenizer.json"}
    given["config.json"].write_text(json.dumps({"model_type": "t5", **SIZE}), "utf-8")
    Tokenizer(models.WordLevel({"<unk>": 0}, unk_token="<unk>")).save(str(given["tokenizer.json"]))
    return model, base.write(model, given, folder / "model")


def by_engine(loaded: Loaded, ids: list[int], most: int) -> list[int]:
    """Greedy tokens."""
    writing, said = loaded.encode(ids), [0]
    for _ in range(most):
        said.append(int(loaded.step(writing, said[-1:])[-1].argmax()))
    return said[1:]


def spent(work: Callable[[], list[int]]) -> tuple[float, list[int]]:
    """(processor milliseconds, what came)."""
    before = time.process_time()
    found = work()
    return 1000 * (time.process_time() - before), found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--read", type=int, default=100)
    parser.add_argument("--write", type=int, default=24)
    parser.add_argument("--answers", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="slipway-seq2seq-") as folder:
        model, files = written(Path(folder))
        engine = Seq2SeqEngine(Seq2SeqEngine.Config(threads=1), name="bench", files=files)
        begun = time.process_time()
        asyncio.run(engine.start())
        start = time.process_time() - begun
        loaded = engine._held
        assert loaded is not None
        draw, ours, theirs, same = np.random.default_rng(0), list[float](), list[float](), 0
        for _ in range(args.answers + 1):
            ids = draw.integers(3, SIZE["vocab_size"], args.read).tolist()
            mine, said = spent(lambda ids=ids: by_engine(loaded, ids, args.write))
            with torch.no_grad():
                asked = {"input_ids": torch.tensor([ids]), "max_new_tokens": args.write, "do_sample": False}
                other, wanted = spent(lambda asked=asked: model.generate(**asked)[0, 1:].tolist())
            ours, theirs, same = [*ours, mine], [*theirs, other], same + (said == wanted)
    row = {
        "start_cpu_s": start,
        "engine_cpu_ms": statistics.median(ours[1:]),  # the first answer warms up
        "transformers_cpu_ms": statistics.median(theirs[1:]),
        "same": same / (args.answers + 1),
    }
    row["ratio"] = row["transformers_cpu_ms"] / row["engine_cpu_ms"]
    print(json.dumps(row) if args.json else "  ".join(f"{name} {value:.2f}" for name, value in row.items()))


if __name__ == "__main__":
    main()
