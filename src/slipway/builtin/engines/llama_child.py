"""The process that llama.cpp lives in: `python -m slipway.builtin.engines.llama_child`. Knows nothing of Slipway.

It reads one line of JSON (the settings) from standard input, loads the model, serves llama.cpp's HTTP API on a unix
socket, and says `{"event": "ready"}` or `{"event": "failed", ...}` on standard output. It ends when standard input
ends or when its parent does, however that came about. Native code that crashes or hangs at exit takes only this
process with it; the exit is `os._exit`, so that no native destructor runs.

GOMP_SPINCOUNT must be in the environment before the start: the OpenMP runtime reads it when it is loaded.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import sys
import threading
from typing import Any

PR_SET_PDEATHSIG = 1  # prctl(2)


def die_with(parent: int) -> None:
    """Have the kernel kill this process when the parent dies; end now when it is dead already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def end_with_input(path: str) -> None:
    """Wait for the end of standard input, then take the socket away and end at once."""
    while os.read(0, 65536):
        pass
    try:
        os.unlink(path)
        os.rmdir(os.path.dirname(path))
    except OSError:
        pass  # the parent was first
    os._exit(0)


def parameters(settings: dict[str, Any]) -> Any:
    """Xllamacpp's CommonParams for our settings; `context` is per slot, in tokens."""
    xllamacpp: Any = importlib.import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = settings["model"]
    params.n_ctx = settings["context"] * settings["parallel"]
    params.n_parallel = settings["parallel"]
    params.n_batch = params.n_ubatch = settings["batch"]
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = settings["threads"]
    params.cache_ram_mib = settings["cache_mb"]
    params.n_threads_http = settings["parallel"] + 6
    params.hostnames = [settings["socket"]]
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(path, 0.0) for path in settings["adapters"]]
    params.lora_init_without_apply = True
    params.fit_params = False  # our settings are what was asked for; the parent has checked that they fit
    params.ctx_shift = False  # never drop the beginning of a prompt in silence
    params.ui = False
    params.offline = True
    params.verbosity = 1
    params.sse_ping_interval = 0  # silence is how the parent notices a hang
    return params


def main() -> None:
    """Serve until told to stop; the exit status is 0 whenever the end was wanted."""
    report = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what native code prints must not look like a report
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is the parent's to handle
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            os._exit(0)
        line += byte
    settings = json.loads(line)
    die_with(settings["parent"])
    threading.Thread(target=end_with_input, args=(settings["socket"],), daemon=True).start()
    try:
        server = importlib.import_module("xllamacpp").Server(parameters(settings))
    except Exception as error:  # noqa: BLE001 -- whatever it was, the parent must hear of it
        report.write(json.dumps({"event": "failed", "error": f"{type(error).__name__}: {error}"}) + "\n")
        os._exit(1)
    report.write(json.dumps({"event": "ready"}) + "\n")
    while server is not None:
        signal.pause()


if __name__ == "__main__":
    main()
