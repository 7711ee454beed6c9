"""The main job measured: the example project from nothing to a served answer, then again with nothing changed.

    python bench/main_job.py [--project examples/docs-assistant] [--skip-compare]

Works on a copy (the corpus is linked beside it), so the example's own state is not touched; the models are pulled
first, since a download is no part of the loop. Reports wall and CPU seconds of `slipway up --once`, the peak of the
summed memory of all its processes (PSS: shared pages counted once), the second `slipway run`, `slipway --help`, and
grounded against closed-book and quote against grounded on the gate split (paired, with interval).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for parent in found:
        try:
            children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
            for task in Path(f"/proc/{parent}/task").iterdir():
                children += (task / "children").read_text().split()
        except OSError:
            continue
        found += [int(child) for child in dict.fromkeys(children) if int(child) not in found]
    return found


def memory(pid: int) -> float:
    """Bytes of memory of a process tree, shared pages counted once."""
    total = 0
    for one in tree(pid):
        try:
            rollup = Path(f"/proc/{one}/smaps_rollup").read_text()
        except OSError:
            continue
        total += next((int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:")), 0)
    return total


def timed(*command: str, watch: bool = False) -> tuple[float, float, float, subprocess.CompletedProcess[str]]:
    """(wall seconds, CPU seconds with children, peak bytes, what it said)."""
    before, began, peak = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic(), 0.0
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        child = subprocess.Popen([sys.executable, "-m", "slipway", *command], stdout=out, stderr=err)
        while child.poll() is None:
            if watch:
                peak = max(peak, memory(child.pid))
            time.sleep(0.25 if watch else 0.01)
        wall = time.monotonic() - began
        out.seek(0), err.seek(0)
        done = subprocess.CompletedProcess(command, child.returncode, out.read(), err.read())
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if done.returncode:
        sys.exit(
            f"slipway {' '.join(command)} ended with {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        )
    return wall, cpu, peak, done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--project", type=Path, default=ROOT / "examples" / "docs-assistant")
    parser.add_argument("--skip-compare", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "examples" / options.project.name
        shutil.copytree(options.project, folder, ignore=shutil.ignore_patterns(".slipway"))
        (Path(temporary) / "docs").symlink_to(ROOT / "docs")
        here = ("-C", str(folder), "--set", "serve.port=0")
        timed("models", "pull", "-C", str(folder))
        wall, cpu, peak, done = timed("up", str(folder), "--port", "0", "--once", watch=True)
        print(done.stdout)
        print(f"from nothing to a served answer: {wall:.0f} s, {cpu:.0f} CPU-s, peak {peak / 1e6:.0f} MB "
              f"(load average {os.getloadavg()[0]:.1f})")  # fmt: skip
        for step in json.loads(timed("runs", "--json", "-C", str(folder), "-n", "100")[3].stdout)[::-1]:
            print(f"    {step['step']:<28} {step.get('seconds', 0):7.1f} s")
        wall, cpu, _, done = timed("run", *here)
        ran = "no step was run" if "no step was run" in done.stdout else "STEPS WERE RUN"
        print(f"second run: {wall:.2f} s, {cpu:.2f} CPU-s, {ran}")
        print(f"slipway --help: {min(timed('--help')[1] for _ in range(5)):.2f} CPU-s (best of 5)")
        if not options.skip_compare:
            for pair in (("closed-book", "grounded"), ("grounded", "quote")):
                print(timed("eval", "--compare", *pair, "--split", "gate", *here)[3].stdout)


if __name__ == "__main__":
    main()
