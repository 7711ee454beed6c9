"""Trains a torch module to its end: steps, learning rate, evaluation, early stopping, checkpoints, progress.

Knows no task, no data and no export. A run that was killed at any time and is started again ends with the same bits on
a CPU as one that was not: what is random in a step is drawn from the seed and the step's number, and everything else is
in the checkpoint. Imported only where torch is installed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from slipway.builtin.training import checkpoint
from slipway.builtin.training.failures import explained, no_number
from slipway.builtin.training.options import TrainOptions
from slipway.builtin.training.peers import Peers
from slipway.builtin.training.placing import Place, derived
from slipway.i18n import t

_WRITING = 20  # training goes on for at least so many times as long as the last checkpoint took to write


class Progress(Protocol):
    """`Job.progress`."""

    def __call__(self, done: int, total: int | None, /, **numbers: float) -> None:
        """So many steps of so many."""


@dataclass
class Course:
    """What is trained, and on what.

    `batches(epoch)`: the epoch's batches in order, determined by the epoch alone and what the caller fixed. A batch is
    whatever `loss` takes, and has a length. `loss(batch)`: (sum of the losses, how many they are the sum of), so that
    accumulated batches and those of several processes weigh by what is in them. `dev`: the same batches at each
    evaluation; without any, the last weights are kept. `tokens(batch)`: how many it has, for the speed that is shown.
    `groups`: optimiser groups (`params`, `lr`, `weight_decay`) where not all parameters are trained alike.
    """

    module: nn.Module
    batches: Callable[[int], Sequence[Any]]
    loss: Callable[[Any], tuple[Tensor, float]]
    dev: Sequence[Any] = ()
    dev_loss: Callable[[Any], tuple[Tensor, float]] | None = None  # without it, `loss`
    tokens: Callable[[Any], int] | None = None
    groups: Sequence[dict[str, Any]] | None = None


@dataclass
class _State:
    step: int = 0
    best: float = math.inf
    best_step: int = 0
    stale: int = 0  # evaluations since the best one
    kept: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    curve: list[tuple[int, dict[str, float]]] = field(default_factory=list[tuple[int, dict[str, float]]])


def train(
    course: Course,
    options: TrainOptions,
    place: Place,
    folder: Path,
    progress: Progress,
    seed: int,
    peers: Peers | None = None,
) -> dict[str, float]:
    """Train the module in place; it ends with the weights of the best evaluation. Returns what was measured.

    The checkpoint in `folder` stays until the caller removes it: what follows may fail, too. `progress` hears each step
    and, after a resumption, the steps before it again (`loss`, `dev_loss`, `learning_rate`; `tokens_per_second` is
    shown and never in what is measured). Call it within `placing.repeatable`. Raises SlipwayError for a loss that is no
    finite number, for memory or a disk that are full.
    """
    with explained():
        return _Run(course, options, place, folder, progress, seed, peers or Peers()).run()


class _Run:
    def __init__(
        self, course: Course, options: TrainOptions, place: Place, folder: Path, progress: Progress, seed: int,
        peers: Peers,
    ) -> None:  # fmt: skip
        self.course, self.options, self.place, self.peers = course, options, place, peers
        self.folder, self.progress, self.seed = folder, progress, seed
        self.trained = {name: p for name, p in course.module.named_parameters() if p.requires_grad}
        self.optimizer = torch.optim.AdamW(course.groups or self._groups())
        self.rates = [float(group["lr"]) for group in self.optimizer.param_groups]
        self.state = _State()
        self.plan = self._plan()
        self.saved, self.write_seconds = time.monotonic(), 0.0
        self.since, self.tokens, self.speed = time.monotonic(), 0, 0.0

    def _groups(self) -> list[dict[str, Any]]:
        """Norms and biases do not decay."""
        options = self.options
        matrices = [p for p in self.trained.values() if p.ndim > 1]
        others = [p for p in self.trained.values() if p.ndim <= 1]
        groups = [(matrices, options.weight_decay), (others, 0.0)]
        return [{"params": ps, "lr": options.learning_rate, "weight_decay": decay} for ps, decay in groups if ps]

    def _plan(self) -> list[tuple[int, int]]:
        """(epoch, place of its first batch) of each step."""
        steps: list[tuple[int, int]] = []
        for epoch in range(self.options.epochs):
            steps += [(epoch, at) for at in range(0, len(self.course.batches(epoch)), self.options.accumulate)]
            if self.options.max_steps and len(steps) >= self.options.max_steps:
                return steps[: self.options.max_steps]
        return steps

    def run(self) -> dict[str, float]:
        self._resume()
        total, state = len(self.plan), self.state
        epoch, batches = -1, ()
        while state.step < total and not self._stops():
            wanted, at = self.plan[state.step]
            if wanted != epoch:
                epoch, batches = wanted, self.course.batches(wanted)
            numbers = self._step(batches[at : at + self.options.accumulate], total)
            state.step += 1
            evaluated = self._is_evaluation(state.step, total)
            if evaluated and self.course.dev:
                numbers["dev_loss"] = self._evaluate(total)
            state.curve.append((state.step, numbers))
            self._tell(state.step, total, numbers)
            self._save(evaluated)
        self._write()
        if self.course.dev and state.kept:
            self._put(state.kept)
        if state.step < total:
            self.progress(total, total)
        return self._measured()

    # -- a step --------------------------------------------------------------------------------------------------

    def _step(self, batches: Sequence[Any], total: int) -> dict[str, float]:
        step, options = self.state.step, self.options
        self.course.module.train()
        share = self._share(step, total)
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * share
        self.optimizer.zero_grad(set_to_none=True)
        torch.manual_seed(derived(self.seed, step, self.peers.rank))
        lost = count = 0.0
        for batch, weight in self._mine(batches):
            with self.place.autocast():
                sum_of, n = self.course.loss(batch)
            (sum_of * weight).backward()
            lost, count = lost + weight * float(sum_of.detach()), count + weight * n
            self.tokens += self.course.tokens(batch) if self.course.tokens and weight else 0
        lost, count = self.peers.sum([lost, count])
        loss = lost / count if count else 0.0
        if not math.isfinite(loss):
            raise no_number(t("the loss"), step + 1, total)
        parameters = list(self.trained.values())
        self.peers.add_up(parameters)
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad.div_(max(count, 1.0))
        norm = float(self.peers.whole(nn.utils.clip_grad_norm_(parameters, options.clip)))
        if not math.isfinite(norm):
            raise no_number(t("the gradient"), step + 1, total)
        self.optimizer.step()
        return {"loss": loss, "learning_rate": options.learning_rate * share}

    def _mine(self, batches: Sequence[Any]) -> Iterator[tuple[Any, float]]:
        """The share of this process, each batch with the weight 1. Where there are fewer batches, or examples, than
        processes, and all must compute as often: a batch of another with the weight 0.
        """
        for at in range(0, len(batches), self.peers.size):
            place = at + self.peers.rank
            batch = batches[place] if place < len(batches) else ()
            if len(batch):
                yield batch, 1.0
            elif self.peers.in_step:
                yield next(one for one in batches if len(one)), 0.0

    def _share(self, step: int, total: int) -> float:
        """The share of the highest learning rate in this step: up in a line, then down as the schedule says."""
        warm = int(total * self.options.warmup)
        if step < warm:
            return (step + 1) / (warm + 1)
        left = (total - step) / max(1, total - warm)
        if self.options.schedule == "cosine":
            return 0.5 * (1 - math.cos(math.pi * left))
        return left if self.options.schedule == "linear" else 1.0

    # -- evaluation ----------------------------------------------------------------------------------------------

    def _is_evaluation(self, step: int, total: int) -> bool:
        every = self.options.evaluate_every
        if step == total:
            return True
        return step % every == 0 if every else self.plan[step][0] != self.plan[step - 1][0]

    def _evaluate(self, total: int) -> float:
        state = self.state
        self.course.module.eval()
        lost = count = 0.0
        with torch.no_grad():
            for batch, weight in self._mine(self.course.dev):
                with self.place.autocast():
                    sum_of, n = (self.course.dev_loss or self.course.loss)(batch)
                lost, count = lost + weight * float(sum_of), count + weight * n
        lost, count = self.peers.sum([lost, count])
        found = lost / max(count, 1.0)
        if not math.isfinite(found):
            raise no_number(t("the loss on dev"), state.step, total)
        if found < state.best:
            state.best, state.best_step, state.stale, state.kept = found, state.step, 0, self._weights()
        else:
            state.stale += 1
        return found

    def _stops(self) -> bool:
        return 0 < self.options.patience <= self.state.stale

    # -- what is kept --------------------------------------------------------------------------------------------

    def _weights(self) -> dict[str, Tensor]:
        """What training changes: parameters that are trained, and buffers; of each what this process has."""
        kept = {name: self.peers.kept(p) for name, p in self.trained.items()}
        return kept | {f"buffer {name}": self.peers.kept(b) for name, b in self._buffers(self.course.module)}

    @staticmethod
    def _buffers(module: nn.Module) -> list[tuple[str, Tensor]]:
        saved = module.state_dict(keep_vars=True)
        return [(name, b) for name, b in module.named_buffers() if name in saved]

    def _put(self, kept: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name, parameter in self.trained.items():
                parameter.copy_(kept[name])
            for name, buffer in self._buffers(self.course.module):
                buffer.copy_(kept[f"buffer {name}"])

    def _save(self, evaluated: bool) -> None:
        """Now and then, and after an evaluation; never so often that writing takes a good part of the time."""
        waited, every = time.monotonic() - self.saved, self.options.checkpoint_seconds
        pause = max(0.0 if evaluated else every, _WRITING * self.write_seconds) if every else 0.0
        if self.peers.agreed(waited >= pause):
            self._write()

    def _write(self) -> None:
        if self.peers.rank and not self.peers.in_step:
            return
        begun = time.monotonic()
        held = {"weights": self._weights(), "optimizer": self.optimizer.state_dict(), **vars(self.state)}
        whole = self.peers.gathered(held)
        if not self.peers.rank:
            checkpoint.save(self.folder, {**whole, "place": vars(self.place), "steps": len(self.plan)})
        self.saved = time.monotonic()
        self.write_seconds = self.saved - begun

    def _resume(self) -> None:
        """From the checkpoint of the same plan; else from the beginning."""
        found = checkpoint.load(self.folder)
        if not found or (found.get("place"), found.get("steps")) != (vars(self.place), len(self.plan)):
            return
        self._put(self._parts(found["weights"]))
        self.optimizer.load_state_dict(found["optimizer"] | {"state": self._moments(found["optimizer"]["state"])})
        self.state = _State(**{name: found[name] for name in vars(_State())})
        self.state.kept = self._parts(self.state.kept)
        for step, numbers in self.state.curve:
            self.progress(step, len(self.plan), **numbers)
        self.since = time.monotonic()

    def _parts(self, whole: dict[str, Tensor]) -> dict[str, Tensor]:
        """What this process has of weights."""
        return {
            name: self.peers.part(value, self.trained[name]) if name in self.trained else value
            for name, value in whole.items()
        }

    def _moments(self, whole: dict[int, dict[str, Any]]) -> dict[int, dict[str, Any]]:
        """What this process has of the optimiser's state, by the number of the parameter."""
        numbered = [p for group in self.optimizer.param_groups for p in group["params"]]
        return {
            number: {name: self.peers.part(value, numbered[number]) for name, value in state.items()}
            for number, state in whole.items()
        }

    # -- what is told --------------------------------------------------------------------------------------------

    def _tell(self, step: int, total: int, numbers: dict[str, float]) -> None:
        seconds = time.monotonic() - self.since
        if seconds > 1.0:
            self.speed, self.tokens, self.since = self.tokens / seconds, 0, time.monotonic()
        speed = {"tokens_per_second": self.speed} if self.speed else {}
        self.progress(step, total, **numbers, **speed)

    def _measured(self) -> dict[str, float]:
        state = self.state
        measured = {"steps": float(state.step), "threads": float(self.place.threads)}
        if state.curve:
            measured["loss"] = state.curve[-1][1]["loss"]
        if self.course.dev:
            measured |= {"dev_loss": state.best, "best_step": float(state.best_step)}
        return measured
