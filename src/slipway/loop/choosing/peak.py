"""The most memory that child processes of this one have held, as the kernel counts it (`VmHWM`, proc(5)).

It is the resident memory, with the pages of a model file that is mapped: what the machine must have for the child to
run well. Linux only; elsewhere nothing is known.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

_PROC = Path("/proc")


def children(proc: Path = _PROC) -> frozenset[int]:
    """Every process that this one, or one of those, has started and that runs now."""
    parents: dict[int, int] = {}
    for folder in proc.glob("[0-9]*"):
        try:
            # the name stands in parentheses and may hold anything: fields are counted from behind it
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            continue  # it ended meanwhile
    found: set[int] = set()
    more = {os.getpid()}
    while more:
        more = {child for child, parent in parents.items() if parent in more} - found
        found |= more
    return frozenset(found)


def peak(pids: Collection[int], proc: Path = _PROC) -> int | None:
    """Bytes, of all of them together; None where none is there any more or the kernel does not tell."""
    found = [held for pid in pids if (held := _held(proc / str(pid) / "status"))]
    return sum(found) or None


def _held(status: Path) -> int:
    try:
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    except (OSError, StopIteration, ValueError, IndexError):
        return 0
