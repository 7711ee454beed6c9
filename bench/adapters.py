"""Four adapters on one base in one process: the right one every time, and what they cost in memory.

    python bench/adapters.py [--requests 500] [--adapters 4] [--json]

SmolLM2-135M-Instruct in Q8_0 with LoRA adapters (r 8, all seven matrices) whose weights are random, so that each writes
something else. First each adapter answers every prompt in a process of its own; then one process with all of them
answers requests in random order, eight at once. Compared are the texts, and the resident memory of the processes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from slipway.builtin.causal.exporting import write_adapter
from slipway.builtin.engines.gguf_model import read_header
from slipway.builtin.engines.llama.engine import LlamaEngine
from slipway.core.message import GenerateRequest, Message, Sampling
from slipway.runtime.respond import complete

TOPICS = ("harbour", "invoice", "storm", "cooking", "taxes", "chess", "rivers", "trains", "sleep", "bees")
ASKED = ("Say one word about {}.", "Is {} important?")


class _Pair:
    def __init__(self, a: Any, b: Any) -> None:
        import torch

        self.a, self.b = torch.from_numpy(a), torch.from_numpy(b)


def adapter(base: Path, seed: int, target: Path) -> Path:
    """Random, as large as trained ones are."""
    header, draw = read_header(base), np.random.default_rng(seed)
    numbers = header.header.scalars
    width, inner = int(numbers["llama.embedding_length"]), int(numbers["llama.feed_forward_length"])
    heads, shared = int(numbers["llama.attention.head_count"]), int(numbers["llama.attention.head_count_kv"])
    sizes = {
        "self_attn.q_proj": (width, width), "self_attn.k_proj": (width, width // heads * shared),
        "self_attn.v_proj": (width, width // heads * shared), "self_attn.o_proj": (width, width),
        "mlp.gate_proj": (width, inner), "mlp.up_proj": (width, inner), "mlp.down_proj": (inner, width),
    }  # fmt: skip
    learned = {
        f"model.layers.{layer}.{name}": _Pair(
            draw.normal(0, 0.03, (8, read)).astype(np.float32), draw.normal(0, 0.03, (write, 8)).astype(np.float32)
        )
        for layer in range(int(numbers["llama.block_count"]))
        for name, (read, write) in sizes.items()
    }
    write_adapter(header, learned, 16.0, target)
    return target


def resident(pid: int) -> float:
    """MB."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return int(fields["VmRSS"].split()[0]) / 1e3


def request(prompt: str, name: str) -> GenerateRequest:
    turns = (Message("user", prompt),)
    return GenerateRequest(messages=turns, sampling=Sampling(max_tokens=4, temperature=0.0), adapters={name: 1.0})


async def answered(files: dict[str, Path], asked: list[tuple[str, str]]) -> tuple[list[str], float]:
    """(texts, resident MB of the process that gave them)."""
    engine = LlamaEngine(LlamaEngine.Config(context=256, parallel=8, measure=False), "writer", files)
    try:
        await engine.start()
        slots = asyncio.Semaphore(8)

        async def one(prompt: str, name: str) -> str:
            async with slots:
                return (await complete(engine, request(prompt, name))).text

        texts = await asyncio.gather(*(one(*pair) for pair in asked))
        assert engine.pid is not None
        return list(texts), resident(engine.pid)
    finally:
        await engine.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--base", type=Path, required=True, help="a GGUF file of the architecture llama")
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--adapters", type=int, default=4)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    prompts = [asked.format(topic) for asked in ASKED for topic in TOPICS]
    with tempfile.TemporaryDirectory(prefix="slipway-adapters-") as folder:
        names = [f"adapter{n}" for n in range(args.adapters)]
        made = {name: adapter(args.base, n, Path(folder) / f"{name}.lora.gguf") for n, name in enumerate(names)}
        alone: dict[tuple[str, str], str] = {}
        memory: list[float] = []
        for name in names:
            asked = [(prompt, name) for prompt in prompts]
            files = {"base.gguf": args.base, made[name].name: made[name]}
            texts, used = asyncio.run(answered(files, asked))
            alone |= dict(zip(asked, texts, strict=True))
            memory.append(used)
        draw = random.Random(1)
        mixed = [(draw.choice(prompts), draw.choice(names)) for _ in range(args.requests)]
        files = {"base.gguf": args.base, **{path.name: path for path in made.values()}}
        texts, together = asyncio.run(answered(files, mixed))
        size = sum(path.stat().st_size for path in made.values()) / 1e6 / len(made)
    distinct = sum(len({alone[prompt, name] for name in names}) == len(names) for prompt in prompts)
    found = {
        "requests": len(mixed), "right": sum(alone[pair] == text for pair, text in zip(mixed, texts, strict=True)),
        "prompts": len(prompts), "prompts_that_all_adapters_answer_differently": distinct, "adapter_mb": round(size, 1),
        "resident_mb_with_one": round(max(memory)), "resident_mb_with_all": round(together),
        "times_one": round(together / max(memory), 3), "processes": 1,
    }  # fmt: skip
    if args.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:>48}  {value}")


if __name__ == "__main__":
    main()
