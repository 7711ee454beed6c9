"""Watching a project: in the foreground until a signal comes, or beside a server until that ends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from slipway.cli import terminal
from slipway.i18n import t
from slipway.loop import background

if TYPE_CHECKING:
    from slipway.loop.watch import State, Watch


def until_stopped(watch: Watch) -> None:
    """Run now, and whenever something changes. A run in progress is stopped, and what it finished is kept."""
    stop = threading.Event()

    def ended(*_: Any) -> None:
        stop.set()

    before = {one: signal.signal(one, ended) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        watch.run(stop)
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    terminal.warn(t("stopped watching; what was finished is kept"))


@contextmanager
def beside(watch: Watch | None, seen: State | None) -> Generator[None]:
    """Watch while the body serves. A defect here ends the watch, and says so; the server goes on."""
    if watch is None:
        yield
        return

    def look(stop: threading.Event) -> None:
        try:
            watch.run(stop, seen or {})
        except Exception as error:  # noqa: BLE001  # nobody else would hear of it
            terminal.warn(t("watching ended: {kind}: {why}", kind=type(error).__name__, why=error))

    with background.beside("slipway-watch", look):
        yield
