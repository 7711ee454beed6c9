"""Trains a small network to its end: order of examples, steps, early stopping, checkpoints. Knows no task and no export.

A run that was killed goes on from its last checkpoint and comes to the same weights: what is random is drawn from the
seed and the number of the epoch, or is in the checkpoint. Imported only where torch is installed.
"""

from __future__ import annotations

import errno
import io
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from slipway.core.protocols import Job
from slipway.errors import SlipwayError
from slipway.files import replace_file, sync, why
from slipway.i18n import t

CHECKPOINT = "checkpoint.pt"
_SECONDS = 60.0  # between two checkpoints within an epoch
_WARM = 0.1  # share of the steps in which the learning rate rises
_LONGEST_NORM = 1.0  # of a gradient (Pascanu et al. 2013)
_SORTED = 32  # batches among which examples of like length are put together


@dataclass
class Course:
    """What is trained and how. `groups`: parameters with their `lr` and `weight_decay`. `lengths`: of the examples.

    `loss`: of the examples at some places, a scalar. `judge`: what must become smaller, on examples that are not trained
    on; None where there are none. `better_than_untrained`: what makes it no smaller than it was is not kept.
    """

    module: nn.Module
    groups: Sequence[Mapping[str, Any]]
    lengths: Sequence[int]
    loss: Callable[[Sequence[int]], Tensor]
    judge: Callable[[], float] | None
    epochs: int
    batch_size: int
    patience: int
    threads: int
    better_than_untrained: bool = False


def run(course: Course, job: Job) -> dict[str, float]:
    """Train the module in place; it ends as it was after its best epoch. Returns what was measured.

    Raises SlipwayError for a loss that is no number, for memory or disk that are full.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(course.threads)
    try:
        return _run(course, job)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise
        raise SlipwayError(
            t("training needs more memory than there is: {why}", why=str(error)[:200]),
            t("lower batch_size or max_tokens; what was trained so far is kept, and the next run goes on"),
        ) from error
    finally:
        torch.set_num_threads(before)


def _run(course: Course, job: Job) -> dict[str, float]:
    module, path = course.module, job.folder / CHECKPOINT
    optimizer = torch.optim.AdamW([dict(group) for group in course.groups])
    rates = [float(group["lr"]) for group in optimizer.param_groups]
    each = -(-len(course.lengths) // course.batch_size)
    total = each * course.epochs
    torch.manual_seed(job.seed)
    state: dict[str, Any] = {"step": 0, "best": math.inf, "epoch": -1, "kept": None, "sum": 0.0}
    _resume(path, state, module, optimizer)
    if course.better_than_untrained and course.judge and state["step"] == 0:
        state["best"], state["kept"] = course.judge(), _copied(module)
    saved = time.monotonic()
    while state["step"] < total:
        epoch, at = divmod(state["step"], each)
        if course.patience and course.judge and epoch - 1 - state["epoch"] >= course.patience:
            break
        rows = batches(course.lengths, course.batch_size, job.seed, epoch)[at]
        module.train()
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * schedule(state["step"], total)
        optimizer.zero_grad()
        loss = course.loss(rows)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise SlipwayError(
                t("the loss is no number any more at step {step} of {total}", step=state["step"] + 1, total=total),
                t("lower learning_rate, and look for examples that are empty or damaged"),
            )
        loss.backward()
        nn.utils.clip_grad_norm_(module.parameters(), _LONGEST_NORM)
        optimizer.step()
        state["step"] += 1
        state["sum"] += value
        ended = at + 1 == each
        numbers = {"loss": value}
        if ended:
            numbers |= _judged(course, state, epoch, each)
        job.progress(state["step"], total, **numbers)
        if ended or time.monotonic() - saved > _SECONDS:
            _save(path, state, module, optimizer)
            saved = time.monotonic()
    job.progress(total, total)
    if state["kept"] is not None:
        module.load_state_dict(state["kept"])
    path.unlink(missing_ok=True)
    return {"steps": float(state["step"]), "epochs": float(state["step"] // each), "best_epoch": float(state["epoch"] + 1)}


def _judged(course: Course, state: dict[str, Any], epoch: int, each: int) -> dict[str, float]:
    found = {"epoch_loss": state["sum"] / each}
    state["sum"] = 0.0
    judged = math.inf
    if course.judge is not None:
        judged = found["dev_loss"] = course.judge()
    if course.judge is None or judged < state["best"]:
        state["best"], state["epoch"] = judged, epoch
        state["kept"] = _copied(course.module)
    return found


def _copied(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def schedule(step: int, total: int) -> float:
    """The share of the highest learning rate: it rises for a tenth of the steps, then falls to 0 in a line."""
    warm = max(1, int(total * _WARM))
    return (step + 1) / warm if step < warm else (total - step) / max(1, total - warm)


def batches(lengths: Sequence[int], size: int, seed: int, epoch: int) -> list[list[int]]:
    """The places of an epoch's examples, in batches of like length, in an order that seed and epoch determine."""
    draw = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    order: list[int] = torch.randperm(len(lengths), generator=draw).tolist()
    made: list[list[int]] = []
    for start in range(0, len(order), size * _SORTED):
        alike = sorted(order[start : start + size * _SORTED], key=lambda place: lengths[place])
        made += [alike[at : at + size] for at in range(0, len(alike), size)]
    turned: list[int] = torch.randperm(len(made), generator=draw).tolist()
    return [made[place] for place in turned]


def _save(path: Path, state: Mapping[str, Any], module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    whole = {**state, "module": module.state_dict(), "optimizer": optimizer.state_dict(), "random": torch.get_rng_state()}
    buffer = io.BytesIO()
    torch.save(whole, buffer)
    try:
        replace_file(path, buffer.getvalue())
        sync(path)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise SlipwayError(
            t("the checkpoint {path} cannot be written: {why}", path=os.fspath(path), why=why(error)),
            t("free some disk space and run the same command again: it goes on from the checkpoint before")
            if full
            else t("run the same command again: it goes on from the checkpoint before"),
        ) from error


def _resume(path: Path, state: dict[str, Any], module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """From a checkpoint, where there is one that can be read; else from the beginning."""
    try:
        whole = torch.load(path, weights_only=True)
        module.load_state_dict(whole["module"])
        optimizer.load_state_dict(whole["optimizer"])
        torch.set_rng_state(whole["random"])
        state.update({key: whole[key] for key in state})
    except (OSError, KeyError, ValueError, RuntimeError, EOFError):
        return
