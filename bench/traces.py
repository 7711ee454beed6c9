"""How long the list of traces takes on a million of them: the first page, each filter, words that are rare and common
in English and in Chinese, several filters at once; then the next and the previous trace from the middle of such a page,
both together as a trace's page asks for them; and what the index costs to make and to keep.

1,015,000: the last 15,576 are in the small files, as many as there can be, and those that are in none.

    nice -n 10 python bench/traces.py [--traces 1015000] [--folder FOLDER] [--postgres URL] [--repeat 40]

Questions and answers are sentences of this repository's documentation, put together anew; bodies have about 2 KB. The
catalog takes 4 GB. It stays in the folder, so that a second call only measures. Times are those of the catalog, bodies
read and decoded, without the page around them; p50 and p95 in milliseconds of wall time.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from slipway.core.answer import Answer, Citation
from slipway.core.database import Address
from slipway.core.trace import Feedback, Trace, Wanted
from slipway.store.store import Store

DOCS = Path(__file__).parent.parent / "docs"
PAGE = 51
BATCH = 2_000
RARE = {"en": "quixotically", "zh": "龙舟竞渡"}  # in one trace of 20,000


def sentences(language: str) -> list[str]:
    """Of the documentation in this language."""
    text = " ".join(path.read_text("utf-8") for path in sorted((DOCS / language).glob("*.md")))
    text = re.sub(r"```.*?```|[`*\[\]()#|]", " ", text, flags=re.DOTALL)
    end = r"(?<=[.?!])\s+" if language == "en" else r"(?<=[。？！])"
    return [one for one in (" ".join(part.split()) for part in re.split(end, text)) if 10 < len(one) < 300]


def made(count: int, seed: int = 7) -> Iterator[tuple[Trace, Feedback | None]]:
    """Traces of 60 days, evenly; a twentieth has feedback."""
    chance, begin = random.Random(seed), datetime(2026, 9, 1, tzinfo=UTC)
    texts = {language: sentences(language) for language in ("en", "zh")}
    step = timedelta(days=60) / count
    releases = [f"{n:064x}" for n in range(1, 9)]
    for n in range(count):
        language = "zh" if chance.random() < 0.3 else "en"
        some = texts[language]
        rare = f" {RARE[language]}" if chance.random() < 1 / 20_000 else ""
        asked, said = chance.choice(some) + rare, " ".join(chance.choices(some, k=3))
        status = 200 if chance.random() < 0.97 else chance.choice((400, 429, 500, 502, 503))
        cited = [
            Citation(
                chunk=f"c{k}",
                source=f"docs/{k}.md",
                path=(),
                start=0,
                end=1,
                text=chance.choice(some) * 3,
                score=0.5,
                cited=k == 0,
            )
            for k in range(3)
        ]
        at = (begin + n * step).isoformat(timespec="microseconds").replace("+00:00", "Z")
        trace = Trace(
            id=f"{chance.getrandbits(128):032x}",
            at=at,
            endpoint="/v1/chat/completions",
            channel="production" if chance.random() < 0.95 else f"team-{chance.randrange(20)}",
            release=releases[min(n * 8 // count, 7)],
            status=status,
            request={"model": "docs", "messages": [{"role": "user", "content": asked}]},
            answer=Answer(text=said, raw=said, citations=tuple(cited)) if status == 200 else None,
            seconds=chance.lognormvariate(0, 0.8),
        )
        thumb = chance.choice(("up", "up", "down"))
        id = f"{chance.getrandbits(128):032x}"
        yield trace, Feedback(id=id, trace=trace.id, at=at, thumb=thumb) if chance.random() < 0.05 else None  # type: ignore[arg-type]


def fill(store: Store, count: int) -> None:
    """Write them."""
    rows, since = made(count), time.process_time()
    while batch := list(islice(rows, BATCH)):
        store.catalog.add_traces([trace for trace, _ in batch], [said for _, said in batch if said])
    print(f"written: {(time.process_time() - since) / count * 1e6:.0f} us of CPU a trace, making them included")


def index(store: Store, count: int) -> None:
    """Make what is missing of the index, and say what it cost."""
    folder = store.folder / "cache" / "traces"
    since = time.process_time()
    files = store.catalog.index.keep_up()
    spent = time.process_time() - since
    if files:
        size = sum(path.stat().st_size for path in folder.glob("*.db"))
        indexed, catalog = count, store.catalog.database.size()
        print(
            f"index: {files} files, {spent / indexed * 1e6:.0f} us of CPU a trace, {size / 1e6:.0f} MB, "
            f"{size / indexed:.0f} bytes a trace; the catalog {catalog / count:.0f}"
        )


def cases(store: Store) -> dict[str, dict[str, Any]]:
    """Name -> what is wanted."""
    last = store.catalog.traces(1)[0][1].at
    week = (datetime.fromisoformat(last) - timedelta(days=7)).isoformat().replace("+00:00", "Z")
    return {
        "first page": {},
        "page far back": {"before": store.catalog.traces(1, wanted=Wanted(words=(RARE["en"],)))[0][1].id},
        "last 7 days": {"since": week},
        "status 5xx": {"status": "5xx"},
        "status 429": {"status": "429"},
        "a channel with 0.25%": {"channel": "team-7"},
        "no such channel": {"channel": "nowhere"},
        "the oldest release": {"release": f"{1:064x}"},
        "8 s and more": {"slow": 8.0},
        "100 s and more": {"slow": 100.0},
        "thumb down": {"thumb": "down"},
        "language zh": {"language": "zh"},
        "language ko (none)": {"language": "ko"},
        "word: release": {"words": ("release",)},
        "word: THE": {"words": ("THE",)},
        "word: 数据": {"words": ("数据",)},
        "word: 的": {"words": ("的",)},
        "word: 评估": {"words": ("评估",)},
        "rare word, en": {"words": (RARE["en"],)},
        "rare word, zh": {"words": (RARE["zh"],)},
        "rare, 2 characters": {"words": (RARE["zh"][:2],)},
        "no such word": {"words": ("xylophonist",)},
        "no such word, common runs": {"words": ("releasement",)},
        "no such word, zh": {"words": ("的发数布",)},
        "one letter: q": {"words": ("q",)},
        "one letter, none: ж": {"words": ("ж",)},
        "two letters: ai": {"words": ("ai",)},
        "two letters, none: qz": {"words": ("qz",)},
        "three words": {"words": ("gate", "examples", "interval")},
        "word + 5xx + 7 days": {"words": ("gate",), "status": "5xx", "since": week},
        "word + thumb down + zh": {"words": ("数据",), "thumb": "down", "language": "zh"},
        "rare word + channel": {"words": (RARE["en"],), "channel": "team-7"},
        "5xx + no feedback has it": {"status": "5xx", "thumb": "down", "channel": "team-3"},
    }


def median(times: list[float]) -> float:
    """With one decimal."""
    return round(statistics.median(times), 1)


def p95(times: list[float]) -> float:
    """With one decimal."""
    return round(statistics.quantiles(times, n=20)[-1], 1)


def around(store: Store, id: str, wanted: Wanted, repeat: int) -> list[float]:
    """Milliseconds for the next older and the next newer one of those that are wanted."""
    times = list[float]()
    for _ in range(max(2, repeat)):
        since = time.perf_counter()
        store.catalog.newer(id, wanted)
        store.catalog.traces(1, wanted=msgspec.structs.replace(wanted, before=id))
        times.append((time.perf_counter() - since) * 1000)
    return times


def measure(store: Store, repeat: int) -> dict[str, Any]:
    """Name -> rows, p50 and p95."""
    found: dict[str, Any] = {}
    for name, given in cases(store).items():
        wanted, times, rows, spent = Wanted(**given), list[float](), 0, list[float]()
        for _ in range(repeat):
            since, busy = time.perf_counter(), time.process_time()
            rows = len(store.catalog.traces(PAGE, wanted=wanted))
            times.append((time.perf_counter() - since) * 1000)
            spent.append((time.process_time() - busy) * 1000)
            if len(times) > 2 and sum(times) > 10_000:  # one that is slow is known after a few
                break
        page = [trace.id for _, trace in store.catalog.traces(PAGE, wanted=wanted)]
        walk = around(store, page[len(page) // 2], wanted, repeat) if page else [0.0, 0.0]
        found[name] = {"rows": rows, "p50": median(times), "p95": p95(times), "cpu": median(spent)}
        found[name] |= {"walk p50": median(walk), "walk p95": p95(walk)}
        told = "  ".join(f"{key} {value:8.1f}" for key, value in found[name].items() if key != "rows")
        print(f"{name:30} {rows:4} rows  {told} ms", flush=True)
    since = time.perf_counter()
    store.catalog.traffic("2026-09-01T00:00:00Z")
    print(f"{'traffic of all of it':30} {1000 * (time.perf_counter() - since):8.1f} ms")
    return found


def main() -> None:
    """As in the module's text."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", type=int, default=1_015_000)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "bench-traces")
    parser.add_argument("--postgres", default="")
    parser.add_argument("--repeat", type=int, default=40)
    parser.add_argument("--without", action="store_true", help="without the index, as before")
    asked = parser.parse_args()
    store = Store(asked.folder, Address(asked.postgres) if asked.postgres else None)
    try:
        if not store.catalog.traces(1):
            fill(store, asked.traces)
        if asked.without:
            store.catalog.index.folder = None
        index(store, asked.traces)
        print(json.dumps(measure(store, asked.repeat)))
    finally:
        store.close()


if __name__ == "__main__":
    main()
