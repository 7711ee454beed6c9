"""The process that llama.cpp lives in: `python -m slipway.builtin.engines.llama.child`. Knows nothing of Slipway.

It serves llama.cpp's HTTP API on a unix socket. GOMP_SPINCOUNT must be in the environment before the start: the
OpenMP runtime reads it when it is loaded.
"""

from __future__ import annotations

import importlib
import signal
from collections.abc import Callable
from typing import Any

from slipway.builtin.engines.process.child import live


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


def load(settings: dict[str, Any]) -> Callable[[], None]:
    """Start llama.cpp's server, which has threads of its own."""
    server = importlib.import_module("xllamacpp").Server(parameters(settings))

    def serve() -> None:
        while server is not None:
            signal.pause()

    return serve


if __name__ == "__main__":
    live(load)
