"""Requests that mean harm, against both local engines and the real small model, with well-behaved clients beside them.

    python bench/hostile.py MODEL.gguf [--engine openvino --engine llama] [--every N] [--seconds 60]

For each engine: the latency of two well-behaved clients alone, then the same while hostile ones send a part of the
requests (or of each Nth), and so on by turns until all were sent. Prints the p50 and p99 of both, how many well-behaved
requests failed, what became of the hostile ones, how often a child was started again, the most memory that both took,
and how many cores other processes of this machine used meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slipway.builtin.engines.process.limits import cpu_seconds, own_bytes
from slipway.core.message import GenerateRequest, Message, Sampling
from slipway.errors import EngineError
from slipway.plugins import Plugins

OPTIONS = {
    "openvino": {"context": 1024, "threads": 2, "parallel": 4},
    "llama": {"context": 1024, "threads": 2, "spin": 1000, "parallel": 4},
}
PATIENCE = 120.0  # seconds in which every hostile request must have ended
DEADLINE = 20.0  # seconds after which a hostile client leaves
ROUNDS = 6  # of quiet and hostile phases
ENOUGH = 30  # well-behaved requests without anybody beside them


def string(**more: Any) -> dict[str, Any]:
    """A schema of a string."""
    return {"type": "string", **more}


def thing(properties: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A schema of an object."""
    return {"type": "object", "properties": dict(properties), **more}


def nested(depth: int, inner: dict[str, Any]) -> dict[str, Any]:
    """Lists within lists."""
    for _ in range(depth):
        inner = {"type": "array", "items": inner, "minItems": 50, "maxItems": 1000}
    return inner


PATTERNS = [
    "((a{1,1000}){1,1000}){1,1000}",
    "(((a{1,1000}){1,1000}){1,1000}){1,1000}",
    "(.{1,100}){1,100}",
    "([a-z]{1,300}){9}",
    "(a|b|[^c]){1,5000}",
    "(((a*)*)*)*b",
    "(a|a|a)*b",
    "(a+)+$",
    "((ab|a)(bc|c))*" * 20,
    "(x+x+)+y",
    "[a-z]{1,1000}",
    "a{99999999999}",
    "a{1,99999}",
    "\\w{500}\\d{500}\\s{500}",
    "(" * 20 + "a" + ")" * 20,
    "(" * 500 + "a" + ")" * 500,
    "[" * 5000,
    "(" * 5000,
    "a{" + "9" * 4000 + "}",
    "|".join("abcdefgh" * 400),
    "a**",
    "a{2}{3}",
    "(?=a)b",
    "\\1",
    "[z-a]",
    "\\",
    "[^]",
    "[]a]",
    "()",
    "(|a)",
    "a||b",
    "^*",
    "\\u0000",
    "\x00\x01",
    "\n",
    "a{,3}",
    "a{3,2}",
    "x*+",
    "[\\d-z]",
    "^^a$$",
    "a$b",
    "{",
    "}",
    "]",
    "é{1,50}",
    "👍🏽{1,9}",
    "\\-",
    "[\\-a]",
    "[a\\]b]",
    ".",
    "(a)(b)(c){0}",
    "a{0}",
]
SCHEMAS: list[dict[str, Any]] = [
    *(string(pattern=pattern) for pattern in PATTERNS),
    string(maxLength=10**6),
    string(minLength=10**9),
    string(minLength=2000, maxLength=2000),
    string(maxLength=2**53),
    nested(3, {"type": "integer"}),
    nested(10, string(maxLength=50)),
    {"type": "array", "items": string(), "minItems": 10**9},
    {"type": "array", "prefixItems": [string(maxLength=100)] * 50},
    {"enum": list(range(5000))},
    {"enum": ["y" * 60_000]},
    {"enum": [f"{n}" + "y" * 300 for n in range(150)]},
    {"const": {"a": ["b" * 100] * 100}},
    {"enum": [[[[]]], {}, None, 1e300]},
    thing({f"p{n}": string() for n in range(1000)}),
    thing({f"p{n}": string(maxLength=n) for n in range(60)}),
    thing({"n" * 20_000: string()}),
    thing({"\x00": string(), '"\\': string(), "": string()}, required=[""]),
    thing({f"p{n}": {"type": "integer", "minimum": -n, "maximum": 10**15 + n} for n in range(400)}),
    {"anyOf": [thing({f"p{m}": string() for m in range(20)}) for n in range(30)]},
    {"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, string()]}}, "$ref": "#/$defs/a"},
    {
        "$defs": {
            f"d{n}": thing({"l": {"$ref": f"#/$defs/d{n + 1}"}, "r": {"$ref": f"#/$defs/d{n + 1}"}}) for n in range(30)
        }
        | {"d30": string()},
        "$ref": "#/$defs/d0",
    },
    {"$ref": "#"},
    {"$ref": "#foo"},
    {"$ref": "#/$defs/a~1b", "$defs": {"a~1b": string()}},
    {"type": "array", "items": {"$ref": "#"}},
    thing({"a": {"$ref": "#"}}, required=["a"]),
    {"type": "object", "required": [[1]]},
    {"type": "object", "additionalProperties": {"$ref": "#"}},
    {"type": "integer", "minimum": -(2**53), "maximum": 2**53},
    {"type": "integer", "minimum": 10**400},
    {"anyOf": [{"type": "null"}] * 3000},
]
CHOICES: list[tuple[str, ...]] = [
    tuple(f"{n:04d}" + "y" * 896 for n in range(1000)),
    tuple(f"{n:04d}" + "y" * 896 for n in range(100)),
    ("y" * 1000,),
    tuple(str(n) for n in range(1000)),
    tuple("a" * n for n in range(1, 300)),
    ("\x00", "\x7f", "\u2028", '"', "\\", "\n"),
    ("👍🏽" * 100, "你好" * 200),
    (" ", "  ", "\t"),
    ("<|im_end|>", "<|im_start|>"),
]
SAMPLINGS = [
    Sampling(stop=tuple(chr(97 + n) * 256 for n in range(16))),
    Sampling(stop=("\x00", "\n", " ")),
    Sampling(temperature=2.0, top_p=1e-9),
    Sampling(temperature=1e-9),
    Sampling(frequency_penalty=2.0, presence_penalty=-2.0),
    Sampling(seed=2**32 - 2, temperature=2.0),
    Sampling(max_tokens=1024),
    Sampling(max_tokens=10**6),
    Sampling(temperature=float("nan")),
    Sampling(top_p=0.0),
]
PROMPTS = [
    "<|im_end|>" * 2000,
    "\ud800",
    "\x00" * 500,
    "a" * 100_000,
    "word " * 100_000,
    "\u200d" * 2000,
    "👨‍👩‍👧‍👦" * 400,
    " " * 50_000,
    "".join(chr(0x80 + n * 37 % 0x3000) for n in range(20_000)),
    "\r\n\t" * 1000,
    "{{ ''.__class__ }}{% for x in y %}",
]


def hostile() -> Iterator[tuple[str, GenerateRequest]]:
    """Every hostile request, with a name."""
    short = Sampling(max_tokens=8)
    for n, schema in enumerate(SCHEMAS):
        yield f"schema {n} {str(schema)[:60]}", GenerateRequest(prompt="JSON:", json_schema=schema, sampling=short)
    for n, choices in enumerate(CHOICES):
        yield f"choices {n}", GenerateRequest(prompt="One:", choices=choices, sampling=short)
    for n, sampling in enumerate(SAMPLINGS):
        yield f"sampling {n}", GenerateRequest(prompt="Say:", sampling=sampling)
    for n, prompt in enumerate(PROMPTS):
        yield f"prompt {n}", GenerateRequest(prompt=prompt, sampling=short)
        yield f"message {n}", GenerateRequest(messages=(Message("user", prompt),), sampling=short)
    yield "logprobs", GenerateRequest(prompt="x", logprobs=20, sampling=short)
    yield "adapters", GenerateRequest(prompt="x", adapters={"\x00": 1e308}, sampling=short)


@dataclass
class Result:
    """What happened to one engine."""

    quiet: list[float] = field(default_factory=list[float])
    beside: list[float] = field(default_factory=list[float])
    failed: list[str] = field(default_factory=list[str])  # well-behaved requests that were not answered
    outcomes: dict[str, str] = field(default_factory=dict[str, str])
    now: set[str] = field(default_factory=set[str])  # hostile requests that are being answered
    held_up: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])  # by which, perhaps
    slowest: tuple[float, str] = (0.0, "")
    restarts: int = 0
    memory: int = 0
    trouble: str = ""  # at the end
    others: dict[str, list[float]] = field(default_factory=lambda: {"quiet": [], "beside": []})  # cores


async def behave(engine: Any, seconds: list[float], result: Result, until: asyncio.Event) -> None:
    """One well-behaved client: short answers, one after the other."""
    draw = random.Random(7)
    while not until.is_set():
        ask = GenerateRequest(prompt=f"{draw.random()} Once upon a time", sampling=Sampling(max_tokens=16))
        began, beside = time.monotonic(), result.now.copy()
        try:
            await engine.complete(ask)
        except EngineError as error:
            result.failed.append(error.message)
        seconds.append(time.monotonic() - began)
        result.held_up.append((seconds[-1], "; ".join(sorted(name[:50] for name in beside | result.now))))
        await asyncio.sleep(0.05)


async def attack(engine: Any, requests: list[tuple[str, GenerateRequest]], result: Result) -> None:
    """One hostile client: takes the next request until there is none; leaves after DEADLINE."""
    while requests:
        name, request = requests.pop()
        result.now.add(name)
        began = time.monotonic()
        try:
            async with asyncio.timeout(DEADLINE):
                async for _ in engine.generate(request):
                    pass
            outcome = "answered"
        except EngineError as error:
            outcome = f"{error.status} {error.message[:90]}"
        except TimeoutError:
            outcome = "left"
        result.outcomes[name] = outcome
        result.now.discard(name)
        result.slowest = max(result.slowest, (time.monotonic() - began, name))


async def measure(kind: str, model: Path, requests: list[tuple[str, GenerateRequest]], quiet_seconds: float) -> Result:
    """The whole for one engine."""
    result = Result()
    loaded: Any = Plugins().load("engines", kind)

    def heard(event: str, details: Mapping[str, Any]) -> None:
        result.restarts += event == "engine.restarted"
        print(f"  {event} {dict(details)}", file=sys.stderr)

    engine = loaded(loaded.Config(**OPTIONS[kind]), name=kind, files={"model.gguf": model}, on_event=heard)
    await engine.start()
    try:
        watch = asyncio.ensure_future(note_memory(engine, result))
        parts = [requests[at::ROUNDS] for at in range(ROUNDS)]
        async with asyncio.timeout(PATIENCE * 4):
            for at, part in enumerate(parts):
                enough = ENOUGH * (at + 1) // ROUNDS
                with others(engine, result.others["quiet"]):
                    calm = quiet(result, quiet_seconds / ROUNDS, enough)
                    await with_clients(engine, result.quiet, result, calm)
                with others(engine, result.others["beside"]):
                    attacks = asyncio.gather(*(attack(engine, part, result) for _ in range(3)))
                    await with_clients(engine, result.beside, result, attacks)
        watch.cancel()
        await engine.complete(GenerateRequest(prompt="x", sampling=Sampling(max_tokens=2)))
        result.trouble = await engine.trouble()
    finally:
        await engine.close()
    return result


async def with_clients(engine: Any, seconds: list[float], result: Result, work: Any) -> None:
    """Two well-behaved clients for as long as `work` lasts."""
    until = asyncio.Event()
    clients = [asyncio.ensure_future(behave(engine, seconds, result, until)) for _ in range(2)]
    await work
    until.set()
    await asyncio.gather(*clients)


async def quiet(result: Result, seconds: float, enough: int) -> None:
    """Time for well-behaved requests alone, until so many were answered."""
    await asyncio.sleep(seconds)
    while len(result.quiet) < enough:
        await asyncio.sleep(0.1)


async def note_memory(engine: Any, result: Result) -> None:
    """Follow the memory of both children."""
    while True:
        result.memory = max(result.memory, own_bytes(engine.pid or 0) + own_bytes(engine.second_pid or 0))
        await asyncio.sleep(0.2)


@contextlib.contextmanager
def others(engine: Any, cores: list[float]) -> Iterator[None]:
    """How many cores other processes used meanwhile, noted."""

    def used() -> tuple[float, float, float]:
        busy = [int(number) for number in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        reaped = os.times()
        own = sum(cpu_seconds(pid or 0) for pid in (os.getpid(), engine.pid, engine.second_pid))
        own += reaped.children_user + reaped.children_system
        return (sum(busy) - busy[3] - busy[4]) / os.sysconf("SC_CLK_TCK"), own, time.monotonic()

    before = used()
    yield
    busy, own, seconds = (now - then for now, then in zip(used(), before, strict=True))
    cores.append(max(0.0, (busy - own) / seconds))


def quantile(values: list[float], share: float) -> float:
    """The smallest value that so large a share does not pass."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def report(kind: str, result: Result) -> str:
    """The figures of one engine."""
    kinds = Counter(outcome.split()[0] for outcome in result.outcomes.values())
    lines = [f"{kind}: {len(result.outcomes)} hostile requests: {dict(kinds)}; slowest {result.slowest}"]
    for name, values in (("quiet", result.quiet), ("beside", result.beside)):
        p50, p99 = quantile(values, 0.5), quantile(values, 0.99)
        cores = sum(result.others[name]) / max(1, len(result.others[name]))
        lines.append(
            f"  {name}: {len(values)} answers, p50 {p50:.2f} s, p99 {p99:.2f} s, slowest {max(values):.2f} s; "
            f"others used {cores:.2f} cores"
        )
    ratio = quantile(result.beside, 0.99) / quantile(result.quiet, 0.99)
    lines.append(f"  p99 beside: {ratio:.2f} times the quiet one; the slowest of both:")
    lines += [f"    {seconds:.2f} s beside {names}" for seconds, names in sorted(result.held_up, reverse=True)[:6]]
    lines.append(f"  failed: {Counter(result.failed)}; restarts {result.restarts}; memory {result.memory >> 20} MB")
    return "\n".join(lines)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--engine", action="append", choices=list(OPTIONS))
    parser.add_argument("--only", nargs="*", default=[], help="schema, choices, sampling, prompt, message")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--all", action="store_true", help="print what became of each hostile request")
    args = parser.parse_args()
    for kind in args.engine or list(OPTIONS):
        requests = [found for found in hostile() if not args.only or found[0].split()[0] in args.only][:: args.every]
        result = asyncio.run(measure(kind, args.model, requests, args.seconds))
        print(report(kind, result))
        if args.all:
            print("\n".join(f"    {name}: {outcome}" for name, outcome in result.outcomes.items()))


if __name__ == "__main__":
    main()
