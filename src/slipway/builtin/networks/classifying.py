"""How a network learns labels: the loss of an example, and what is judged on dev. Imported only where torch is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from slipway.builtin.networks import modules, training
from slipway.builtin.networks.tuner import NetworkConfig, Task
from slipway.core.protocols import Job

_TOGETHER = 64  # texts of dev


def learn(
    module: Any, groups: Sequence[Mapping[str, Any]], task: Task, config: NetworkConfig, job: Job
) -> dict[str, float]:
    """Train in place: cross-entropy, smoothed (Szegedy et al. 2016), rare labels weighing more where that is asked for."""
    classes = torch.from_numpy(task.classes).long()
    dev_classes = torch.from_numpy(task.dev_classes).long()
    weights = torch.from_numpy(task.weights)

    def loss(places: Sequence[int]) -> Tensor:
        said = module(*modules.batch([task.rows[place] for place in places], module.padding))
        smoothing = config.label_smoothing
        return functional.cross_entropy(said, classes[list(places)], weights, label_smoothing=smoothing)

    def judge() -> float:
        said = torch.from_numpy(said_of(module, task.dev_rows))
        return float(functional.cross_entropy(said, dev_classes, weights))

    course = training.Course(
        module, groups, [len(row) for row in task.rows], loss, judge if task.dev_rows else None,
        config.epochs, config.batch_size, config.patience, config.threads,
    )  # fmt: skip
    return training.run(course, job)


def said_of(module: nn.Module, rows: Sequence[Sequence[int]]) -> Any:
    """The scores of rows, [rows, labels], float32."""
    return in_batches(module, rows, module)


def in_batches(module: Any, rows: Sequence[Sequence[int]], call: Any) -> Any:
    """What `call(ids, lengths)` gives for rows, in their order, without gradients and without dropout."""
    import numpy as np

    module.eval()
    found: dict[int, Any] = {}
    order = sorted(range(len(rows)), key=lambda place: len(rows[place]))
    with torch.no_grad():
        for start in range(0, len(order), _TOGETHER):
            part = order[start : start + _TOGETHER]
            said = call(*modules.batch([rows[place] for place in part], module.padding)).numpy()
            found.update(zip(part, said, strict=True))
    return np.stack([found[place] for place in range(len(rows))])
