"""The command line in a process of its own, without paying for its imports each time: a server that has them forks."""

from __future__ import annotations

import io
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

_PRELOAD = [
    "numpy", "scipy.special", "slipway.cli.app", "slipway.cli.main", "slipway.api", "slipway.loop.run",
    "slipway.serve.server", "slipway.builtin.engines.echo", "served",
]  # fmt: skip
forks = multiprocessing.get_context("forkserver")
forks.set_forkserver_preload(_PRELOAD)


def slipway(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `slipway ARGUMENTS` without a terminal, in no language but that of `environment`; waits for it to end."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG", "SLIPWAY_"))} | environment
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("out", "err")]
        process = forks.Process(target=_main, args=(arguments, env, *map(str, files)))
        process.start()
        process.join(120)
        if process.is_alive():
            process.kill()
            raise subprocess.TimeoutExpired(arguments, 120)
        assert process.exitcode is not None
        return subprocess.CompletedProcess(arguments, process.exitcode, *(file.read_text("utf-8") for file in files))


def _main(arguments: tuple[str, ...], environment: dict[str, str], out: str, err: str) -> None:
    from slipway.cli.main import main

    os.environ.clear()
    os.environ.update(environment)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    sys.stdin = io.TextIOWrapper(io.FileIO(0, "r", closefd=False), "utf-8")
    sys.stdout, sys.stderr = (io.TextIOWrapper(io.FileIO(n, "w", closefd=False), "utf-8") for n in (1, 2))
    try:
        main(arguments)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def ready(url: str) -> None:
    """Wait until the server at `url` has its release in service."""
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError("it never became ready")
