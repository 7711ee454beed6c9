"""Run again when documents or examples change, after a quiet time. By polling, which works on network shares too.

Each run is a child process, `slipway run`: what it does, or how it ends, does not touch who watches, or serves. Reads
names, sizes and times of files, never their contents.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from slipway.data.collect import matching
from slipway.data.collect.snapshot import FOLDER
from slipway.errors import SlipwayError
from slipway.i18n import language, t
from slipway.project.data import DataConfig, DocumentSource
from slipway.project.load import load

_SHARE = 0.02  # of one core that looking may take
_LOUD = 10  # quiet times after which a folder that is never quiet is taken as it is
_LEAST_PAUSE, _MOST_PAUSE = 1.0, 600.0  # seconds between two tries of a run that failed
_STOPPING = 60.0  # seconds in which a run that is stopped must have ended

State = Mapping[Path, tuple[int, int, int]]
"""File -> size, and when its content and what is known of it last changed, in nanoseconds."""


class Options(msgspec.Struct, frozen=True):
    """Seconds between two looks, seconds without a change before a run, and what is run."""

    every: float = 5.0
    quiet: float = 15.0
    stages: Sequence[str] = ()
    overrides: Sequence[str] = ()


class Watch:
    """One project's documents and examples. `say` is told what happens, one line each."""

    def __init__(self, file: Path, options: Options, say: Callable[[str], None]) -> None:
        self._file, self._options, self._say = file, options, say
        self._told: dict[str, str] = {}
        self._pause = options.every
        self._project: tuple[int, DataConfig] | None = None

    def run(self, stop: threading.Event, done: State | None = None) -> None:
        """Until `stop` is set. `done`: what the last run saw, or was about to see; None and it runs at once."""
        if done is None:
            done, failed = self._bring(self.look() or {}, None, stop)
        else:
            failed = 0
        last, changed, began = done, 0.0, 0.0
        again = self._again(failed)
        while not stop.wait(self._pause):
            now = self.look()
            if now is None:
                continue
            at = time.monotonic()
            if now != last:
                last, changed, began = now, at, began or at
            if now == done:
                began = 0.0
                if at < again:
                    continue
            elif self._is_loud(at - changed, at - began) or self._too_much_gone(done, now):
                continue
            before, began = done, 0.0
            done, failed = self._bring(now, before, stop, failed)
            again = self._again(failed)

    def look(self) -> State | None:
        """The files as they are now; None, which is told once, when they cannot be seen."""
        began = time.process_time()
        try:
            found = self._look()
        except (SlipwayError, OSError) as error:
            self._tell("unseen", str(error).partition("\n")[0])
            return None
        finally:
            self._pause = max(self._options.every, (time.process_time() - began) / _SHARE)
        self._told.pop("unseen", None)
        return found

    def _is_loud(self, changed: float, began: float) -> bool:
        """Whether to wait: seconds since the last change, and since the first one."""
        return changed < self._options.quiet and began < _LOUD * self._options.quiet

    def _look(self) -> State:
        config = self._config()
        examples = [DocumentSource(path=source.path) for source in config.examples]
        found: dict[Path, tuple[int, int, int]] = {}
        for key, sources in (("data.documents", config.documents), ("data.examples", examples)):
            for source in sources:
                files = matching(source, self._file.parent, config.roots, key).files
                found.update((place, state) for place in files.values() if (state := _state(place)))
        for name in config.fetched:
            place = self._file.parent / FOLDER / name / "pages.jsonl"
            found.update({place: state} if (state := _state(place)) else {})
        return found

    def _config(self) -> DataConfig:
        """The section `data` as the file has it now; as it had it, while it cannot be read."""
        changed = self._file.stat().st_mtime_ns
        if self._project is None or self._project[0] != changed:
            try:
                self._project = changed, load(self._file, self._options.overrides).data
            except SlipwayError:
                if self._project is None:
                    raise
                self._project = changed, self._project[1]  # the next run says what is wrong
        return self._project[1]

    def _too_much_gone(self, done: State, now: State) -> bool:
        """Half of what there was is gone: more likely a share that is not mounted than a person's wish."""
        gone = len(done.keys() - now.keys())
        if gone <= len(done) / 2 or gone < 2:
            self._told.pop("gone", None)
            return False
        self._tell(
            "gone",
            t(
                "{n} of {all} files are gone: nothing is run until they are back; is a share not mounted? If it is "
                "meant, run `slipway run`, then watch again",
                n=gone, all=len(done),
            ),
        )  # fmt: skip
        return True

    def _tell(self, kind: str, text: str) -> None:
        if text != self._told.get(kind):
            self._told[kind] = text
            self._say(text)

    def _bring(self, now: State, before: State | None, stop: threading.Event, failed: int = 0) -> tuple[State, int]:
        """Run once; (what it saw, how often in a row it failed)."""
        if before is not None and before != now:
            new, gone = len(now.keys() - before.keys()), len(before.keys() - now.keys())
            other = sum(1 for path in now.keys() & before.keys() if now[path] != before[path])
            self._say(t("{new} new, {changed} changed, {gone} gone: running", new=new, changed=other, gone=gone))
        code = self._child(stop)
        if stop.is_set():
            return now, 0
        if code == 4 or code < 0:
            wait = self._again(failed + 1) - time.monotonic()
            self._say(t("the run failed (code {code}); it is tried again in {s:.0f} s", code=code, s=wait))
            return now, failed + 1
        told = {
            0: t("up to date; watching for changes"),
            1: t("the gate said no, so what serves stays; watching for changes"),
        }
        self._say(told.get(code) or t("the run ended with code {code}; watching for changes", code=code))
        return now, 0

    def _again(self, failed: int) -> float:
        """When a run that failed so often is tried again."""
        if not failed:
            return float("inf")
        return time.monotonic() + min(_MOST_PAUSE, max(_LEAST_PAUSE, self._options.quiet) * 2.0**failed)

    def _child(self, stop: threading.Event) -> int:
        """`slipway run` in a session of its own, so that only we stop it: once, as Ctrl-C does, which loses nothing."""
        command = [sys.executable, "-m", "slipway", "--lang", language(), "run", *self._options.stages]
        command += ["-C", str(self._file.parent), *(f"--set={one}" for one in self._options.overrides)]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True) as child:
            while child.poll() is None and not stop.wait(0.1):
                pass
            if child.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    child.send_signal(signal.SIGINT)
                try:
                    child.wait(_STOPPING)
                except subprocess.TimeoutExpired:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(child.pid, signal.SIGKILL)
            return child.wait()


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_size, state.st_mtime_ns, state.st_ctime_ns
