"""The other processes that train the same module: their sums, and nothing when there are none.

`Group`: every process holds the whole module (data parallelism). `Sharded`: every process holds its part of each
parameter, of the gradients and of the optimiser's state, and puts a layer together while it computes it (FSDP: Zhao et
al. 2023; `fully_shard` of torch, which works over gloo on processors as well).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from torch import Tensor, nn

MadeT = TypeVar("MadeT")


class Peers:
    """Alone. Every process takes its share of each step's batches, and gradients are added up.

    `in_step`: whether each process must compute and gather as often as the others, because they wait for each other.
    """

    rank: int = 0
    size: int = 1
    in_step: bool = False

    def sum(self, values: Sequence[float]) -> list[float]:
        """Of each value, over all processes."""
        return list(values)

    def add_up(self, parameters: Sequence[nn.Parameter]) -> None:
        """Their gradients, over all processes."""

    def agreed(self, decision: bool) -> bool:
        """What the first process decides, where all must do the same."""
        return decision

    def kept(self, tensor: Tensor) -> Tensor:
        """A copy of what this process has of it."""
        return tensor.detach().to("cpu", copy=True)

    def whole(self, tensor: Tensor) -> Tensor:
        """All of it, on the CPU."""
        return self.kept(tensor)

    def gathered(self, held: Any) -> Any:
        """`held`, a tensor or anything in dictionaries, with whole tensors; of use in the first process."""
        return held

    def part(self, whole: Tensor, like: Tensor) -> Tensor:
        """What this process has of `whole` when it is held as `like` is."""
        return whole


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


class Sharded(Group):
    """A group whose processes hold parts. Parameters that are shared out are `DTensor`s."""

    in_step = True

    def __init__(self, device: str) -> None:
        from torch.distributed.device_mesh import init_device_mesh

        super().__init__()
        self._mesh = init_device_mesh(device, (self.size,))

    def shared_out(self, make: Callable[[], tuple[MadeT, nn.Module, Sequence[nn.Module]]]) -> MadeT:
        """What `make` returns first, once the module that it returns second holds parts only.

        The third are the parts of it that are put together one at a time. One process makes it after the other, so that
        there is one whole module at a time.
        """
        import torch.distributed as dist
        from torch.distributed.fsdp import fully_shard

        made: MadeT | None = None
        for rank in range(self.size):
            if rank == self.rank:
                made, root, layers = make()
                for module in (*layers, root):
                    sharded: Any = fully_shard(module, mesh=self._mesh, reshard_after_forward=True)
                    sharded.set_gradient_divide_factor(1.0)  # sums: the loop divides by what they are the sum of
                    sharded.set_force_sum_reduction_for_comms(True)  # gloo has no scaled sums
            dist.barrier()
        assert made is not None
        return made

    def add_up(self, parameters: Sequence[nn.Parameter]) -> None:
        """They are, while gradients are computed."""

    def agreed(self, decision: bool) -> bool:
        """The clocks of processes differ."""
        return self.sum([float(decision and not self.rank)]) == [1.0]

    def kept(self, tensor: Tensor) -> Tensor:
        """Where it is."""
        return tensor.detach().clone()

    def whole(self, tensor: Tensor) -> Tensor:
        """Called by every process."""
        from torch.distributed.tensor import DTensor

        full = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
        return full.detach().to("cpu", copy=True)

    def gathered(self, held: Any) -> Any:
        """Called by every process; others than the first let go of each tensor at once."""
        from torch import Tensor

        if isinstance(held, dict):
            return {name: self.gathered(value) for name, value in held.items()}
        if not isinstance(held, Tensor):
            return held
        whole = self.whole(held)
        return None if self.rank else whole

    def part(self, whole: Tensor, like: Tensor) -> Tensor:
        """Each process has read the whole; nothing is sent."""
        from torch.distributed.tensor import DTensor, distribute_tensor

        if not isinstance(like, DTensor) or whole.shape != like.shape:
            return whole
        return distribute_tensor(whole.to(like.device), like.device_mesh, like.placements, src_data_rank=None)
