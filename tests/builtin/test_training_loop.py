"""The loop that trains torch modules: a run that was killed ends as one that was not, and failures say what to do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disks import small_disk
from slipway.builtin.training import checkpoint
from slipway.builtin.training.failures import explained
from slipway.builtin.training.options import TrainOptions, settled
from slipway.errors import EngineError, MissingPrerequisite, SlipwayError
from slipway.files import open_regular, read
from slipway.plugins import reporting

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

from slipway.builtin.training.loop import Course, train  # noqa: E402
from slipway.builtin.training.placing import place_of, repeatable  # noqa: E402


class Stopped(BaseException):
    """Nothing that the loop may catch."""


def fit(folder: Path, stop: int = 0, dev: bool = True, rows: int = 24, **more: Any) -> tuple[dict[str, Any], Any, Any]:
    """(weights, what was measured, what was told) of a small module with dropout and batch norm."""
    options = TrainOptions(
        **{"epochs": 4, "batch_size": 4, "threads": 1, "patience": 0, "checkpoint_seconds": 0, "device": "cpu", **more}
    )
    place, told = place_of(options), []

    def progress(done: int, total: int | None, /, **numbers: float) -> None:
        told.append((done, total, {k: v for k, v in numbers.items() if k != "tokens_per_second"}))
        if stop and len(told) == stop:
            raise Stopped

    folder.mkdir(exist_ok=True, parents=True)
    with repeatable(place, 3):
        data = torch.randn(rows, 6)
        wanted = data @ torch.randn(6, 2)
        module = torch.nn.Sequential(
            torch.nn.Linear(6, 16), torch.nn.BatchNorm1d(16), torch.nn.Dropout(0.3), torch.nn.Linear(16, 2)
        )

        def batches(epoch: int) -> list[Any]:
            order = torch.randperm(rows - 8, generator=torch.Generator().manual_seed(epoch))
            return list(order.split(options.batch_size))

        def loss(at: Any) -> tuple[Any, float]:
            return ((module(data[at]) - wanted[at]) ** 2).sum(), float(len(at))

        held = [torch.arange(rows - 8, rows)] if dev else []
        course = Course(module, batches, loss, held, tokens=len)
        measured = train(course, options, place, folder, progress, 3)
        return {name: value.clone() for name, value in module.state_dict().items()}, measured, told


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.slow
@pytest.mark.parametrize("more", [{}, {"accumulate": 3, "schedule": "cosine"}, {"checkpoint_seconds": 1e9}])
def test_stopped_after_any_step_it_ends_with_the_same_bits(tmp_path: Path, more: dict[str, Any]) -> None:
    whole, measured, told = fit(tmp_path / "whole", **more)
    assert same(whole, fit(tmp_path / "again", **more)[0])
    for stop in range(1, len(told), 6):
        folder = tmp_path / f"stopped-{stop}"
        with pytest.raises(Stopped):
            fit(folder, stop, **more)
        found, again, heard = fit(folder, **more)
        assert same(whole, found)
        assert (again, heard) == (measured, told), "the curve is whole, too"


@pytest.mark.slow
def test_another_seed_or_another_plan_does_not_go_on_from_it(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        fit(tmp_path / "one", stop=5)
    assert same(fit(tmp_path / "one", epochs=2)[0], fit(tmp_path / "two", epochs=2)[0])


def test_a_damaged_checkpoint_is_begun_again(tmp_path: Path) -> None:
    whole = fit(tmp_path / "whole")[0]
    with pytest.raises(Stopped):
        fit(tmp_path / "cut", stop=9)
    path = tmp_path / "cut" / checkpoint.FILE
    path.write_bytes(path.read_bytes()[:-300])
    assert same(whole, fit(tmp_path / "cut")[0])


@pytest.mark.slow
def test_killed_by_the_kernel_it_goes_on(tmp_path: Path) -> None:
    """A child that sends itself SIGKILL while it writes its checkpoint."""
    code = (
        "import os, signal, sys; from pathlib import Path; sys.path.insert(0, sys.argv[2])\n"
        "import test_training_loop as it\n"
        "def killed(*_): os.kill(os.getpid(), signal.SIGKILL)\n"
        "replace, calls = os.replace, []\n"
        "def replaced(*a):\n"
        "    calls.append(a)\n"
        "    return killed() if len(calls) == 6 else replace(*a)\n"
        "os.replace = replaced\n"
        "it.fit(Path(sys.argv[1]))\n"
    )
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(here), str(here.parent)])}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "killed"), str(here)], env=environment, check=False, timeout=120
    )
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "killed" / checkpoint.FILE).exists()
    assert same(fit(tmp_path / "whole")[0], fit(tmp_path / "killed")[0])


def test_the_best_weights_are_kept_and_it_stops_when_nothing_is_gained(tmp_path: Path) -> None:
    _, measured, told = fit(tmp_path / "job", epochs=60, learning_rate=0.5, patience=2)
    curve = {done: numbers["dev_loss"] for done, _, numbers in told if "dev_loss" in numbers}
    assert measured["dev_loss"] == min(curve.values())
    assert measured["best_step"] == min(curve, key=lambda step: curve[step])
    assert measured["steps"] < 240
    assert told[-1][:2] == (240, 240), "progress ends where it said it would"


def test_accumulated_batches_are_one_large_batch(tmp_path: Path) -> None:
    """Weighed by what is in them: the last batch of an epoch is smaller."""
    options = {"threads": 1, "device": "cpu", "warmup": 0.0, "max_steps": 1, "clip": 1e9, "epochs": 1}
    found = []
    for sizes in ([7], [3, 3, 1]):
        module = torch.nn.Linear(3, 1, bias=False)
        torch.nn.init.ones_(module.weight)
        data = torch.arange(21.0).reshape(7, 3)
        parts = data.split(sizes)
        course = Course(module, lambda _, p=parts: p, lambda rows, m=module: (m(rows).sum(), float(len(rows))))
        given = TrainOptions(**options, accumulate=len(sizes))
        (tmp_path / str(len(sizes))).mkdir()
        with repeatable(place_of(given), 0):
            train(course, given, place_of(given), tmp_path / str(len(sizes)), lambda *_, **__: None, 0)
        found.append(module.weight.grad.clone())
    assert torch.allclose(*found)


def test_a_loss_that_is_no_number_says_to_lower_the_learning_rate(tmp_path: Path) -> None:
    with pytest.raises(SlipwayError, match=r"not a finite number any more at step \d+ of 16\nlower learning_rate"):
        fit(tmp_path / "job", learning_rate=1e30, warmup=0.0, clip=1e30)


def test_a_full_disk_keeps_the_checkpoint_before(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        folder = disk.path / "job"
        with pytest.raises(Stopped):
            fit(folder, stop=4)
        before = (folder / checkpoint.FILE).read_bytes()
        disk.fill(leave=2000)
        with pytest.raises(SlipwayError, match=r"(?s)cannot write its checkpoint.*free some disk space"):
            fit(folder)
        assert (folder / checkpoint.FILE).read_bytes() == before
        disk.free()
        assert same(fit(folder)[0], fit(tmp_path / "whole")[0])


@pytest.mark.parametrize("writer", ["torch", "safetensors", "system"])
def test_however_a_library_says_that_the_disk_is_full(tmp_path: Path, writer: str) -> None:
    from safetensors.torch import save_file

    many = {"a": torch.zeros(100_000)}
    write = {
        "torch": lambda path: torch.save(many, path),
        "safetensors": lambda path: save_file(many, path),
        "system": lambda path: path.write_bytes(b"x" * 400_000),
    }[writer]
    with small_disk(tmp_path / "disk", 1) as disk:
        disk.fill(leave=100_000)
        with pytest.raises(SlipwayError, match=r"(?s)cannot write its checkpoint.*free some disk space"), explained():
            write(disk.path / "file")
        own = pytest.raises(MissingPrerequisite, match=r"(?s)the tuner 'own' cannot write.*free some space")
        with own, reporting("tuners", "own"):
            write(disk.path / "file")


def test_what_is_no_full_disk_stays_the_defect_that_it_is(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="defect of the plug-in"), reporting("tuners", "own"):
        raise RuntimeError("shapes differ")
    (tmp_path / "large").write_bytes(b"x" * 10)
    with pytest.raises(EngineError, match="larger than 5 bytes"), reporting("tuners", "own"):
        read(open_regular(tmp_path / "large"), 5)
    with pytest.raises(MissingPrerequisite, match="more memory than there is"), reporting("tuners", "own"):
        np.zeros(2**60, dtype=np.uint8)


def test_memory_that_is_not_there_says_what_to_lower() -> None:
    with pytest.raises(SlipwayError, match=r"(?s)more memory than there is.*batch_size"), explained():
        torch.empty(2**60, dtype=torch.uint8)
    with pytest.raises(SlipwayError, match="more memory than there is"), explained():
        raise MemoryError
    with pytest.raises(RuntimeError, match="shapes"), explained():
        torch.ones(2, 3) @ torch.ones(2, 3)


def test_what_the_machine_decides_is_said() -> None:
    found = settled(TrainOptions(device="cpu"))
    assert found["dtype"] == "float32"
    assert int(found["threads"]) >= 1
    assert settled(TrainOptions(device="cpu", threads=3, dtype="bfloat16")) == {
        "device": "cpu", "dtype": "bfloat16", "threads": 3,
    }  # fmt: skip


def test_what_a_killed_process_left_of_a_checkpoint_goes_with_the_next_one(tmp_path: Path) -> None:
    left = tmp_path / f".{checkpoint.FILE}.1-0123abcd"
    left.write_bytes(b"half")
    checkpoint.save(tmp_path, {"step": 3})
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint.FILE]
    assert checkpoint.load(tmp_path) == {"step": 3}
