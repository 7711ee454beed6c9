"""What it costs to make vectors, and what they find: MiniLM in int8, the static vectors made from it, words.

    python bench/indexing.py [--data ../shared/data/xquad] [--at FOLDER] [--json] [PACKAGE ...]

XQuAD as in `retrieval_xquad.py`: each question must find its paragraph of 240. For each Debian package (fetched as in
`corpora.py`; by default postgresql-doc-15) its HTML pages are cut into passages with the defaults. The questions are up
to 500 headings of three words or more that stand over one section only; right are the passages of it. Headings
are taken out of the passages, which makes the task harder than a search in the documents as they are. nDCG@10 counts a
passage as right or not. Processor seconds are those of embedding the passages (of words: indexing them), without
loading a model and without reading the pages; the static table is made before, and its seconds are told.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from corpora import fetch
from retrieval_xquad import SOURCE, fused, read

from slipway.builtin.engines.onnx.engine import OnnxConfig, OnnxEngine
from slipway.builtin.engines.static import distill
from slipway.builtin.engines.static.engine import StaticConfig, StaticEngine
from slipway.builtin.indexes.lexical import TantivyIndex
from slipway.core.material import Chunk
from slipway.core.protocols import Embeds, Windows
from slipway.data.chunks import make_chunks
from slipway.data.documents import make_documents
from slipway.project.data import DataConfig
from slipway.store import models
from slipway.store.store import Store

DEPTH = 50
QUESTIONS = 500
Task = tuple[list[Chunk], list[str], list[set[str]]]


def xquad(folder: Path, language: str) -> Task:
    task = read(folder / f"xquad.{language}.json", language, False)
    return task.chunks, task.questions, [{one} for one in task.relevant]


def headings(folder: Path) -> Task:
    """Passages without their headings, headings as questions, and the passages that are right."""
    config = DataConfig.model_validate({"documents": [{"path": "**/*.html"}]})
    with tempfile.TemporaryDirectory() as state:
        store = Store(Path(state))
        held = list(
            store.blobs.get_lines(make_chunks(config, make_documents(config, folder, store), store).items, Chunk)
        )
    chunks: list[Chunk] = []
    sections: dict[str, dict[tuple[str, ...], set[str]]] = {}
    for one in held:
        text = "\n".join(line for line in one.text.splitlines() if not line.startswith("#")).strip()
        if not text:
            continue
        chunk = Chunk(source=one.source, path=(), start=one.start, end=one.end, text=text)
        chunks.append(chunk)
        if one.path and len(one.path[-1].split()) >= 3:
            sections.setdefault(one.path[-1], {}).setdefault((one.source, *one.path), set()).add(chunk.id)
    once = [heading for heading, found in sorted(sections.items()) if len(found) == 1]
    asked = random.Random(7).sample(once, min(QUESTIONS, len(once)))
    return chunks, asked, [next(iter(sections[heading].values())) for heading in asked]


def ndcg(rankings: list[list[str]], right: list[set[str]]) -> float:
    gain = 1 / np.log2(np.arange(2, 12))
    found = [
        sum(gain[at] for at, name in enumerate(ranking[:10]) if name in wanted) / gain[: len(wanted)].sum()
        for ranking, wanted in zip(rankings, right, strict=True)
    ]
    return float(np.mean(found))


def words(task: Task) -> tuple[list[list[str]], float]:
    began = time.process_time()
    index = TantivyIndex()
    index.add(task[0])
    seconds = time.process_time() - began
    return [[name for name, _ in index.search(question, None, DEPTH)] for question in task[1]], seconds


async def dense(task: Task, engine: Any) -> tuple[list[list[str]], float]:
    """A passage longer than the encoder reads is as near as the nearest of its parts, as in `runtime.vectors`."""
    assert isinstance(engine, Embeds)
    await engine.start()
    began = time.process_time()
    parts = [[chunk.passage] for chunk in task[0]]
    if isinstance(engine, Windows):
        parts = await engine.windows([chunk.text for chunk in task[0]], [chunk.head for chunk in task[0]])
    vectors = await engine.embed([text for own in parts for text in own])
    seconds = time.process_time() - began
    owner = np.repeat(np.arange(len(parts)), [len(own) for own in parts])
    rankings: list[list[str]] = []
    for near in (await engine.embed(task[1])) @ vectors.T:
        best = dict.fromkeys(int(owner[at]) for at in np.argsort(-near, kind="stable")[: DEPTH * 4])
        rankings.append([task[0][at].id for at in list(best)[:DEPTH]])
    return rankings, seconds


def measure(name: str, task: Task, encoders: dict[str, Any]) -> list[dict[str, Any]]:
    lexical, seconds = words(task)
    rows = [{"corpus": name, "way": "words", "ndcg": ndcg(lexical, task[2]), "cpu": seconds}]
    for label, engine in encoders.items():
        found, seconds = asyncio.run(dense(task, engine()))
        rows.append({"corpus": name, "way": label, "ndcg": ndcg(found, task[2]), "cpu": seconds})
        rows.append(
            {"corpus": name, "way": f"{label}, fused", "ndcg": ndcg(fused(found, lexical), task[2]), "cpu": seconds}
        )
    return [{**row, "passages": len(task[0]), "rate": len(task[0]) / row["cpu"]} for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="*", default=["postgresql-doc-15"])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared/data/xquad")
    parser.add_argument("--at", type=Path, default=Path(tempfile.gettempdir()) / "debs")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    files = models.pull(SOURCE).files
    began = time.process_time()
    distill.distilled("MiniLM", files, lambda *_: None)
    print(f"the static table: {time.process_time() - began:.1f} CPU-s, once for a model", flush=True)
    encoders: dict[str, Any] = {
        "static": lambda: StaticEngine(StaticConfig(), files=files),
        "MiniLM int8": lambda: OnnxEngine(OnnxConfig(), files=files),
    }
    tasks = {f"xquad {language}": xquad(args.data, language) for language in ("en", "zh")}
    tasks |= {package: headings(fetch(package, args.at)) for package in args.packages}
    for name, task in tasks.items():
        rows = measure(name, task, encoders)
        if args.json:
            print(json.dumps(rows))
            continue
        print(f"{name}: {len(task[0])} passages, {len(task[1])} questions", flush=True)
        for row in rows:
            print(f"    {row['way']:20} nDCG@10 {row['ndcg']:.3f} {row['cpu']:8.2f} CPU-s {row['rate']:9.0f} a CPU-s")


if __name__ == "__main__":
    main()
