"""How fast each local model is: measured once, written to `slipway.lock`, and used from then on wherever costs decide.

A rate is a price, not a latency: latencies are measured in every answer and reported. Another machine that has the same
lock file computes the same costs. Delete the entry to measure again, for instance when the service moves to another
kind of machine.
"""

from __future__ import annotations

import platform
import time

import msgspec

from slipway.core.candidate import ModelPin
from slipway.core.message import GenerateRequest, Message, Sampling, Usage
from slipway.core.protocols import Engine
from slipway.core.ref import digest_of
from slipway.errors import ConfigError
from slipway.i18n import t
from slipway.loop.model_lock import Lock
from slipway.machine import usable_cores
from slipway.project.schema import Project
from slipway.runtime.cost import Rate
from slipway.store.catalog import now

_LONG, _SHORT = 120, 4  # words of the prompts
_TOKENS = 32  # asked for after the short one
_TIMES = 3


def key_of(pin: ModelPin) -> str:
    """The entry of a model in the lock file: engine, files and options, whatever the project calls it."""
    return f"rate:{pin.engine}:{digest_of([pin.engine, pin.source, pin.quantize, pin.files, pin.options])[:16]}"


def pinned(lock: Lock, pin: ModelPin) -> Rate | None:
    """What the lock file says. Raises ConfigError for an entry that is damaged."""
    entry = lock.get(key_of(pin))
    if entry is None:
        return None
    try:
        return msgspec.convert(entry, Rate, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(
            t("{path} is damaged: {why}", path=lock.path.name, why=f"{key_of(pin)}: {error}"),
            t("delete the entry; it is measured again"),
        ) from error


def wanted(project: Project, pin: ModelPin) -> bool:
    """Whether costs go by how fast a model is: it has no price for tokens, and is here or paid by the hour."""
    config = project.models.get(pin.name)
    price = config.price if config else None
    if price and (price.input_per_million or price.output_per_million):
        return False
    return bool(pin.files or project.machine.per_hour or (price and price.per_hour))


async def measure(engine: Engine, by: str) -> Rate:
    """Ask a loaded engine a few times, one after the other, and solve for the seconds a token takes.

    Each prompt begins differently, so that no prefix cache helps. Takes a second or a few.
    """
    reading, writing = list[tuple[Usage, float]](), list[tuple[Usage, float]]()
    await _ask(engine, 0, _SHORT, 2)  # the first answer warms up
    for turn in range(1, _TIMES + 1):
        reading.append(await _ask(engine, turn, _LONG, 1))
        writing.append(await _ask(engine, turn, _SHORT, _TOKENS))
    (read, read_seconds), (wrote, wrote_seconds) = (min(found, key=lambda one: one[1]) for found in (reading, writing))
    prompt, completion = _solve(read, read_seconds, wrote, wrote_seconds)
    return Rate(prompt=prompt, completion=completion, machine=machine(), at=now(), by=by)


def pin_rate(lock: Lock, pin: ModelPin, rate: Rate) -> None:
    """Write it down."""
    lock.put(key_of(pin), {name: str(value) for name, value in msgspec.to_builtins(rate).items()})


def machine() -> str:
    """What this machine is, for a person to read."""
    return f"{platform.machine()}, {usable_cores()} cores"


async def _ask(engine: Engine, turn: int, words: int, tokens: int) -> tuple[Usage, float]:
    text = " ".join(f"{turn * 7919 + n * 31}" for n in range(words))
    request = GenerateRequest(
        messages=(Message(role="user", content=text),), sampling=Sampling(max_tokens=tokens, seed=0)
    )
    started, usage = time.perf_counter(), Usage()
    async for delta in engine.generate(request):
        usage = delta.usage or usage
    return usage, time.perf_counter() - started


def _solve(read: Usage, read_seconds: float, wrote: Usage, wrote_seconds: float) -> tuple[float, float]:
    """Two equations; where they give nothing that can be, the time is shared out over all tokens alike."""
    a, b, c, d = read.prompt_tokens, read.completion_tokens, wrote.prompt_tokens, wrote.completion_tokens
    area = a * d - b * c
    prompt = (read_seconds * d - wrote_seconds * b) / area if area else -1.0
    completion = (wrote_seconds * a - read_seconds * c) / area if area else -1.0
    if prompt > 0 and completion > 0:
        return prompt, completion
    each = (read_seconds + wrote_seconds) / max(1, a + b + c + d)
    return each, each
