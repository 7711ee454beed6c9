"""Runs a trainer of trl to its end: offline, repeatable, from its last checkpoint, with progress. Knows no data."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from slipway.builtin.preferring import room
from slipway.builtin.preferring.room import AdapterOptions, Base
from slipway.builtin.training.failures import explained, no_number
from slipway.builtin.training.packages import require
from slipway.core.artifact import Made
from slipway.core.material import Example
from slipway.core.protocols import Job
from slipway.errors import ConfigError
from slipway.i18n import t

_SHOWN = ("loss", "reward", "kl", "rewards/accuracies", "rewards/margins")  # of what a trainer logs
Row = dict[str, Any]
Build = Callable[[Base, Sequence[str], int], Any]


class TrlOptions(AdapterOptions):
    """Options of the recipes that trl trains. `beta`: how dear it is to move away from the base. `save_steps`: between
    checkpoints. There is no evaluation on dev meanwhile, so `patience` and `evaluate_every` say nothing, nor does
    `checkpoint_seconds`: the last weights are kept.
    """

    learning_rate: float = Field(default=5e-6, gt=0, le=1e6)
    batch_size: int = Field(default=4, ge=1, le=65_536)
    epochs: int = Field(default=1, ge=1, le=10_000)
    beta: float = Field(default=0.1, ge=0, le=100)
    save_steps: int = Field(default=10, ge=1, le=1_000_000)


def arguments(job: Job, options: TrlOptions, seed: int, folder: str = "trainer") -> Any:
    """What every configuration of trl (`transformers.TrainingArguments`) gets: one place, nothing sent anywhere.
    `folder`: of its checkpoints, in the job's folder.
    """
    from slipway.builtin.training.placing import place_of

    place = place_of(options)
    return {
        "output_dir": str(job.folder / folder), "report_to": "none", "push_to_hub": False, "disable_tqdm": True,
        "use_cpu": place.device == "cpu", "bf16": place.dtype == "bfloat16", "fp16": False,
        "seed": seed, "data_seed": seed, "dataloader_num_workers": 0, "dataloader_pin_memory": False,
        "per_device_train_batch_size": options.batch_size, "gradient_accumulation_steps": options.accumulate,
        "num_train_epochs": options.epochs, "max_steps": options.max_steps or -1,
        "learning_rate": options.learning_rate, "lr_scheduler_type": options.schedule,
        "warmup_steps": options.warmup, "weight_decay": options.weight_decay, "max_grad_norm": options.clip,
        "gradient_checkpointing": False, "logging_steps": 1, "logging_nan_inf_filter": False,
        "save_strategy": "steps", "save_steps": options.save_steps, "save_total_limit": 1, "beta": options.beta,
    }  # fmt: skip


def make(job: Job, options: TrlOptions, asked: Sequence[Example], build: Build, before: int = 0) -> Made:
    """Train, write, compare. `asked`: examples that are learned from; `build(base, prompts, seed)`: the trainer of trl,
    `prompts` being those of `asked`; `before`: steps that `build` takes.

    Raises SlipwayError for memory or a disk that are full, a loss that is not finite, an adapter that is served
    otherwise than it was trained.
    """
    require("torch", "transformers", "peft", "trl", "gguf")
    path, header, _ = room.open_base(job)
    from slipway.builtin.training.placing import derived, place_of, repeatable

    place = place_of(options)
    seed = derived(job.seed, options.seed, "trl") % 2**31
    with repeatable(place, seed), explained(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        base = room.load(job, path, header)
        with job.serving() as served:
            prompts = base.prompts(served, job, asked)
        trainer = build(base, prompts, seed)
        measured = run(job, trainer, before)
        made = room.write(job, header, room.peft_learned(trainer.model), options)
        measured |= room.compared(job, made, trainer.model, header, options, place, asked)
    room.leave_nothing(job.folder)
    return Made(kind=made.kind, files=made.files, measured={**measured, "threads": float(place.threads)})


def run(job: Job, trainer: Any, before: int = 0, after: int = 0) -> dict[str, float]:
    """Train; from the last whole checkpoint in the job's folder, where there is one. `before`, `after`: steps of other
    trainers of the job, for its progress.
    """
    from transformers.trainer_callback import PrinterCallback
    from transformers.trainer_utils import get_last_checkpoint

    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(_listener(job, before, after))
    folder = Path(trainer.args.output_dir)
    last = get_last_checkpoint(str(folder)) if folder.is_dir() else None
    if last is not None and not (Path(last) / "trainer_state.json").is_file():
        last = None  # killed while it was written, and the one before is gone
    found = trainer.train(resume_from_checkpoint=last)
    state = trainer.state
    logged = [row for row in state.log_history if "loss" in row]
    measured = {"steps": float(state.global_step), "loss": float(logged[-1]["loss"] if logged else found.training_loss)}
    for name in _SHOWN[1:]:
        if logged and name in logged[-1]:
            measured[name.replace("rewards/", "reward_")] = float(logged[-1][name])
    return {name: float(f"{value:.6g}") for name, value in measured.items()}


def _listener(job: Job, before: int, after: int) -> Any:
    from transformers import TrainerCallback

    class Listener(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **_: Any) -> None:
            shown = {name: float(value) for name, value in (logs or {}).items() if name in _SHOWN}
            if "loss" not in shown:
                return
            if not math.isfinite(shown["loss"]):
                raise no_number(t("the loss"), state.global_step, state.max_steps)
            named = {name.replace("rewards/", "reward_"): value for name, value in shown.items()}
            job.progress(before + state.global_step, before + state.max_steps + after, **named)

    return Listener()


def dataset(rows: Sequence[Row], what: str, least: int, hint: str) -> Any:
    """`datasets.Dataset` in memory. Raises ConfigError for fewer than `least` rows; `what`: they are called so."""
    if len(rows) < least:
        raise ConfigError(
            t("there are {n} {what}; this needs {least} or more", n=len(rows), what=what, least=least), hint
        )
    import datasets

    datasets.disable_progress_bars()
    return datasets.Dataset.from_list(list(rows))
