"""The dense index by size: exact search against inverted lists, on vectors that cluster as texts do.

    python bench/index_sizes.py [--sizes 5000 20000 50000] [--dimension 384]

For each size: processor seconds to build, milliseconds a search takes (one thread, median), recall@10 against exact
search, megabytes on disk. It is what `exact_up_to` of the faiss index rests on.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from slipway.builtin.indexes.dense import FaissConfig, FaissIndex
from slipway.core.material import Chunk

QUESTIONS = 200


def vectors(count: int, dimension: int, seed: int) -> np.ndarray:
    """Unit vectors around 500 centres of 64 intrinsic dimensions: neither uniform nor trivially separable."""
    random = np.random.default_rng(0)
    basis = random.normal(size=(64, dimension)).astype(np.float32)
    centres = random.normal(size=(500, 64)).astype(np.float32)
    random = np.random.default_rng(seed)
    rows = (centres[random.integers(0, 500, count)] + random.normal(size=(count, 64)).astype(np.float32) * 0.8) @ basis
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[5_000, 20_000, 50_000])
    parser.add_argument("--dimension", type=int, default=384)
    options = parser.parse_args()
    print(f"{'passages':>9} {'kind':>9} {'build CPU s':>12} {'search ms':>10} {'recall@10':>10} {'MB':>7}")
    for size in options.sizes:
        rows, asked = vectors(size, options.dimension, 1), vectors(QUESTIONS, options.dimension, 2)
        chunks = [Chunk(source=str(n), path=(), start=0, end=1, text="x") for n in range(size)]
        truth: list[set[str]] = []
        for kind, limit in (("exact", size), ("inverted", 0)):
            start = time.process_time()
            index = FaissIndex(FaissConfig(exact_up_to=limit))
            index.add(chunks, rows)
            build = time.process_time() - start
            found: list[set[str]] = []
            seconds: list[float] = []
            for vector in asked:
                begin = time.perf_counter()
                found.append({name for name, _ in index.search("", vector, 10)})
                seconds.append(time.perf_counter() - begin)
            truth = truth or found
            recall = sum(len(a & b) for a, b in zip(truth, found, strict=True)) / (10 * QUESTIONS)
            with tempfile.TemporaryDirectory() as folder:
                index.save(folder)
                size_mb = sum(path.stat().st_size for path in Path(folder).iterdir()) / 1e6
            print(f"{size:9} {kind:>9} {build:12.1f} {np.median(seconds) * 1000:10.2f} {recall:10.3f} {size_mb:7.1f}")


if __name__ == "__main__":
    main()
