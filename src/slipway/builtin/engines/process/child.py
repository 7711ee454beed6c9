"""The child's side of an engine that lives in a process of its own. Knows nothing of what the engine does.

A child reads one line of JSON (its settings) from standard input, loads its model, serves a unix socket, and says
`{"event": "ready"}` or `{"event": "failed", ...}` on standard output. It ends when standard input ends or when its
parent does, however that came about. Native code that crashes or hangs at exit takes only this process with it; the
exit is `os._exit`, so that no native destructor runs. The parent's side is `supervisor`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from slipway.machine import die_with, give_way


def live(load: Callable[[dict[str, Any]], Callable[[], None]]) -> None:
    """Load, report, and serve until told to stop; never returns. The exit status is 0 whenever the end was wanted.

    `load` takes the settings (`socket`: where to listen) and gives the function that serves; once it returns, every
    connection must be accepted in the end.
    """
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
    threading.Thread(target=_end_with_input, args=(settings["socket"],), daemon=True).start()
    try:
        serve = load(settings)
    except Exception as error:  # noqa: BLE001 -- whatever it was, the parent must hear of it
        report.write(json.dumps({"event": "failed", "error": f"{type(error).__name__}: {error}"}) + "\n")
        os._exit(1)
    if settings.get("spare"):  # not before: on a busy machine it would load for minutes
        _take_spare_time()
    report.write(json.dumps({"event": "ready"}) + "\n")
    serve()
    os._exit(1)


def _take_spare_time() -> None:
    """Run when a processor has nothing else to do (SCHED_IDLE). Being nice is not enough: threads that compute together
    wait for the slowest, so each turn of ours would hold up all of another child's. Where the kernel shares time by
    session first, the session must be nice, too.
    """
    done = set[str]()
    while sys.platform == "linux" and (new := set(os.listdir("/proc/self/task")) - done):  # some begin meanwhile
        for thread in new:
            with contextlib.suppress(OSError):
                os.sched_setscheduler(int(thread), os.SCHED_IDLE, os.sched_param(0))
                os.setpriority(os.PRIO_PROCESS, int(thread), 19)
        done |= new
    give_way()


def _end_with_input(path: str) -> None:
    """Wait for the end of standard input, then take the socket away and end at once."""
    while os.read(0, 65536):
        pass
    try:
        os.unlink(path)
        os.rmdir(os.path.dirname(path))
    except OSError:
        pass  # the parent was first
    os._exit(0)
