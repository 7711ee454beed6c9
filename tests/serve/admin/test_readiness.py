"""/readyz knows of the models' child processes: it is asked by who decides where users are sent."""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from pathlib import Path

from processes import stop
from served import make_context, promote, release, serving
from slipway.core.candidate import ModelPin
from slipway.runtime.session import Session
from slipway.store.store import Store


def test_a_child_that_hangs_dies_or_gave_up_makes_the_server_unready(tmp_path: Path, smollm2_gguf: Path) -> None:
    store = Store(tmp_path)
    options = {"context": 512, "threads": 1, "spin": 1000, "max_crashes": 1}
    model = ModelPin(name="writer", engine="llama", source="", options=options)
    promote(store, release(store, model))
    session = Session(store, lambda pin: {"model.gguf": smollm2_gguf})
    context = dataclasses.replace(make_context(store, [model]), session=session)
    with serving(context) as server:
        server.until("/readyz", 200, 120)
        engine = next(iter(session._engines.values()))

        stop(engine.pid)
        began = time.monotonic()
        reply = server.get("/readyz")
        assert (reply.status, reply.json["status"]) == (503, "not ready")
        assert "does not answer for 'writer'" in reply.json["why"]
        assert time.monotonic() - began < 3
        os.kill(engine.pid, signal.SIGCONT)
        assert server.until("/readyz", 200).json["status"] == "ready"

        os.kill(engine.pid, signal.SIGKILL)
        assert "writer" in server.until("/readyz", 503).json["why"]
        server.until("/readyz", 200, 60)
        assert server.chat().status == 200

        os.kill(engine.pid, signal.SIGKILL)
        time.sleep(0.5)
        assert "died 2 times" in server.until("/readyz", 503).json["why"]
        assert server.get("/healthz").status == 200
