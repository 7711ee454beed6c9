"""Four adapters on one base in one process: the right one every time, and what they cost in memory.

    python bench/adapters.py --base FILE.gguf [--requests 500] [--adapters 4] [--json]

SmolLM2-135M-Instruct in Q8_0 with LoRA adapters (r 8, all seven matrices) whose weights are random, so that each writes
something else. First the base alone and each adapter alone answer prompts, in processes of their own; kept are pairs
of a prompt and an adapter whose answer nothing else gives, and gives clearly, so that an answer tells who gave it. Then
one process with all adapters answers requests in random order, eight at once; all prompts begin alike, so that caches
have something to confuse.

Memory is what a process needs after it has answered: Pss of `/proc/PID/smaps_rollup`, which has pages of files (the
base is mapped) and pages of its own (`anonymous`). The process with all adapters has answered the requests; the one
with the base alone has answered as many requests with as many different texts, so that its caches hold as much.
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
from slipway.core.message import Completion, GenerateRequest, Message, Sampling
from slipway.runtime.respond import complete

TOPICS = ("harbour", "invoice", "storm", "cooking", "taxes", "chess", "rivers", "trains", "sleep", "bees", "glass",
          "violin", "desert", "bread", "snow")  # fmt: skip
ASKED = "You say a few words about one thing. What do you say about {}?"
TOKENS = 2
SCALE = 0.07  # of the random weights: each adapter changes what is said, and in its own way
MARGIN = 0.3  # nats between the token that is said and the next; several requests at once round otherwise than one


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
            draw.normal(0, SCALE, (8, read)).astype(np.float32), draw.normal(0, SCALE, (write, 8)).astype(np.float32)
        )
        for layer in range(int(numbers["llama.block_count"]))
        for name, (read, write) in sizes.items()
    }
    write_adapter(header, learned, 16.0, target)
    return target


def memory(pid: int) -> dict[str, float]:
    """MB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    fields = {line.split(":")[0]: int(line.split()[1]) / 1e3 for line in lines}
    return {"pss": fields["Pss"], "anonymous": fields["Anonymous"]}


def request(prompt: str, name: str | None) -> GenerateRequest:
    turns = (Message("user", prompt),)
    scales = {name: 1.0} if name else {}
    sampling = Sampling(max_tokens=TOKENS, temperature=0.0)
    return GenerateRequest(messages=turns, sampling=sampling, adapters=scales, logprobs=2)


async def answered(
    files: dict[str, Path], asked: list[tuple[str, str | None]]
) -> tuple[list[Completion], dict[str, float]]:
    """(answers, memory of the process that gave them)."""
    engine = LlamaEngine(LlamaEngine.Config(context=256, parallel=8, measure=False, cache_mb=0), "writer", files)
    try:
        await engine.start()
        slots = asyncio.Semaphore(8)

        async def one(prompt: str, name: str | None) -> Completion:
            async with slots:
                return await complete(engine, request(prompt, name))

        said = await asyncio.gather(*(one(*pair) for pair in asked))
        assert engine.pid is not None
        return list(said), memory(engine.pid)
    finally:
        await engine.close()


def alone(base: Path, files: dict[str, Path], prompts: list[str]) -> dict[tuple[str, str | None], Completion]:
    """(prompt, adapter) -> what it says in a process of its own; None is the base."""
    said: dict[tuple[str, str | None], Completion] = {}
    for name in (None, *files):
        asked: list[tuple[str, str | None]] = [(prompt, name) for prompt in prompts]
        held = {"base.gguf": base} | ({files[name].name: files[name]} if name else {})
        said |= dict(zip(asked, asyncio.run(answered(held, asked))[0], strict=True))
    return said


def clear(said: Completion) -> bool:
    """Whether each token was clearly the likeliest."""
    gaps = [one.logprob - next((p for text, p in one.top if text != one.token), -99.0) for one in said.logprobs]
    return bool(gaps) and min(gaps) > MARGIN


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--base", type=Path, required=True, help="a GGUF file of the architecture llama")
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--adapters", type=int, default=4)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    prompts = [ASKED.format(topic) for topic in TOPICS]
    with tempfile.TemporaryDirectory(prefix="slipway-adapters-") as folder:
        names = [f"adapter{n}" for n in range(args.adapters)]
        made = {name: adapter(args.base, n, Path(folder) / f"{name}.lora.gguf") for n, name in enumerate(names)}
        said = alone(args.base, made, prompts)
        telling: list[tuple[str, str | None]] = [
            (prompt, name)
            for prompt in prompts
            for name in names
            if clear(said[prompt, name])
            and all(said[prompt, other].text != said[prompt, name].text for other in (None, *names) if other != name)
        ]
        draw = random.Random(1)
        mixed = [draw.choice(telling) for _ in range(args.requests)]
        files = {"base.gguf": args.base, **{path.name: path for path in made.values()}}
        answers, together = asyncio.run(answered(files, mixed))
        others: list[tuple[str, str | None]] = [(f"{prompt} ({name})", None) for prompt, name in mixed]
        _, base = asyncio.run(answered({"base.gguf": args.base}, others))
        size = sum(path.stat().st_size for path in made.values()) / 1e6 / len(made)
    found = {
        "requests": len(mixed),
        "right": sum(said[pair].text == one.text for pair, one in zip(mixed, answers, strict=True)),
        "answers_that_tell_their_adapter": len(telling),
        "fewest_of_an_adapter": min(sum(one == name for _, one in telling) for name in names),
        "adapter_mb": round(size, 1),
        **{f"{kind}_mb_base_alone": round(value) for kind, value in base.items()},
        **{f"{kind}_mb_with_all": round(value) for kind, value in together.items()},
        "times_base_alone": round(together["pss"] / base["pss"], 3), "processes": 1,
    }  # fmt: skip
    if args.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:>40}  {value}")


if __name__ == "__main__":
    main()
