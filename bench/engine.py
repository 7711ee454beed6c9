"""Our local engines against xllamacpp as it comes, and against bare transformers: tokens a second, side by side.

    python bench/engine.py MODEL_Q4_1.gguf [--model-q8 Q8_0.gguf] [--transformers PYTHON] [--rounds 3]

Each round asks every contender, one after the other and in a rotated order, for answers of 48 tokens to prompts of 576;
no two prompts share a prefix. A contender that can is asked for one at a time and for four at once; its better figure
counts. xllamacpp runs with the model as it comes and, since weights matter more than settings, with ours. The figures
are all tokens (prompt and answer) of a round over its seconds and over the CPU-seconds of the process that computes;
the results are the medians of the rounds, and their ratios. `--transformers` names the Python of an environment with
torch==2.13.0, transformers, gguf and accelerate (they are no dependencies of ours); it runs in fp32, one at a time.
Without `--model-q8` the q8_0 weights are made from the first model, if `slipway.store.models` can.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PROMPT, ANSWER, AT_ONCE = 576, 48, 4
_draw = random.Random(7)

DEFAULTS = """
import json, os, sys, xllamacpp
from concurrent.futures import ThreadPoolExecutor
params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.n_parallel = int(sys.argv[2])  # 1 is the default; 4 is what it takes to answer four at once
params.verbosity = 0
server = xllamacpp.Server(params)
def ask(prompt):
    body = {"prompt": prompt, "max_tokens": int(sys.argv[3]), "temperature": 0, "ignore_eos": True}
    answer = server.handle_completions(body)
    usage = (answer if isinstance(answer, dict) else json.loads(answer))["usage"]
    return usage["prompt_tokens"] + usage["completion_tokens"]
pool = ThreadPoolExecutor(8)
print("ready", flush=True)
for line in sys.stdin:
    print(sum(pool.map(ask, json.loads(line))), flush=True)
os._exit(0)
"""

TRANSFORMERS = """
import json, os, sys, torch
from transformers import AutoModelForCausalLM
folder, file = os.path.split(sys.argv[1])
model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32).eval()
count = int(sys.argv[3])
def ask(prompt):
    ids = torch.tensor([prompt])
    with torch.inference_mode():
        made = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=count, min_new_tokens=count,
                              do_sample=False, pad_token_id=0)
    return made.shape[1]
print("ready", flush=True)
for line in sys.stdin:
    print(sum(map(ask, json.loads(line))), flush=True)
"""


def words(model: Path) -> dict[int, str]:
    """Tokens that are one plain word with a space in front; any sequence of them tokenizes to itself."""
    from gguf import GGUFReader

    field = GGUFReader(model).fields["tokenizer.ggml.tokens"]
    texts = [bytes(field.parts[at]).decode("utf-8", "replace") for at in field.data]
    return {at: f" {text[1:]}" for at, text in enumerate(texts) if re.fullmatch("\u0120[a-z]{4,9}", text)}


def prompts(known: dict[int, str], count: int) -> list[list[int]]:
    """Words drawn at random: no two prompts share a beginning."""
    return [_draw.choices(list(known), k=PROMPT) for _ in range(count)]


def cpu_seconds(pid: int) -> float:
    """User and system time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Program:
    """A contender in a process of its own that reads batches of prompts and says how many tokens it worked through."""

    def __init__(self, python: str, source: str, model: Path, slots: int = 1) -> None:
        command = [python, "-c", source, str(model), str(slots), str(ANSWER)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.pid = self.process.pid
        assert self.process.stdout is not None
        while (line := self.process.stdout.readline()) != "ready\n":
            if not line:
                raise SystemExit(f"{command[0]} did not start; run its part by hand to see why")

    async def ask(self, batch: list[list[int]]) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(batch) + "\n")
        self.process.stdin.flush()
        return int(await asyncio.to_thread(self.process.stdout.readline))

    async def close(self) -> None:
        self.process.kill()
        self.process.wait()


class Ours:
    """An engine of ours as the project file's defaults make it; asked through `generate`, streamed like any request."""

    def __init__(self, kind: str, model: Path, slots: int, known: dict[int, str]) -> None:
        from slipway import plugins

        self.known = known
        self.answers: list[int] = []  # tokens of each: the model may end one before it has 48
        engine = plugins.Plugins().load("engines", kind)
        self.engine = engine(engine.Config(context=1024, parallel=slots), files={"model.gguf": model})

    @property
    def pid(self) -> int:
        assert self.engine.pid is not None
        return self.engine.pid

    async def ask(self, batch: list[list[int]]) -> int:
        return sum(await asyncio.gather(*map(self.one, batch)))

    async def one(self, ids: list[int]) -> int:
        from slipway.core.message import GenerateRequest, Sampling

        prompt = "".join(self.known[token] for token in ids)
        request = GenerateRequest(prompt=prompt, sampling=Sampling(max_tokens=ANSWER))
        async for delta in self.engine.generate(request):
            if delta.usage:
                assert delta.usage.prompt_tokens == len(ids)
                self.answers.append(delta.usage.completion_tokens)
                return delta.usage.prompt_tokens + delta.usage.completion_tokens
        raise AssertionError

    async def close(self) -> None:
        await self.engine.close()


async def contenders(options: argparse.Namespace, known: dict[int, str]) -> dict[str, tuple[Any, int]]:
    """name -> (who, how many at once)."""
    found: dict[str, tuple[Any, int]] = {}
    for kind, weights, model in (
        ("openvino", "q8_0", options.model_q8),
        ("llama", "q8_0", options.model_q8),
        ("llama", "q4_1", options.model),
    ):
        if model is not None:
            for slots in (1, AT_ONCE):
                ours = Ours(kind, model, slots, known)
                await ours.engine.start()
                found[f"{kind} {weights} x{slots}"] = (ours, slots)
    for slots in (1, AT_ONCE):
        for weights, model in (("q4_1", options.model), ("q8_0", options.model_q8)):
            if model is not None:
                found[f"xllamacpp {weights} x{slots}"] = (Program(sys.executable, DEFAULTS, model, slots), slots)
    if options.transformers:
        found["transformers fp32 x1"] = (Program(options.transformers, TRANSFORMERS, options.model), 1)
    return found


async def compete(options: argparse.Namespace) -> dict[str, list[tuple[float, float]]]:
    """(tokens a second, tokens a CPU-second) of every round, by contender."""
    known = words(options.model)
    running = await contenders(options, known)
    speeds: dict[str, list[tuple[float, float]]] = {name: [] for name in running}
    for who, _ in running.values():
        await who.ask([prompts(known, 1)[0][:32]])  # warms up
    for turn in range(options.rounds):
        names = list(running)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            who, slots = running[name]
            batch = prompts(known, slots)
            begin, used = time.perf_counter(), cpu_seconds(who.pid)
            tokens = await who.ask(batch)
            seconds, used = time.perf_counter() - begin, cpu_seconds(who.pid) - used
            print(
                f"round {turn} {name:24} {tokens / seconds:7.1f} tok/s {tokens / used:7.1f} tok/CPU-s", file=sys.stderr
            )
            speeds[name].append((tokens / seconds, tokens / used))
    for name, (who, _) in running.items():
        if isinstance(who, Ours):
            print(f"{name}: {statistics.mean(who.answers[1:]):.1f} tokens an answer", file=sys.stderr)
        await who.close()
    return speeds


def quantized(model: Path) -> Path | None:
    """The q8_0 weights of `model`, made beside the others of its kind; None when that cannot be done here."""
    try:
        from slipway.gguf_quantize import quantize_gguf
    except ImportError:
        return None
    path = Path(tempfile.gettempdir()) / f"{model.stem}.bench-q8_0.gguf"
    if not path.exists():
        quantize_gguf(model, path, "q8_0")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--model-q8", type=Path)
    parser.add_argument("--transformers", metavar="PYTHON")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    options.model_q8 = options.model_q8 or quantized(options.model)
    rounds = asyncio.run(compete(options))
    print(f"{os.cpu_count()} cores, {platform.machine()}, load {os.getloadavg()[0]:.1f}; {PROMPT} + {ANSWER} tokens")
    medians = {
        name: [statistics.median(column) for column in zip(*values, strict=True)] for name, values in rounds.items()
    }
    for name, (wall, cpu) in medians.items():
        print(f"{name:24} {wall:7.1f} tok/s {cpu:7.1f} tok/CPU-s")
    for ours in ("openvino", "llama"):
        for other, target in (("xllamacpp q4_1", 2.0), ("xllamacpp q8_0", 1.0), ("transformers", 3.0)):
            for column, unit in enumerate(("second", "CPU-second")):
                for which, end in (("best", ""), ("one at a time", "x1")):
                    us, them = (
                        max((v[column] for n, v in medians.items() if n.startswith(who) and n.endswith(end)), default=0)
                        for who in (ours, other)
                    )
                    if them:
                        print(f"{ours} / {other}, tokens a {unit}, {which}: {us / them:.2f} (target {target})")


if __name__ == "__main__":
    main()
