"""What it costs to record traces: CPU and wall time of 2,000, one by one and in batches of 64, on a fresh catalog.

    python bench/store.py [--url postgresql+psycopg://USER@HOST/DATABASE --password-env VAR] [--traces 2000]

Without a URL on SQLite. To compare two versions of the code, run it by turns with PYTHONPATH at the one and the other.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import uuid
from pathlib import Path

from slipway.core.answer import Answer
from slipway.core.message import Usage
from slipway.core.trace import Trace
from slipway.store.store import Store


def trace(n: int) -> Trace:
    """As a chat of a few hundred words leaves one."""
    return Trace(
        id=uuid.uuid4().hex, at="2026-01-02T03:04:05.000000Z", endpoint="/v1/chat/completions", channel="production",
        release="0" * 64, status=200,
        request={"messages": [{"role": "user", "content": f"question {n} " + "word " * 100}]},
        answer=Answer(text="word " * 200, raw="word " * 200, usage=Usage(prompt_tokens=300, completion_tokens=200)),
        seconds=1.25,
    )  # fmt: skip


def measure(store: Store, count: int, batch: int) -> tuple[float, float]:
    """(CPU, wall) seconds."""
    traces = [trace(n) for n in range(count)]
    cpu, wall = time.process_time(), time.monotonic()
    for start in range(0, count, batch):
        store.catalog.add_traces(traces[start : start + batch])
    return time.process_time() - cpu, time.monotonic() - wall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="")
    parser.add_argument("--password-env", default="")
    parser.add_argument("--traces", type=int, default=2000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        where: list[object] = [Path(folder) / ".slipway"]
        if options.url:
            from slipway.core.database import Address

            where.append(Address(options.url, options.password_env))
        store = Store(*where)
        measure(store, 200, 1)
        for batch in (1, 64):
            cpu, wall = measure(store, options.traces, batch)
            each = [seconds / options.traces * 1e6 for seconds in (cpu, wall)]
            print(f"batches of {batch:2d}: {each[0]:6.0f} us CPU, {each[1]:6.0f} us a trace")
        store.close()


if __name__ == "__main__":
    main()
