"""Mutates files of every kind that Slipway reads, for as long as asked, and stops at the first one that is not read or
refused in words: `python bench/fuzz_files.py MINUTES [READER]`.

The same tests run, briefly, with all others (tests/fuzz). Each round has another seed, which is printed: run a failing
round again with `SLIPWAY_FUZZ=TIMES SLIPWAY_FUZZ_SEED=SEED pytest tests/fuzz`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
TIMES = "10"


def main() -> int:
    end = time.monotonic() + 60 * float(sys.argv[1]) if len(sys.argv) > 1 else 0.0
    chosen = ["-k", sys.argv[2]] if len(sys.argv) > 2 else []
    seed = int(time.time())
    while time.monotonic() < end:
        started = time.monotonic()
        environment = os.environ | {"SLIPWAY_FUZZ": TIMES, "SLIPWAY_FUZZ_SEED": str(seed)}
        command = [sys.executable, "-m", "pytest", str(ROOT / "tests/fuzz"), "-x", *chosen]
        if subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode:
            print(f"found with SLIPWAY_FUZZ={TIMES} SLIPWAY_FUZZ_SEED={seed}")
            return 1
        print(f"seed {seed}: nothing in {time.monotonic() - started:.0f} s", flush=True)
        seed += 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
