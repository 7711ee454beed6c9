"""What tests of trained networks share: a project that sorts messages, and a command line without what trains."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROJECT = """\
slipway: 1
name: desk
task: classify
data:
  examples: [{path: rows.csv}]
  split: {train: 0.5, dev: 0.25, gate: 0.25}
candidates:
  NAME: TUNED
evaluate: {metrics: [accuracy]}
gate: {accuracy: {min: 0.5, confidence: point}}
"""
WORDS = {"billing": "invoice", "delivery": "parcel", "登录": "密码"}
_WITHOUT = """
from importlib.machinery import PathFinder
found = PathFinder.find_spec
PathFinder.find_spec = lambda name, *more: (
    None if name.partition(".")[0] in ("torch", "transformers", "keras") else found(name, *more)
)
from slipway.cli.main import main
main()
"""


def write(folder: Path, file: str) -> Path:
    """A new folder with 16 rows of each label, the prompt `text.md` and this slipway.yaml."""
    folder.mkdir()
    rows = [f"{word} of customer {n},{label}" for label, word in WORDS.items() for n in range(16)]
    (folder / "rows.csv").write_text("\n".join(["text,label", *rows]) + "\n", "utf-8")
    (folder / "text.md").write_text("{{ text }}", "utf-8")
    (folder / "slipway.yaml").write_text(file, "utf-8")
    return folder


def without_training(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`slipway ARGUMENTS` where torch, transformers and Keras cannot be imported."""
    command = [sys.executable, "-c", _WITHOUT, *arguments, "-C", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
