"""Several processes that train one model, started by torchrun: `python -m torch.distributed.run -m ...worker FOLDER`.

Each computes its share of every batch, and gradients are added up (data parallelism); with `parallel: fsdp` each holds
only its part of the model. The cores are shared out, too.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from slipway.builtin.training.failures import explained
from slipway.builtin.training.loop import Progress
from slipway.errors import SlipwayError
from slipway.i18n import t

TRAINED, MEASURED, FAILED = "trained.pt", "measured.json", "failed.json"
_KILLED = re.compile(r"rank\s*: (\d+) .*\n\s*exitcode\s*: -(\d+) ")  # in what torchrun says at its end


def run(folder: Path, processes: int, progress: Progress) -> dict[str, float]:
    """What was measured; the weights lie in TRAINED. Raises SlipwayError with what the first failing process said."""
    for name in (TRAINED, MEASURED, FAILED):
        (folder / name).unlink(missing_ok=True)
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes),
        "-m", "slipway.builtin.causal.worker", str(folder),
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with explained(), (folder / "torchrun.log").open("wb") as log:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment)
        try:
            for line in child.stdout or ():
                if line.startswith(b"{"):
                    told = json.loads(line)
                    progress(told.pop("done"), told.pop("total"), **told)
            code = child.wait()
        except BaseException:
            child.terminate()
            child.wait()
            raise
    if code:
        raise _failure(folder, code)
    return json.loads((folder / MEASURED).read_text("utf-8"))


def _failure(folder: Path, code: int) -> SlipwayError:
    if (folder / FAILED).exists():
        said = json.loads((folder / FAILED).read_text("utf-8"))
        return SlipwayError(said["message"], said["hint"])
    told = (folder / "torchrun.log").read_text("utf-8", "replace")
    for rank, number in _KILLED.findall(told):
        if int(number) != signal.SIGTERM:  # which torchrun sends to the others
            return SlipwayError(
                t("process {rank} of those that train was killed (signal {number})", rank=rank, number=number),
                t("the system kills what takes too much memory: lower batch_size or max_tokens; run the same command "
                  "again to go on from the last checkpoint"),
            )  # fmt: skip
    return SlipwayError(
        t("the processes that train ended with status {code}", code=code),
        t("{path} holds what they said; run the same command again to go on", path=folder / "torchrun.log"),
    )
