"""`slipway monitor`, and the monitor beside a server: a process of its own, with less right to the processor."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from slipway.cli import terminal
from slipway.cli.options import HERE, NONE, Project, Set, open_project
from slipway.cli.picture import Picture, check_picture, with_picture
from slipway.cli.report import command
from slipway.i18n import language, t
from slipway.loop.background import beside
from slipway.render.document import Document

if TYPE_CHECKING:
    from slipway.loop.context import Context
    from slipway.loop.monitor.work import Monitor

_FIRST = 10.0  # seconds after the start, when engines have loaded
_AGAIN = 30.0  # seconds before a monitor that ended is started again


def add(app: typer.Typer) -> None:
    """Make it a command of `app`."""
    told = t("Watch what is served: is it worse than what was released, does it change, do the questions.")
    command(app, "monitor", help=told)(monitor)


def monitor(
    once: Annotated[bool, typer.Option("--once", help=t("Read what is new, send alerts, show what is known."))] = False,
    show: Annotated[bool, typer.Option("--show", help=t("Only show what is known."))] = False,
    relearn: Annotated[
        bool, typer.Option("--relearn", help=t("Accept what changed: compare with what is served from now on."))
    ] = False,
    test: Annotated[bool, typer.Option("--test", help=t("Send an alert that nothing happened to every sink."))] = False,
    picture: Picture = None,
    project: Project = HERE,
    set_: Set = NONE,
    parent: Annotated[int, typer.Option(hidden=True)] = 0,
) -> tuple[Document, int] | None:
    """Without an option until it is stopped. Exit code 1 when something fires, or a test did not arrive."""
    from slipway import api
    from slipway.cli.progress import Plain
    from slipway.loop.monitor.status import asked, status
    from slipway.machine import die_with, give_way
    from slipway.render.pages import monitor as pages

    check_picture(picture)
    if not (once or show or relearn or test):
        give_way()
    if parent:
        die_with(parent)
    with open_project(project, set_, Plain()) as opened:
        found = api.monitor(opened)
        if relearn:
            found.relearn()
            terminal.warn(t("what is served from now on is what later traffic is compared with"))
        elif test:
            return _test(found)
        elif not (once or show):
            _until_stopped(opened, found)
            return None
        if once:
            while found.look()[0]:
                pass
            found.deliver()
        known = status(found)
        shown = with_picture(pages.monitor(known, asked(found, known)), picture, lambda: pages.picture(known))
        return shown, int(any(line.firing for line in known.lines))


def _test(found: Monitor) -> tuple[Document, int]:
    from slipway.render.pages import monitor as pages

    alert = found.test()
    found.deliver()
    tried = [one for one in found.watching.deliveries() if one.alert == alert.id]
    return pages.deliveries(tried), int(any(not one.done for one in tried))


def _until_stopped(opened: Context, found: Monitor) -> None:
    from slipway.privacy.secrets import Own, of_environment
    from slipway.serve.logs import log_as_json

    own = Own(of_environment())
    own.learn(opened.secrets)
    log_as_json(own)
    stop = threading.Event()
    before = {one: signal.signal(one, lambda *_: stop.set()) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        found.run(stop)
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


@contextlib.contextmanager
def monitored(opened: Context, overrides: Sequence[str] = ()) -> Generator[None]:
    """A monitor in a child process while the body serves; started again when it ends by itself."""
    if not opened.project.monitor.serve:
        yield
        return
    with beside("slipway-monitor", partial(_beside, opened.root, overrides)):
        yield


def _beside(root: Path, overrides: Sequence[str], stop: threading.Event) -> None:
    command = [sys.executable, "-m", "slipway", "--lang", language(), "monitor", "-C", str(root)]
    command += [f"--set={one}" for one in overrides] + ["--parent", str(os.getpid())]
    stop.wait(_FIRST)
    while not stop.is_set():
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True) as child:
            while child.poll() is None and not stop.wait(0.2):
                pass
            if child.poll() is None:
                child.terminate()
                try:
                    child.wait(10.0)
                except subprocess.TimeoutExpired:
                    child.kill()
        if not stop.is_set():
            terminal.warn(t("the monitor ended with code {code}; it is started again", code=child.returncode))
        stop.wait(_AGAIN)
