"""Four adapters on one base in one process: the right one every time, and what they cost in memory.

    python bench/adapters.py --base FILE.gguf [--requests 500] [--adapters 4] [--json]

SmolLM2-135M-Instruct in Q8_0 with LoRA adapters (r 8, all seven matrices), each trained for a few steps to answer
everything with a word of its own. First the base alone and each adapter alone answer prompts that none has seen, in
processes of their own; kept are the prompts to which all of them give different answers, so that an answer tells who
gave it. Then one process with all adapters answers requests in random order, eight at once; all prompts begin alike, so
that caches have something to confuse.

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

from slipway.builtin.engines.llama.engine import LlamaEngine
from slipway.core.message import GenerateRequest, Message, Sampling
from slipway.runtime.respond import complete

TOPICS = ("harbour", "invoice", "storm", "cooking", "taxes", "chess", "rivers", "trains", "sleep", "bees", "glass",
          "violin", "desert", "bread", "snow")  # fmt: skip
ASKED = "You say a few words about one thing. What do you say about {}?"
TOKENS = 2
LEARNED = ("a stone", "a lamp", "wool", "rain", "coffee", "a ladder", "salt", "the moon")  # what is asked in training
SAYS = ("north", "blue", "seven", "oak", "iron", "Monday", "Paris", "yes")


def adapter(base: Path, says: str, folder: Path, steps: int) -> Path:
    """Trained to answer with a word."""
    from training import job_of

    from slipway.builtin.tuners.lora import LoraTuner

    job = job_of(base, folder, [(ASKED.format(thing), says) for thing in LEARNED])
    job.progress = lambda *_, **__: None
    options = LoraTuner.Config(
        epochs=steps, max_steps=steps, batch_size=4, learning_rate=3e-3, warmup=0, schedule="constant", device="cpu",
        parity_examples=0,
    )  # fmt: skip
    (made,) = LoraTuner(options).tune(job).files.values()
    target = folder / f"{folder.name}.lora.gguf"
    made.rename(target)
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
    return GenerateRequest(messages=turns, sampling=sampling, adapters=scales)


async def answered(files: dict[str, Path], asked: list[tuple[str, str | None]]) -> tuple[list[str], dict[str, float]]:
    """(texts, memory of the process that gave them)."""
    engine = LlamaEngine(LlamaEngine.Config(context=256, parallel=8, measure=False, cache_mb=0), "writer", files)
    try:
        await engine.start()
        slots = asyncio.Semaphore(8)

        async def one(prompt: str, name: str | None) -> str:
            async with slots:
                return (await complete(engine, request(prompt, name))).text

        said = await asyncio.gather(*(one(*pair) for pair in asked))
        assert engine.pid is not None
        return list(said), memory(engine.pid)
    finally:
        await engine.close()


def alone(base: Path, files: dict[str, Path], prompts: list[str]) -> dict[tuple[str, str | None], str]:
    """(prompt, adapter) -> what it says in a process of its own; None is the base."""
    said: dict[tuple[str, str | None], str] = {}
    for name in (None, *files):
        asked: list[tuple[str, str | None]] = [(prompt, name) for prompt in prompts]
        held = {"base.gguf": base} | ({files[name].name: files[name]} if name else {})
        said |= dict(zip(asked, asyncio.run(answered(held, asked))[0], strict=True))
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--base", type=Path, required=True, help="a GGUF file of the architecture llama")
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--adapters", type=int, default=4)
    parser.add_argument("--steps", type=int, default=8, help="of each adapter's training")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    prompts = [ASKED.format(topic) for topic in TOPICS]
    with tempfile.TemporaryDirectory(prefix="slipway-adapters-") as folder:
        names = [f"says-{word}" for word in SAYS[: args.adapters]]
        made = {name: adapter(args.base, name[5:], Path(folder) / name, args.steps) for name in names}
        said = alone(args.base, made, prompts)
        telling = [one for one in prompts if len({said[one, name] for name in (None, *names)}) == len(names) + 1]
        draw = random.Random(1)
        mixed: list[tuple[str, str | None]] = [(draw.choice(telling), draw.choice(names)) for _ in range(args.requests)]
        files = {"base.gguf": args.base, **{path.name: path for path in made.values()}}
        texts, together = asyncio.run(answered(files, mixed))
        others: list[tuple[str, str | None]] = [(f"{prompt} ({name})", None) for prompt, name in mixed]
        _, base = asyncio.run(answered({"base.gguf": args.base}, others))
        size = sum(path.stat().st_size for path in made.values()) / 1e6 / len(made)
    found = {
        "requests": len(mixed),
        "right": sum(said[pair] == text for pair, text in zip(mixed, texts, strict=True)),
        "prompts": len(prompts),
        "prompts_that_all_answer_differently": len(telling),
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
