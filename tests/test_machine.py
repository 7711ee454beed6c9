"""Cores and memory under control groups of both versions: trees of files as the kernel writes them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from slipway import api
from slipway.machine import free_bytes, usable_cores
from slipway.testing.projects import write_project

MEMINFO = "MemTotal: 8000000 kB\nMemFree: 1000 kB\nMemAvailable: 4000000 kB\n"
GB = 10**9
V1_NONE = "9223372036854771712"


def tree(root: Path, cgroup: str, files: dict[str, str], meminfo: str = MEMINFO) -> Path:
    for name, text in {"proc/self/cgroup": cgroup, "proc/meminfo": meminfo, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def v2(folder: str, limit: object, used: int, cache: int = 0) -> dict[str, str]:
    stat = f"anon {used - cache}\nfile {cache}\ninactive_file {cache // 2}\nactive_file {cache // 2}\n"
    base = f"sys/fs/cgroup{folder}"
    return {f"{base}/memory.max": f"{limit}\n", f"{base}/memory.current": f"{used}\n", f"{base}/memory.stat": stat}


def v1(folder: str, limit: object, used: int, cache: int = 0) -> dict[str, str]:
    stat = f"cache {cache}\ninactive_file 0\ntotal_inactive_file {cache}\ntotal_active_file 0\n"
    base = f"sys/fs/cgroup/memory{folder}"
    return {f"{base}/memory.limit_in_bytes": f"{limit}", f"{base}/memory.usage_in_bytes": f"{used}",
            f"{base}/memory.stat": stat}  # fmt: skip


OLD = "9:cpu,cpuacct:/box\n5:memory:/box\n0::/\n"
MEMORY = {
    "no groups": ("", {}, 4_096_000_000),
    "no limit": ("0::/\n", v2("", "max", GB), 4_096_000_000),
    "what is used counts": ("0::/\n", v2("", 2 * GB, GB), GB),
    "page cache is free": ("0::/\n", v2("", 2 * GB, 2 * GB, GB), GB),
    "more cache than use": ("0::/\n", v2("", 2 * GB, GB, 4 * GB), 2 * GB),
    "over the limit": ("0::/\n", v2("", GB, 2 * GB), 0),
    "its own group": ("0::/a/b\n", {**v2("", "max", GB), **v2("/a/b", 3 * GB, GB)}, 2 * GB),
    "the group around": ("0::/a/b\n", {**v2("/a", 2 * GB, GB), **v2("/a/b", 3 * GB, 0)}, GB),
    "a path from outside": ("0::/../outside\n", v2("", 2 * GB, GB), GB),
    "version 1": (OLD, v1("/box", 2 * GB, GB, GB // 2), 3 * GB // 2),
    "version 1 in a container": (OLD, v1("", 2 * GB, GB), GB),
    "version 1 without a limit": (OLD, v1("/box", V1_NONE, GB), 4_096_000_000),
    "nonsense": ("garbage\n", {"sys/fs/cgroup/memory.max": "lots"}, 4_096_000_000),
}


@pytest.mark.parametrize(("cgroup", "files", "free"), MEMORY.values(), ids=MEMORY.keys())
def test_memory_that_is_free(tmp_path: Path, cgroup: str, files: dict[str, str], free: int) -> None:
    assert free_bytes(tree(tmp_path, cgroup, files)) == free


HERE = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("cgroup", "files", "cores"),
    [
        ("0::/\n", {"sys/fs/cgroup/cpu.max": "max 100000\n"}, HERE),
        ("0::/\n", {"sys/fs/cgroup/cpu.max": "100000 100000\n"}, 1),
        ("0::/\n", {"sys/fs/cgroup/cpu.max": "20000 100000\n"}, 1),
        ("0::/a/b\n", {"sys/fs/cgroup/a/cpu.max": "100000 100000\n"}, 1),
        (OLD, {"sys/fs/cgroup/cpu/box/cpu.cfs_quota_us": "100000", "sys/fs/cgroup/cpu/box/cpu.cfs_period_us": "100000"}, 1),
        (OLD, {"sys/fs/cgroup/cpu/box/cpu.cfs_quota_us": "-1", "sys/fs/cgroup/cpu/box/cpu.cfs_period_us": "100000"}, HERE),
        ("", {}, HERE),
    ],
)  # fmt: skip
def test_cores_that_may_be_used(tmp_path: Path, cgroup: str, files: dict[str, str], cores: int) -> None:
    assert usable_cores(tree(tmp_path, cgroup, files)) == cores


def test_check_reads_the_same_numbers(tmp_path: Path) -> None:
    before = free_bytes()
    found = [f.what for f in api.check(write_project(tmp_path).parent) if "memory free" in f.what]
    cores, memory = found[0].split(" cores, ")[0], float(found[0].split(", ")[1].split(" GB")[0])
    assert int(cores) == usable_cores()
    assert min(before, free_bytes()) / 2 <= memory * 1e9 <= max(before, free_bytes()) * 2  # others work here too
