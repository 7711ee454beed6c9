"""A module that two processes of torchrun hold in parts (FSDP over gloo) learns what one process learns, to the end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from slipway.builtin.training.options import TrainOptions
from slipway.builtin.training.peers import Peers, Sharded

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

from slipway.builtin.training.loop import Course, train  # noqa: E402
from slipway.builtin.training.placing import place_of, repeatable  # noqa: E402

SIZES = [3, 3, 1, 1]  # of the batches: of the last two one process has nothing


class Stopped(BaseException):
    """Nothing that the loop may catch."""


def fit(folder: Path, peers: Peers, stop: int = 0, **more: Any) -> dict[str, Any]:
    """Weights, last gradients, what was measured, and how many of the parameters this process holds."""
    options = TrainOptions(
        **{"epochs": 3, "threads": 1, "patience": 0, "checkpoint_seconds": 0, "device": "cpu", "accumulate": peers.size,
           "learning_rate": 0.05, **more}
    )  # fmt: skip
    place = place_of(options)
    folder.mkdir(exist_ok=True, parents=True)

    def make() -> tuple[Any, Any, list[Any]]:
        module = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 3))
        return module, module, [module[0]]

    def progress(done: int, total: int | None, /, **numbers: float) -> None:
        if done == stop:
            raise Stopped

    with repeatable(place, 3):
        module = peers.shared_out(make) if isinstance(peers, Sharded) else make()[0]
        drawn = torch.Generator().manual_seed(1)
        data, wanted = torch.randn(11, 5, generator=drawn), torch.randn(11, 3, generator=drawn)

        def batches(epoch: int) -> list[Any]:
            order = torch.randperm(8, generator=torch.Generator().manual_seed(epoch))
            return [batch[rank :: peers.size] for batch in order.split(SIZES) for rank in range(peers.size)]

        def loss(at: Any) -> tuple[Any, float]:
            return ((module(data[at]) - wanted[at]) ** 2).sum(), float(len(at))

        dev = [torch.tensor([8]), torch.tensor([9]), torch.tensor([10])]
        measured = train(Course(module, batches, loss, dev), options, place, folder, progress, 3, peers)
        held = dict(module.named_parameters())
        parts = [p.to_local() if hasattr(p, "to_local") else p for p in held.values()]
        return {
            "weights": {name: peers.whole(p) for name, p in held.items()},
            "grads": {name: peers.whole(p.grad) for name, p in held.items() if p.grad is not None},
            "measured": measured,
            "share": sum(part.numel() for part in parts) / sum(p.numel() for p in held.values()),
        }


def in_two(folder: Path) -> None:
    """What each of the two processes does."""
    import torch.distributed as dist

    dist.init_process_group("gloo")
    peers = Sharded("cpu")
    found = {"whole": fit(folder / "whole", peers), "clipped": fit(folder / "c", peers, max_steps=1, clip=0.01)}
    try:
        fit(folder / "stopped", peers, stop=7)
    except Stopped:
        found["resumed"] = fit(folder / "stopped", peers)
    if not peers.rank:
        torch.save(found, folder / "found.pt")
    dist.barrier()
    dist.destroy_process_group()


@pytest.mark.slow
def test_a_module_in_parts_learns_what_a_whole_one_learns(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", __file__]
    done = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    found = torch.load(tmp_path / "found.pt")
    one = fit(tmp_path / "one", Peers())
    assert found["whole"]["share"] < 0.65, "rows are not always even in number"
    for name, value in one["weights"].items():
        assert torch.allclose(found["whole"]["weights"][name], value, atol=1e-5), name
    assert found["whole"]["measured"] == pytest.approx(one["measured"], rel=1e-5)

    clipped = fit(tmp_path / "clipped", Peers(), max_steps=1, clip=0.01)["grads"]
    norm = torch.cat([grad.flatten() for grad in found["clipped"]["grads"].values()]).norm()
    assert float(norm) == pytest.approx(0.01, rel=1e-3), "by the size of the whole gradient, not of each part"
    for name, value in clipped.items():
        assert torch.allclose(found["clipped"]["grads"][name], value, atol=1e-7), name

    for name, value in found["whole"]["weights"].items():
        assert torch.equal(found["resumed"]["weights"][name], value), "stopped and resumed, to the bit"
    read = fit(tmp_path / "stopped", Peers())["weights"]
    for name, value in found["whole"]["weights"].items():
        assert torch.equal(read[name], value), "a checkpoint holds whole tensors: one process reads that of two"


if __name__ == "__main__":
    in_two(Path(sys.argv[1]))
