"""The crawler on loopback: pages per CPU-second of a friendly site, costs of a hostile one: `python bench/crawl.py`.

The server runs in a process of its own, so that CPU-seconds and memory are the crawler's. Nothing leaves the machine.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from sites import Site, hostile, page  # noqa: E402
from slipway.data.collect.fetch import Fetched, fetch  # noqa: E402
from slipway.project.data import DataConfig  # noqa: E402

PAGES = 1000
WORDS = "The crane lifts twenty tons with two hooks, and is greased each month by the yard. " * 40


def friendly(tell: Any, count: int) -> None:
    with Site().running() as site:
        names = [f"/part{n // 50}/page{n}.html" for n in range(count - 1)]
        site.pages = {"/": page("Start", *names[::50])}
        for n, name in enumerate(names):
            near = names[n + 1 : n + 6] + names[max(0, n - 3) : n]
            site.pages[name] = page(f"Page {n}", *near, text=f"{n}: {WORDS}")
        tell.send(site.url)
        tell.recv()


def wicked(tell: Any, _: int) -> None:
    with Site("127.0.0.2").running() as other, hostile(other.url).running() as site:
        tell.send(site.url)
        tell.recv()
        groups = Counter(path.split("?")[0].split("/")[1].split(";")[0] for path in site.paths)
        tell.send((len(site.asked), groups.most_common(8), len(other.asked)))


def crawled(server: Any, folder: Path, **more: Any) -> tuple[Fetched, list[float], Any]:
    here, there = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=server, args=(there, PAGES), daemon=True)
    child.start()
    url = here.recv()
    made = DataConfig.model_validate(
        {"limits": {"max_file": "50 MB"}, "sites": {"site": {"url": url, "delay": 0, **more}}}
    )
    spent: list[float] = []
    for _ in range(2 if server is friendly else 1):
        before, started = time.process_time(), time.monotonic()
        [found] = asyncio.run(fetch(made, folder))
        spent += [time.process_time() - before, time.monotonic() - started]
    here.send("end")
    told = here.recv() if server is wicked else None
    child.join()
    return found, spent, told


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        before = peak()
        found, spent, _ = crawled(friendly, Path(folder) / "a", max_pages=PAGES, max_depth=20)
        print(f"friendly: {found.documents} pages, {spent[0]:.2f} CPU-s, {found.documents / spent[0]:.0f} pages per "
              f"CPU-second; again: {spent[2]:.2f} CPU-s; peak memory {before:.0f} -> {peak():.0f} MB")  # fmt: skip
        before = peak()
        found, spent, told = crawled(wicked, Path(folder) / "b", timeout=5, max_pages=500)
        print(f"hostile: {found.requests} requests, {found.documents} pages kept, {found.beyond} links out of scope, "
              f"{spent[0]:.1f} CPU-s in {spent[1]:.0f} s, peak memory {before:.0f} -> {peak():.0f} MB, stopped: "
              f"{found.stopped or 'at its end'}")  # fmt: skip
        print("refused: " + ", ".join(f"{reason} {n}" for reason, n in found.refused.items()))
        print(f"the server was asked {told[0]} times ({told[1]}); the server that nobody may be sent to: {told[2]}")
    return 0 if told[2] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
