"""Disks that fail, for tests: a small one that can be filled, one that turns read-only, one that answers with an error.

The first two are mounted, which takes root; the third is a library put in front of the C library's writes.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "store" / "failing_disk.c"


class SmallDisk:
    """A file system of its own, in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self, leave: int = 0) -> None:
        """Leave `leave` bytes."""
        with self._ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"\0" * 65536)
        with self._ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"\0" * 512)
        if leave:
            os.truncate(self._ballast, max(0, self._ballast.stat().st_size - leave))

    def free(self) -> None:
        """As if somebody had cleaned up."""
        self._ballast.unlink()


@contextlib.contextmanager
def small_disk(path: Path, megabytes: int = 24) -> Iterator[SmallDisk]:
    path.mkdir(parents=True, exist_ok=True)
    _mount("-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(path))
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "-l", str(path)], check=False)


@contextlib.contextmanager
def read_only(path: Path, at: Path) -> Iterator[Path]:
    """The folder `path` seen at `at`, where nothing can be written."""
    at.mkdir(parents=True, exist_ok=True)
    _mount("--bind", str(path), str(at))
    try:
        _mount("-o", "remount,bind,ro", str(at))
        yield at
    finally:
        subprocess.run(["umount", "-l", str(at)], check=False)


def _mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"file systems cannot be mounted here: {done.stderr.strip()}")


def failing_writes(folder: Path, number: int, build: Path) -> dict[str, str]:
    """The environment of a process whose writes under `folder` fail with `number` while `folder/../failing` exists."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    library = build / "failing_disk.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-w", "-o", str(library), str(SOURCE), "-ldl"], check=True)
    return {**os.environ, "LD_PRELOAD": str(library), "FAIL_UNDER": str(folder), "FAIL_ERRNO": str(number)}
