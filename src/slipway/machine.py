"""What this process may use of the machine: cores and memory, within the limits of its control groups; and how long
it may live.

Linux; versions 1 and 2 of control groups (`man 7 cgroups`). A group's limits hold for the groups in it, so every group
from this process's own up to the outermost counts. What cannot be read limits nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/")
_PR_SET_PDEATHSIG = 1  # prctl(2)


def usable_cores(root: Path = _ROOT) -> int:
    """Cores this process may use: its affinity, and the CPU quota of its control groups, at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for group in _groups(root, "cpu"):
        quota, period = (*_text(group / "cpu.max").split(), "", "")[:2]
        if not quota:
            quota, period = _text(group / "cpu.cfs_quota_us"), _text(group / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit() and int(period):
            cores = min(cores, round(int(quota) / int(period)))
    return max(1, cores)


def free_bytes(root: Path = _ROOT) -> int:
    """Memory a new process may take: what the kernel calls available, within what its control groups have left.

    Page cache, which the kernel gives up when asked, is free.
    """
    free = _numbers(root / "proc/meminfo").get("MemAvailable:", 1 << 52) << 10
    for group in _groups(root, "memory"):
        limit, used = _number(group / "memory.max"), _number(group / "memory.current")
        prefix = ""
        if used is None:
            limit, used = _number(group / "memory.limit_in_bytes"), _number(group / "memory.usage_in_bytes")
            prefix = "total_"
        if limit is None or used is None:
            continue
        stat = _numbers(group / "memory.stat")
        cache = sum(stat.get(f"{prefix}{name}", 0) for name in ("inactive_file", "active_file"))
        free = min(free, limit - used + min(cache, used))
    return max(0, free)


def give_way() -> None:
    """Let everything else on this machine go first: nice 19. Where the kernel shares time by session before it looks at
    that (`sched_autogroup`, `man 7 sched`), it says nothing to other sessions; so if this process leads a session of
    its own, all of that is made nice.
    """
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, 19)
    if os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError), open("/proc/self/autogroup", "w", encoding="ascii") as file:
            file.write("19")


def die_with(parent: int) -> None:
    """Have the kernel kill this process when the parent (strictly: the thread that made it) dies; end now if it has."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before we asked
        os._exit(0)


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The folders of the groups that bound this process, its own first; in a container its own is often the mount."""
    mount = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if controllers and controller not in controllers.split(","):
            continue
        base = mount / controller if controllers else mount
        folder = base / path.lstrip("/")
        while folder != base and base in folder.parents:
            if folder.is_dir():
                yield folder
            folder = folder.parent
        yield base


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text.isdigit() else None  # `max`: no limit


def _numbers(path: Path) -> dict[str, int]:
    """Lines of a name and a number, such as `MemAvailable: 123 kB`."""
    found = (line.split() for line in _text(path).splitlines())
    return {parts[0]: int(parts[1]) for parts in found if len(parts) > 1 and parts[1].isdigit()}
