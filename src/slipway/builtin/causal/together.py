"""Several processes that train one model, started by torchrun: `python -m torch.distributed.run -m ...worker FOLDER`.

Each holds the whole model and computes its share of every batch; gradients are added up (data parallelism). The cores
are shared out, too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from slipway.builtin.training.failures import explained
from slipway.builtin.training.loop import Progress
from slipway.errors import SlipwayError
from slipway.i18n import t

TRAINED, MEASURED, FAILED = "trained.pt", "measured.json", "failed.json"


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
    return SlipwayError(
        t("the processes that train ended with status {code}", code=code),
        t("{path} holds what they said; run the same command again to go on", path=folder / "torchrun.log"),
    )
