"""One of the processes that `together` starts: `python -m slipway.builtin.causal.worker FOLDER` under torchrun."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from slipway.builtin.causal.together import FAILED, MEASURED, TRAINED
from slipway.errors import SlipwayError
from slipway.machine import die_with


def main(folder: Path) -> int:
    """Train; the first process writes what became of it."""
    die_with(os.getppid())
    import msgspec
    import torch
    import torch.distributed as dist

    from slipway.builtin.causal.fitting import RUN, Run, fit, trained_parts
    from slipway.builtin.training.peers import Group, Sharded
    from slipway.builtin.training.placing import place_of

    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    run = msgspec.json.decode((folder / RUN).read_bytes(), type=Run)
    peers = Sharded(place_of(run.typed).device) if run.typed.parallel == "fsdp" else Group()

    def told(done: int, total: int | None, /, **numbers: float) -> None:
        if peers.rank == 0:
            print(json.dumps({"done": done, "total": total, **numbers}), flush=True)  # noqa: T201  # read by `together`

    try:
        fitted = fit(run, folder, told, peers)
        parts = trained_parts(fitted.model, peers)
        if peers.rank == 0:
            torch.save(parts, folder / TRAINED)
            (folder / MEASURED).write_text(json.dumps(fitted.measured), "utf-8")
        dist.barrier()
        return 0
    except SlipwayError as error:
        (folder / FAILED).write_text(json.dumps({"message": error.message, "hint": error.hint}), "utf-8")
        return 4
    finally:
        dist.destroy_process_group()


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
