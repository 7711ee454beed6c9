"""How many threads, and how long they spin: measured once for a machine and a model, and remembered.

GNU OpenMP's threads spin while they wait for one another. Its default collapses on a busy host (a hundredfold), no
spinning at all halves the speed of an idle one; where the best lies depends on the machine. On a busy one nothing can
be measured: the default is used, and the next load tries again. Owns the candidates and the memory; how a candidate
is measured is the caller's.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import math
import platform
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from slipway.errors import EngineError
from slipway.files import cache_folder, replace_file
from slipway.machine import usable_cores

logger = logging.getLogger(__name__)

MOST_THREADS = 32
IDLE_ENOUGH = 0.6  # share of the processors
LONGEST_SECONDS = 10.0  # a candidate slower than this is none
ROUNDS = 3  # each candidate's best time counts: a neighbour's load slows one measurement, seldom all
CLEARLY = 0.95  # of the shorter spin's time: a long one gains a few percent on an idle host and halves a busy one

Measure = Callable[["Choice"], Awaitable[float]]


@dataclass(frozen=True)
class Choice:
    """`threads` to compute with; `spin`: value of GOMP_SPINCOUNT."""

    threads: int
    spin: int


def default_choice() -> Choice:
    """What is good nearly everywhere, and stays bearable on a busy host; used when nothing may be measured."""
    return Choice(threads=min(usable_cores(), MOST_THREADS), spin=1_000)


def candidates(cores: int, siblings: int) -> list[Choice]:
    """What is worth measuring: every core with short and long spinning, and one thread a physical core."""
    most = min(cores, MOST_THREADS)
    found = [Choice(most, 1_000), Choice(most, 10_000)]
    if siblings > 1 and most // siblings >= 1:
        found.append(Choice(most // siblings, 1_000))
    return found


async def idle_share(seconds: float = 0.25) -> float:
    """How much of the processors was idle for a moment, 0 to 1; 1 where the system does not say."""

    def read() -> tuple[int, int]:
        fields = [int(field) for field in Path("/proc/stat").read_text("ascii").split("\n", 1)[0].split()[1:9]]
        return fields[3] + fields[4], sum(fields)

    try:
        idle, total = read()
        await asyncio.sleep(seconds)
        later_idle, later_total = read()
    except (OSError, ValueError, IndexError):
        return 1.0
    return (later_idle - idle) / max(later_total - total, 1)


def siblings() -> int:
    """Hardware threads of a physical core; 1 when the machine does not say."""
    try:
        text = Path("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list").read_text("ascii").strip()
    except OSError:
        return 1
    return len(text.replace("-", ",").split(","))


def memory_file() -> Path:
    """Where choices are remembered: `threads.json` in the user's cache folder."""
    return cache_folder() / "threads.json"


def key_of(model: Path) -> str:
    """Names the machine (processor, usable cores) and the model (size, and digest of its first and last MiB)."""
    digest = hashlib.sha256()
    with model.open("rb") as file:
        digest.update(file.read(1 << 20))
        file.seek(max(0, model.stat().st_size - (1 << 20)))
        digest.update(file.read(1 << 20))
    return f"{_processor()} x{usable_cores()} | {model.stat().st_size} {digest.hexdigest()[:16]}"


async def choose(model: Path, measure: Measure) -> Choice:
    """The remembered choice, or the fastest candidate, then remembered. `measure` gives seconds; it may raise
    EngineError, which discards that candidate. Shorter spinning wins unless longer is clearly faster. On a busy
    machine, or when all are discarded, the default is used and nothing is remembered.
    """
    key = key_of(model)
    known = _read().get(key)
    if known is not None:
        return known
    if await idle_share() < IDLE_ENOUGH:
        logger.info("the machine is busy: threads are not measured now, the default is used")
        return default_choice()
    times: dict[Choice, float] = {}
    offered = candidates(usable_cores(), siblings())
    for choice in offered * ROUNDS:
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                times[choice] = min(await measure(choice), times.get(choice, math.inf))
        except (EngineError, TimeoutError) as error:
            logger.warning("measuring %s failed: %s", choice, error or "it took too long")
    best: Choice | None = None
    for choice in (c for c in offered if c in times):
        if best is None or times[choice] < times[best] * CLEARLY:
            best = choice
    if best is None:
        return default_choice()
    _remember(key, best)
    return best


def _read() -> dict[str, Choice]:
    try:
        entries = json.loads(memory_file().read_text("utf-8"))
        return {key: Choice(int(entry["threads"]), int(entry["spin"])) for key, entry in entries.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # a cache: what cannot be read is measured again


def _remember(key: str, choice: Choice) -> None:
    entries = {name: asdict(entry) for name, entry in {**_read(), key: choice}.items()}
    try:
        replace_file(memory_file(), json.dumps(entries, indent=1, sort_keys=True).encode())
    except OSError as error:
        logger.warning("the choice of threads cannot be remembered: %s", error)


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
