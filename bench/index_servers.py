"""What an index in another program costs beside faiss: building, opening, searching, recall@10, all on this machine.

    python bench/index_servers.py [N]

N (5,000) passages of 384 dimensions in N/50 groups. Qdrant and Chroma lie in folders, pgvector in a PostgreSQL of its
own (the wheel `pgserver`). CPU seconds are of this process and its children; PostgreSQL's are not counted.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import postgres
from slipway.core.material import Chunk
from slipway.plugins import Plugins


def main(count: int = 5000) -> None:
    rng = np.random.default_rng(5)
    rows = np.repeat(rng.normal(size=(count // 50, 384)), 50, axis=0) + 0.7 * rng.normal(size=(count // 50 * 50, 384))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    chunks = [Chunk(source=f"{n}.md", path=(), start=0, end=1, text=str(n)) for n in range(len(rows))]
    asked = rows[:: len(rows) // 200] + 0.02 * rng.normal(size=(1, 384)).astype(np.float32)
    true = [{chunks[n].id for n in np.argsort(-(rows @ one))[:10]} for one in asked]
    with tempfile.TemporaryDirectory() as folder, postgres.running(programs=postgres.with_vectors()) as server:
        place = server.database()
        database = {"url": place.url, "password_env": place.password_env}
        for name, options in (
            ("faiss", {}),
            ("qdrant", {"path": f"{folder}/q"}),
            ("chroma", {"path": f"{folder}/c"}),
            ("pgvector", database),
            ("pgvector", {**database, "approximate": True}),
        ):
            print(f"{name:9}", measured(name, options, Path(tempfile.mkdtemp(dir=folder)), chunks, rows, asked, true))


def measured(name, options, saved, chunks, rows, asked, true) -> str:
    index = Plugins().make("indexes", name, options, "index")
    built = spent(lambda: (index.add(chunks, rows), index.save(str(saved))))
    again = Plugins().make("indexes", name, options, "index")
    opened = spent(lambda: again.load(str(saved)))
    began, hits = time.perf_counter(), 0
    for one, best in zip(asked, true, strict=True):
        hits += len(best & {found for found, _ in again.search("", one, 10)})
    each, recall = (time.perf_counter() - began) / len(asked), hits / len(asked) / 10
    how = "graph" if options.get("approximate") or name == "chroma" else "exact"
    costs = f"build {built:.2f} CPU-s, open {opened:.2f} CPU-s, {1000 * each:.1f} ms a search"
    return f"{how}: {costs}, recall@10 {recall:.3f}"


def spent(work) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
