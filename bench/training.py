"""Supervised fine-tuning measured: speed and memory against trl, and whether equal jobs make equal files.

    python bench/training.py speed --base FILE.gguf [--steps 16] [--rounds 2] [--threads 2]
    python bench/training.py same --base FILE.gguf [--steps 6]
    python bench/training.py parity --base FILE.gguf [--examples 300]

`speed`: LoRA (r 8, all seven matrices, batches of 8, float32) on the same token ids of banking77 messages and labels,
by `tune: lora`'s loop and by trl's SFTTrainer, in processes of their own that take turns. Counted are tokens that are
no padding, CPU-seconds between the first and the last step, and the peak of resident memory. `same`: the same recipe
twice, and once killed (SIGKILL) and run again; digests of the adapters. `parity`: after a short training, greedy
answers of the served adapter beside what the trained model prefers.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "banking77" / "train.csv"
BATCH = 8


def messages(n: int) -> list[tuple[str, str]]:
    """Evenly drawn from the file."""
    with DATA.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [(row["text"], row["category"]) for row in rows[:: max(1, len(rows) // n)][:n]]


def job_of(base: Path, folder: Path, rows: list[tuple[str, str]], dev: int = 0) -> Any:
    """A job as the loop gives it to a tuner; the last `dev` rows are dev."""
    from slipway.core.candidate import ModelPin
    from slipway.core.material import Example
    from slipway.testing.tuners import Job

    pin = ModelPin(name="base", engine="llama", source="", options={"context": 512, "parallel": 4, "measure": False})
    made = Job(folder, ("train", "dev"), pin, {base.name: base})
    cut = len(rows) - dev
    held = [
        Example(input={"text": text}, expected=(label,), split="train" if at < cut else "dev")
        for at, (text, label) in enumerate(rows)
    ]
    made.examples = lambda split: [one for one in held if one.split == split]  # type: ignore[method-assign]
    return made


def tokens_of(base: Path, folder: Path, steps: int) -> list[tuple[list[int], int]]:
    from slipway.builtin.causal.token_rows import rows_of

    job = job_of(base, folder, messages(steps * BATCH))
    with job.serving() as served:
        return [(list(row.ids), row.start) for row in rows_of(job, served, 2, 1024).train]


def ours(base: Path, rows: list[tuple[list[int], int]], steps: int, threads: int) -> dict[str, float]:
    from slipway.builtin.causal.fitting import Run, fit
    from slipway.builtin.causal.token_rows import Row

    options = {"epochs": 1, "max_steps": steps, "batch_size": BATCH, "threads": threads, "device": "cpu"}
    run = Run(recipe="lora", base=str(base), options=options, seed=1, train=[Row(tuple(i), s) for i, s in rows], dev=[])
    at: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        found = fit(run, Path(folder), lambda *_, **__: at.append(time.process_time()))
    return {"cpu_s": at[-1] - at[0], "loss": found.measured["loss"], "peak_mb": peak()}


def trl(base: Path, rows: list[tuple[list[int], int]], steps: int, threads: int) -> dict[str, float]:
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoTokenizer, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from slipway.builtin.causal import base as bases

    torch.set_num_threads(threads)
    model = bases.load(base)
    tokenizer = AutoTokenizer.from_pretrained(base.parent, gguf_file=base.name)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    given = [{"input_ids": ids, "completion_mask": [int(at >= start) for at in range(len(ids))]} for ids, start in rows]
    at: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            at.append(time.process_time())

    with tempfile.TemporaryDirectory() as folder:
        config = SFTConfig(
            output_dir=folder, per_device_train_batch_size=BATCH, max_steps=steps, learning_rate=1e-3, use_cpu=True,
            bf16=False, fp16=False, gradient_checkpointing=False, completion_only_loss=True, save_strategy="no",
            report_to=[], logging_steps=steps, packing=False, max_length=1024, warmup_steps=0, disable_tqdm=True,
            train_sampling_strategy="group_by_length",
        )  # fmt: skip
        targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
        trainer = SFTTrainer(
            model, config, train_dataset=Dataset.from_list(given), processing_class=tokenizer, callbacks=[Clock()],
            peft_config=LoraConfig(r=8, lora_alpha=16, target_modules=targets, task_type="CAUSAL_LM"),
        )  # fmt: skip
        loss = trainer.train().training_loss
    return {"cpu_s": at[-1] - at[0], "loss": loss, "peak_mb": peak()}


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def speed(base: Path, steps: int, rounds: int, threads: int) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="slipway-training-") as folder:
        rows = tokens_of(base, Path(folder) / "job", steps)
        (Path(folder) / "rows.json").write_text(json.dumps(rows))
        found: list[dict[str, Any]] = []
        for _ in range(rounds):
            for who in ("ours", "trl"):
                command = [sys.executable, __file__, "child", "--base", str(base), "--who", who, "--steps", str(steps)]
                command += ["--threads", str(threads), "--rows", f"{folder}/rows.json"]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    raise SystemExit(done.stderr[-3000:])
                tokens = sum(len(ids) for ids, _ in rows) * (steps - 1) / steps
                one = json.loads(done.stdout.splitlines()[-1])
                found.append({"who": who, **one, "tokens_per_cpu_s": tokens / one["cpu_s"]})
                print(json.dumps(found[-1]), flush=True)
    return found


def tuned(base: Path, folder: Path, steps: int, heard: Any = None) -> str:
    """Digest of the adapter."""
    from slipway.builtin.tuners.lora import LoraTuner

    job = job_of(base, folder, messages(steps * 4 + 8), dev=8)
    job.progress = heard or (lambda *_, **__: None)
    options = LoraTuner.Config(
        epochs=1, batch_size=4, dropout=0.1, parity_examples=0, checkpoint_seconds=0, device="cpu", evaluate_every=2
    )
    (path,) = LoraTuner(options).tune(job).files.values()
    return hashlib.sha256(path.read_bytes()).hexdigest()


def same(base: Path, steps: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="slipway-training-") as folder:
        command = [sys.executable, __file__, "child", "--base", str(base), "--who", "tuned", "--steps", str(steps)]

        def child(name: str, kill_at: int = 0) -> str:
            run = subprocess.Popen([*command, "--rows", f"{folder}/{name}"], stdout=subprocess.PIPE, text=True)
            assert run.stdout is not None
            said = ""
            for line in run.stdout:
                said = line.strip()
                if kill_at and said == str(kill_at):
                    os.kill(run.pid, signal.SIGKILL)
            return f"killed: {run.returncode}" if run.wait() else said

        found = {"once": child("a"), "again": child("b"), "first": child("c", steps // 2), "resumed": child("c")}
    return {**found, "bit_identical": found["once"] == found["again"] == found["resumed"]}


def parity(base: Path, examples: int, steps: int) -> dict[str, Any]:
    from slipway.builtin.tuners.lora import LoraTuner

    with tempfile.TemporaryDirectory(prefix="slipway-training-") as folder:
        job = job_of(base, Path(folder), messages(steps * BATCH + examples), dev=examples)
        options = LoraTuner.Config(
            epochs=1, patience=0, parity=0, parity_examples=examples, evaluate_every=10_000, device="cpu"
        )
        return LoraTuner(options).tune(job).measured


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("part", choices=("speed", "same", "parity", "child"))
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--examples", type=int, default=300)
    parser.add_argument("--who", choices=("ours", "trl", "tuned"), help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part == "child" and args.who == "tuned":
        print(tuned(args.base, args.rows, args.steps, lambda done, *_, **__: print(done, flush=True)), flush=True)
    elif args.part == "child":
        rows = json.loads(args.rows.read_text())
        print(json.dumps((ours if args.who == "ours" else trl)(args.base, rows, args.steps, args.threads)))
    elif args.part == "speed":
        speed(args.base, args.steps, args.rounds, args.threads)
    elif args.part == "same":
        print(json.dumps(same(args.base, args.steps), indent=1))
    else:
        print(json.dumps(parity(args.base, args.examples, args.steps), indent=1))


if __name__ == "__main__":
    main()
