"""Parses many files in a few limited child processes. Knows when a child died or hangs; knows nothing of formats.

One thread, no fork: children are spawned, each has one task at a time, and the answers are waited for together. A
child that dies, hangs or grows costs its one document and is replaced.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Generator, Iterable, Iterator

import msgspec

from slipway.data.parsing.blocks import Note, Outcome
from slipway.data.parsing.worker import Task, frame
from slipway.machine import usable_cores

_ENVIRONMENT = {  # small and quiet: one thread, and no allocator that reserves address space it does not use
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
    "PYTHONSAFEPATH": "1",
}
_START_SECONDS = 60.0  # added to the first answer of a child: a busy machine imports slowly
_FILES_PER_CHILD = 12  # another child is started only for so many more files


def parse_many(tasks: Iterable[Task], count: int, workers: int | None = None) -> Generator[tuple[int, Outcome]]:
    """(number of the task, its outcome) as they are done, in any order. `count`: how many tasks there are.

    Closing the generator ends the children. The thread that starts it must live until it is closed: the kernel ends
    children with the thread that made them.
    """
    size = min(workers or usable_cores(), max(1, -(-count // _FILES_PER_CHILD)))
    pending = iter(enumerate(tasks))
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as stack:
        children = [_Child(selector) for _ in range(size)]
        for child in children:
            stack.callback(child.stop)
        yield from _work(selector, children, pending)


def _work(
    selector: selectors.DefaultSelector, children: list[_Child], pending: Iterator[tuple[int, Task]]
) -> Generator[tuple[int, Outcome]]:
    busy: set[_Child] = set()
    for child in children:
        if (task := next(pending, None)) is not None:
            child.give(*task)
            busy.add(child)
    while busy:
        wait = min(child.deadline for child in busy) - time.monotonic()
        for key, _ in selector.select(max(0.0, min(wait, 1.0))):
            key.data.receive()
        for child in list(busy):
            if (outcome := child.outcome()) is None:
                continue
            yield child.number, outcome
            busy.remove(child)
            if (task := next(pending, None)) is not None:
                child.give(*task)
                busy.add(child)


class _Child:
    """One child process and the task it has."""

    def __init__(self, selector: selectors.DefaultSelector) -> None:
        self.number = -1
        self.deadline = 0.0
        self._selector = selector
        self._process: subprocess.Popen[bytes] | None = None
        self._task: Task | None = None
        self._received = bytearray()
        self._closed = False

    def give(self, number: int, task: Task) -> None:
        """Hand over a task; starts the process when there is none."""
        seconds = task.limits[1]
        for _ in range(2):  # it may have died of something after its last answer: once more, with a fresh one
            if self._process is None:
                self._start()
                seconds += _START_SECONDS
            if self._send(msgspec.msgpack.encode(task)):
                break
            self.stop()
        self.number, self._task = number, task
        self.deadline = time.monotonic() + seconds

    def receive(self) -> None:
        """Take what has arrived."""
        assert self._process is not None
        assert self._process.stdout is not None
        piece = os.read(self._process.stdout.fileno(), 1 << 20)
        self._received += piece
        if not piece:
            self._closed = True
            self._selector.unregister(self._process.stdout)

    def outcome(self) -> Outcome | None:
        """What came of the task, or None when it is still at work. Ends a child that is overdue or dead."""
        assert self._task is not None
        if len(self._received) >= 4:
            length = struct.unpack(">I", self._received[:4])[0]
            if len(self._received) >= 4 + length:
                outcome = msgspec.msgpack.decode(self._received[4 : 4 + length], type=Outcome)
                self._received.clear()
                return outcome
        if self._closed:
            return self._died()
        if time.monotonic() > self.deadline and not self._received:  # an answer on its way is waited for
            self.stop()
            return _refused("timeout", f"more than {self._task.limits[1]:g} seconds")
        return None

    def stop(self) -> None:
        """End the process at once and wait for it."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        process.kill()
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(process.stdout)
        with contextlib.suppress(OSError):
            process.stdin.close()
        process.stdout.close()
        process.wait()

    def _start(self) -> None:
        self._received.clear()
        self._closed = False
        self._process = subprocess.Popen(
            [sys.executable, "-m", "slipway.data.parsing.worker", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **_ENVIRONMENT},
        )
        assert self._process.stdout is not None
        self._selector.register(self._process.stdout, selectors.EVENT_READ, self)

    def _send(self, body: bytes) -> bool:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(frame(body))
            self._process.stdin.flush()
        except BrokenPipeError:
            return False
        return True

    def _died(self) -> Outcome:
        assert self._process is not None
        assert self._task is not None
        code = self._process.wait()
        self._process.stdin.close() if self._process.stdin else None
        self._process.stdout.close() if self._process.stdout else None
        self._process = None
        if code == -signal.SIGXCPU:
            return _refused("timeout", f"more than {self._task.limits[1]:g} seconds of processor time")
        name = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        return _refused("parser-crashed", name)


def _refused(reason: str, detail: str) -> Outcome:
    return Outcome(sha256="", refused=Note("parse", "dropped", reason, detail))
