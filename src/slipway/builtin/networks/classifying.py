"""How a network learns labels: the loss of an example, and what is judged on dev. Imported only where torch is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from slipway.builtin.networks import modules
from slipway.builtin.networks.tuner import NetworkConfig, Task
from slipway.builtin.training.loop import Course, train
from slipway.builtin.training.placing import place_of
from slipway.core.protocols import Job


def learn(module: Any, groups: list[dict[str, Any]], task: Task, config: NetworkConfig, job: Job) -> dict[str, float]:
    """Train in place: cross-entropy, smoothed (Szegedy et al. 2016); rare labels weigh more where that is asked for."""
    place, seed = place_of(config), job.seed + config.seed
    weights = torch.from_numpy(task.weights).to(place.device)
    lengths, dev_lengths = [len(row) for row in task.rows], [len(row) for row in task.dev_rows]

    def lost(rows: Sequence[Sequence[int]], classes: Any, smoothing: float) -> tuple[Tensor, float]:
        truth = torch.from_numpy(classes).long().to(place.device)
        said = module(*modules.batch(rows, module))
        found = functional.cross_entropy(said, truth, weights, label_smoothing=smoothing, reduction="sum")
        return found, float(weights[truth].sum())

    def loss(places: list[int]) -> tuple[Tensor, float]:
        return lost([task.rows[at] for at in places], task.classes[places], config.label_smoothing)

    def dev_loss(places: list[int]) -> tuple[Tensor, float]:
        return lost([task.dev_rows[at] for at in places], task.dev_classes[places], 0.0)

    course = Course(
        module,
        lambda epoch: modules.shuffled(lengths, config.batch_size, seed, epoch),
        loss,
        modules.alike(dev_lengths, modules.TOGETHER),
        dev_loss,
        lambda places: sum(lengths[at] for at in places),
        groups,
    )
    return train(course, config, place, job.folder, job.progress, seed)
