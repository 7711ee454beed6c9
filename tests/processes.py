"""Other processes, for tests: stopping one for certain."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

SECONDS = 30.0  # enough for the busiest machine


def stop(pid: int) -> None:
    """SIGSTOP, and wait until it holds: on a busy machine the threads of a process run on until each was told."""
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + SECONDS
    while running := [name for name, state in _threads(pid).items() if state != "T"]:
        assert time.monotonic() < deadline, f"threads {running} of {pid} are not stopped"
        time.sleep(0.005)


def _threads(pid: int) -> dict[str, str]:
    """Thread id -> its state, as proc(5) has it."""
    found: dict[str, str] = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        found[task.name] = (task / "stat").read_text("ascii", "replace").rpartition(")")[2].split()[0]
    return found
