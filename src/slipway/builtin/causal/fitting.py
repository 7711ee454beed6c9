"""One training run of a causal model, alone or as one of several processes. Imported only where torch is installed.

What it needs lies in the job's folder, so that processes of torchrun find it: `run.json` and the base's file.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import msgspec
import torch

from slipway.builtin.causal import base, lora
from slipway.builtin.causal.batches import batches, shared_out
from slipway.builtin.causal.losses import Answers, Picked
from slipway.builtin.causal.options import CausalOptions, FullOptions, LoraOptions
from slipway.builtin.causal.token_rows import Row
from slipway.builtin.training.loop import Course, Progress, train
from slipway.builtin.training.peers import Peers, Sharded
from slipway.builtin.training.placing import Place, derived, place_of, repeatable

RUN = "run.json"


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What is trained on what. `options`: of the recipe, as plain data."""

    recipe: Literal["lora", "full"]
    base: str
    options: dict[str, Any]
    seed: int
    train: list[Row]
    dev: list[Row]

    @property
    def typed(self) -> CausalOptions:
        """The options as the recipe has them."""
        return (LoraOptions if self.recipe == "lora" else FullOptions).model_validate(self.options)


class Fitted:
    """A model that was trained. `measured`: as the loop says, and of the rows."""

    def __init__(self, model: Any, place: Place, measured: dict[str, float]) -> None:
        self.model, self.place, self.measured = model, place, measured


def build(run: Run, place: Place) -> Any:
    """The module as it is before the first step; its random weights are drawn from what torch was seeded with."""
    options = run.typed
    lower = run.recipe == "lora" and place.dtype == "bfloat16"  # weights that are not trained may be kept in 16 bits
    model = base.load(Path(run.base), "bfloat16" if lower else "float32")
    if isinstance(options, LoraOptions):
        lora.add(model, options.targets, options.r, options.alpha, options.dropout)
    if options.checkpointing:
        model.enable_input_require_grads()
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return model.to(place.device)


def fit(run: Run, folder: Path, progress: Progress, peers: Peers | None = None, steps: bool = True) -> Fitted:
    """Train it. `steps`: False only builds it, for one that other processes trained."""
    options, processes = run.typed, peers.size if peers else 1
    place = place_of(options)
    place = replace(place, threads=max(1, place.threads // processes))
    seed = derived(run.seed, options.seed, "causal")
    with ExitStack() as stack:
        stack.enter_context(repeatable(place, seed))
        if not steps:
            return Fitted(build(run, place), place, {})
        picked = _shared_out(run, place, peers) if isinstance(peers, Sharded) else Picked(build(run, place))
        model = picked.model
        learn, held = Answers(picked, run.train, place.device), Answers(picked, run.dev, place.device)
        pack = options.max_tokens if options.packing else 0
        course = Course(
            model,
            lambda epoch: shared_out(
                batches(run.train, options.batch_size, derived(seed, "order", epoch), pack), processes
            ),
            learn,
            dev=batches(run.dev, options.batch_size, 0) if run.dev else (),
            dev_loss=held,
            tokens=lambda batch: sum(len(run.train[place].ids) for one in batch for place in one),
        )
        options = options.model_copy(update={"accumulate": options.accumulate * processes})
        measured = train(course, options, place, folder, progress, seed, peers)
    return Fitted(model, place, measured)


def _shared_out(run: Run, place: Place, peers: Sharded) -> Picked:
    def make() -> tuple[Picked, Picked, list[torch.nn.Module]]:
        picked = Picked(build(run, place))
        return picked, picked, list(picked.model.get_decoder().layers)

    return peers.shared_out(make)


def trained_parts(model: Any, peers: Peers) -> dict[str, torch.Tensor]:
    """What training changed, whole, on the CPU; called by every process."""
    return {name: peers.whole(p) for name, p in model.named_parameters() if p.requires_grad}
