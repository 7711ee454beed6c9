"""A stranger's documents in a day: 766 pages of SQLite's manual and 64 questions, from nothing to a gated release.

    python bench/stranger.py [--at FOLDER]

The pages are Debian's sqlite3-doc, fetched by `apt-get download` into FOLDER and unpacked, not installed; the questions
are `bench/stranger_questions.jsonl`: 42 in English and 22 in Chinese on 44 pages, with the section that answers each.
In a new project from the template `small`:

1. `slipway ask --now`: seconds until the first answer, from nothing.
2. `slipway up --once`: seconds of wall and processor, children included, until a release answers.
3. The template's candidates against `before`, what the template's `grounded` was (two whole passages, no quote), on all
   questions but a tenth: answer recall, support by citations and their precision, paired, with 95% intervals.

Wall seconds depend on the machine and on who else uses it; compare processor seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from corpora import fetch

HERE = Path(__file__).parent
BEFORE = """
  before: {extends: closed-book, prompt: prompts/grounded.md, retrieve: {embedder: embedder, top_k: 2},
           system: You answer questions with a few words taken from the text.}
"""


def make(folder: Path, pages: Path) -> Path:
    """A project from the template, with these pages and our questions."""
    from slipway import api

    api.init(folder, "small")
    shutil.rmtree(folder / "docs")
    shutil.copytree(pages, folder / "docs")
    shutil.copy(HERE / "stranger_questions.jsonl", folder / "evals" / "questions.jsonl")
    file = folder / "slipway.yaml"
    text = file.read_text("utf-8").replace("docs/**/*}", "docs/**/*.html}").replace('"docs/**/*"', '"docs/**/*.html"')
    text = text.replace("citation_support, ", "citation_support, citation_precision, ")
    file.write_text(text.replace("\nevaluate:", f"{BEFORE}\nevaluate:"), "utf-8")
    return folder


def timed(*words: str) -> tuple[float, float, str]:
    """(wall seconds, processor seconds with children, what it said)."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run([sys.executable, "-m", "slipway", *words], capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 1):
        sys.exit(done.stderr)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - began, used, done.stdout + done.stderr


def compared(folder: Path) -> None:
    """The template's candidates against `before`."""
    from slipway import api

    split = "data.split={train: 0, dev: 0.9, gate: 0.1, seed: 7, group_by: source}"
    with api.open_project(folder, [split]) as project:
        api.run(project, "evaluate")
        for metric in ("answer_recall", "citation_support", "citation_precision", "retrieval_recall"):
            for name in ("closed-book", "grounded", "quote"):
                if metric == "retrieval_recall" and name == "closed-book":
                    continue
                one = api.compare(project, "before", name, metric).comparison
                print(
                    f"{metric:18} {name:12} {one.challenger:.3f}  before {one.champion:.3f}  "
                    f"difference {one.effect:+.3f} [{one.low:+.3f}, {one.high:+.3f}], n = {one.n}"
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--at", type=Path, default=Path(tempfile.gettempdir()) / "corpora")
    at = parser.parse_args().at
    pages = next(fetch("sqlite3-doc", at).rglob("lang.html")).parent
    asked = [json.loads(line) for line in (HERE / "stranger_questions.jsonl").read_text("utf-8").splitlines()]
    model = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), "")
    print(f"{model.partition(':')[2].strip()}, {os.cpu_count()} cores; {len(asked)} questions")
    with tempfile.TemporaryDirectory() as folder:
        project = make(Path(folder) / "sqlite", pages)
        wall, used, said = timed("ask", "--now", asked[0]["question"], "-C", str(project))
        print(f"first answer: {wall:.1f} s, {used:.1f} CPU-s: {said.splitlines()[0][:100]}")
        wall, used, said = timed("up", "--once", "--port", "0", str(project))
        print(f"up --once: {wall:.1f} s, {used:.1f} CPU-s")
        print(
            "\n".join(line for line in said.splitlines() if line.startswith(("gate:", "release", "chosen", "nothing")))
        )
        compared(project)


if __name__ == "__main__":
    main()
