"""The other processes that train the same module: their sums, and nothing when there are none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


class Peers:
    """Alone. Every process holds the whole module, takes its share of each step's batches, and adds up gradients."""

    rank: int = 0
    size: int = 1

    def sum(self, values: Sequence[float]) -> list[float]:
        """Of each value, over all processes."""
        return list(values)

    def add_up(self, parameters: Sequence[nn.Parameter]) -> None:
        """Their gradients, over all processes."""


class Group(Peers):
    """The processes of `torch.distributed`, once they have found each other."""

    def __init__(self) -> None:
        import torch.distributed as dist

        self.rank, self.size = dist.get_rank(), dist.get_world_size()

    def sum(self, values: Sequence[float]) -> list[float]:
        """As float64."""
        import torch
        import torch.distributed as dist

        summed = torch.tensor(list(values), dtype=torch.float64)
        dist.all_reduce(summed)
        return summed.tolist()

    def add_up(self, parameters: Sequence[nn.Parameter]) -> None:
        """In one message; a process whose share was empty has zeros."""
        import torch
        import torch.distributed as dist

        grads = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
        flat = torch.cat([grad.reshape(-1) for grad in grads])
        dist.all_reduce(flat)
        for parameter, summed in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
            parameter.grad = summed.view_as(parameter)
