"""What a process does in a project right now, for others to see: which step, how far it is, what was said last, losses.

`at_work` holds the project's lock and keeps files in `.slipway/running` up to date, about once a second; `seen` reads
them in any process. Whether the writer lives is the kernel's to say: it holds a lock on one of the files until it ends,
however it ends. A run needs none of this: where the files cannot be written, it goes on, and nobody sees how far it is.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
import uuid
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, NamedTuple

import msgspec

from slipway.files import UNDECODABLE, open_regular, private, read, replace_file
from slipway.loop.context import Context, Listener
from slipway.store.catalog import now

FOLDER, STATE, TOLD, ALIVE = "running", "now.json", "told.jsonl", "alive"
EVERY = 1.0  # seconds between two writes, at least
SAID, LONGEST = 40, 300  # lines that are kept, and characters of one
_MOST = 4 << 20  # bytes of a curve that are read, the last ones


class Doing(msgspec.Struct, frozen=True, kw_only=True):
    """`by`: who writes it. `step`: empty between two; `run`: the id of its Run, where it has one. `what`: what is
    counted, such as a file that is fetched. `left`: seconds from `at` on, at the pace so far. `ran`, `unchanged`: how
    many steps up to now.
    """

    by: str
    at: str
    step: str = ""
    run: str = ""
    since: str = ""
    said: tuple[str, ...] = ()
    ran: int = 0
    unchanged: int = 0
    what: str = ""
    done: int = 0
    total: int | None = None
    left: float | None = None


class Seen(NamedTuple):
    """`alive`: whether the process that wrote it is still at work; if not, `doing.step` is where it was stopped."""

    doing: Doing
    alive: bool

    @property
    def left(self) -> float | None:
        """Seconds from now on."""
        if self.doing.left is None:
            return None
        passed = datetime.now(UTC) - datetime.fromisoformat(self.doing.at)
        return max(0.0, self.doing.left - passed.total_seconds())


class Live:
    """A listener that writes down what it hears, and tells another one."""

    def __init__(self, listener: Listener, folder: Path, by: str) -> None:
        self._listener, self._folder, self._lock, self._by = listener, folder, threading.Lock(), by
        self._steps: list[Doing] = []
        self._said = deque[str](maxlen=SAID)
        self._ran = self._unchanged = 0
        self._next = self._began = 0.0
        self._first = 0
        self._counted: tuple[str, int, int | None] = "", 0, None
        self._curve: IO[bytes] | None = None
        self._curve_of = ""
        self.run = ""  # id of the Run of the step that begins next

    def say(self, text: str) -> None:
        """One line."""
        self._listener.say(text)
        with self._lock:
            self._said.append(text[:LONGEST])
            self._write()

    def step(self, name: str, state: str, seconds: float = 0.0) -> None:
        """Where a step begins or ends, it is written at once."""
        self._listener.step(name, state, seconds)
        with self._lock:
            if state == "cached":
                self._unchanged += 1
                return
            if state == "running":
                self._steps.append(Doing(by=self._by, at="", step=name, run=self.run, since=now()))
                self.run = ""
            else:
                self._steps = [one for one in self._steps if one.step != name]
                self._ran += state == "done"
            self._counted = "", 0, None
            self._flush()
            self._write(at_once=True)

    def progress(self, name: str, done: int, total: int | None) -> None:
        """Of a step, or of something within it."""
        self._listener.progress(name, done, total)
        with self._lock:
            if (name, total) != self._counted[::2] or done < self._counted[1]:
                self._began, self._first = time.monotonic(), done
            self._counted = name, done, total
            self._write()

    def told(self, line: Mapping[str, Any]) -> None:
        """What a step of training measured, as a line of its log."""
        run = self._steps[-1].run if self._steps else ""
        with self._lock, contextlib.suppress(OSError):
            if self._curve is None or self._curve_of != run:
                self._close()
                self._curve, self._curve_of = private(self._folder / TOLD), run
                self._curve.write(msgspec.json.encode({"run": run}) + b"\n")
            self._curve.write(msgspec.json.encode(line, enc_hook=str) + b"\n")
            self._write()

    def close(self) -> None:
        """What was done last stays; who did nothing leaves what was there before."""
        with self._lock:
            if self._next:
                self._write(at_once=True)
            self._close()

    def _close(self) -> None:
        if self._curve is not None:
            with contextlib.suppress(OSError):
                self._curve.close()
        self._curve = None

    def _flush(self) -> None:
        if self._curve is not None:
            with contextlib.suppress(OSError):
                self._curve.flush()

    def _write(self, *, at_once: bool = False) -> None:
        at = time.monotonic()
        if at < self._next and not at_once:
            return
        self._next = at + EVERY
        self._flush()
        what, done, total = self._counted
        left = None
        if total is not None and done > self._first:
            left = (at - self._began) / (done - self._first) * (total - done)
        step = self._steps[-1] if self._steps else Doing(by=self._by, at="")
        doing = msgspec.structs.replace(
            step, at=now(), what=what, done=done, total=total, left=left, said=tuple(self._said), ran=self._ran,
            unchanged=self._unchanged,
        )  # fmt: skip
        with contextlib.suppress(OSError):
            replace_file(self._folder / STATE, msgspec.json.encode(doing, enc_hook=str))


@contextlib.contextmanager
def at_work(context: Context) -> Generator[None]:
    """Hold the project's lock, and let others see what goes on. Raises Busy while somebody else is at work."""
    folder, by = context.store.folder / FOLDER, uuid.uuid4().hex
    with context.store.lock(), _alive(folder, by):
        listener = context.listener
        context.listener = live = Live(listener, folder, by)
        try:
            yield
        finally:
            context.listener = listener
            live.close()


@contextlib.contextmanager
def _alive(folder: Path, by: str) -> Generator[None]:
    """For as long as this holds, others see that its process lives."""
    file = -1
    try:
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, exist_ok=True)
            file = os.open(folder / ALIVE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(file, fcntl.LOCK_EX)  # who looks holds it for an instant
            os.ftruncate(file, 0)
            os.write(file, by.encode())
        yield
    finally:
        if file >= 0:
            os.close(file)


def clear(state: Path) -> None:
    """Take away what was said last. `state`: the folder `.slipway`."""
    for name in (STATE, TOLD):
        with contextlib.suppress(OSError):
            (state / FOLDER / name).unlink()


def seen(state: Path) -> Seen | None:
    """What is done now, or was done last. `state`: the folder `.slipway`. None where nothing is known."""
    by, doing = _holder(state / FOLDER / ALIVE), None
    with contextlib.suppress(OSError, *UNDECODABLE):
        doing = msgspec.json.decode(read(open_regular(state / FOLDER / STATE), _MOST), type=Doing)
    if by and (doing is None or doing.by != by):  # it has done nothing yet
        return Seen(Doing(by=by, at=now()), True)
    return Seen(doing, bool(by)) if doing is not None else None


def told(state: Path, run: str) -> Sequence[str]:
    """The lines that the training of a run told so far, or had told when it was stopped; of a long one the last."""
    try:
        with open_regular(state / FOLDER / TOLD) as file:
            head = file.readline(1000)
            if msgspec.json.decode(head) != {"run": run}:
                return ()
            start = max(len(head), os.fstat(file.fileno()).st_size - _MOST)
            file.seek(start)
            lines = file.read(_MOST).decode("utf-8", "replace").split("\n")
    except (OSError, *UNDECODABLE):
        return ()
    return lines[1 if start > len(head) else 0 : -1]  # what comes after the last line's end is not whole


def _holder(path: Path) -> str:
    """Who holds the lock on a file, in their own words; empty when nobody does."""
    try:
        with open_regular(path) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read(100).decode("ascii", "replace") or "?"
    except OSError:
        pass
    return ""
