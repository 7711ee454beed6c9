"""How much memory and time a child may take, and whether it has taken more. Reads /proc; kills nothing.

What counts is memory that belongs to the child alone: its own pages, in memory or swapped out. The weights that it
maps from a file are the kernel's to drop, and address space costs nothing.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from slipway.builtin.engines.process.pulse import Beat, Watcher
from slipway.i18n import t

ROOM_BYTES = 2 << 30  # what a child may take beyond what it had when it was ready, where no limit is given
BUSY_SECONDS = 5.0
BUSY_TIMES = 10.0  # a piece of work may last this many times as long as the longest before it

_OWN = ("RssAnon:", "RssShmem:", "VmSwap:")


@dataclass(frozen=True)
class Limits:
    """`memory_gb`: the child's own, None for `room` bytes beyond what it has once loaded; `grammar_seconds`: of
    processor time for one grammar; `stall_seconds`: for any other piece of work.
    """

    memory_gb: float | None = None
    room: int = ROOM_BYTES
    grammar_seconds: float = 30.0
    stall_seconds: float = 300.0


class Account:
    """Follows one child that is ready. `names`: what messages call the model and what runs it."""

    def __init__(self, pid: int, folder: Path, limits: Limits, names: dict[str, str]) -> None:
        self._pid = pid
        self._limits = limits
        self._names = names
        self._watcher = Watcher(folder)
        self._memory = int(limits.memory_gb * 2**30) if limits.memory_gb else own_bytes(pid) + limits.room

    @property
    def beat(self) -> Beat:
        """What the child does now."""
        return self._watcher.beat()

    def excess(self) -> str:
        """Which limit the child has passed, in words; empty when none."""
        used, beat, limits = own_bytes(self._pid), self.beat, self._limits
        if used > self._memory:
            sizes = {"used": used >> 20, "limit": self._memory >> 20}
            return t("{runtime} took {used} MB of memory for '{name}'; its limit is {limit} MB", **sizes, **self._names)
        if beat.risky and cpu_seconds(self._pid) - beat.cpu > limits.grammar_seconds:
            return t("{runtime} compiled one grammar for '{name}' for more than {s} s",
                     s=f"{limits.grammar_seconds:g}", **self._names)  # fmt: skip
        if beat.since and not beat.risky and time.monotonic() - beat.since > limits.stall_seconds:
            return t("{runtime} made no token of '{name}' for {s} s", s=f"{limits.stall_seconds:g}", **self._names)
        return ""

    def is_late(self) -> bool:
        """Whether the present piece of work takes far longer than any before it."""
        beat = self.beat
        allowed = max(BUSY_SECONDS, BUSY_TIMES * beat.slowest)
        return bool(beat.since) and not beat.risky and time.monotonic() - beat.since > allowed


def own_bytes(pid: int) -> int:
    """Memory of a process that is not shared, swapped out or not; 0 where the system does not say."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text("ascii", "replace").splitlines()
        return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(_OWN))
    except (OSError, ValueError, IndexError):
        return 0


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used, all threads; 0 where the system does not say."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return 0.0


def waited_seconds(pid: int) -> float:
    """How long the threads of a process could have run and had no processor; 0 where the system does not say."""
    total = 0
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            total += int(Path(f"/proc/{pid}/task/{thread}/schedstat").read_text("ascii").split()[1])
    except (OSError, ValueError, IndexError):
        pass  # a thread that ended meanwhile
    return total / 1e9
