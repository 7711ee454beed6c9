"""The process that parses: `python -m slipway.data.parsing.worker PARENT_PID`, started by `pool`, never by hand.

It takes one task at a time from stdin and answers on stdout, each a length (4 bytes, big-endian) and MessagePack.
Memory and processor time are limited by the kernel. It ends when stdin ends, and the kernel ends it when its parent
dies: no orphan stays. A parser that writes to stdout does no harm: descriptor 1 is not what the answers go through.
"""

from __future__ import annotations

import os
import resource
import signal
import struct
import sys
from collections.abc import Sequence
from typing import Any, BinaryIO, cast

import msgspec

from slipway.data.parsing.blocks import Note, Outcome
from slipway.data.parsing.parse import Settings, parse_bytes
from slipway.data.reasons import Refused
from slipway.files import open_real
from slipway.machine import die_with

_SPARE = 5.0  # seconds of processor time beyond the parent's own limit, which is by the clock


class Task(msgspec.Struct, frozen=True):
    """One file to parse. `limits`: (bytes of address space, seconds)."""

    path: bytes  # without links; a name need not be UTF-8
    media_type: str
    settings: Settings
    limits: tuple[int, float]


def read_frame(stream: BinaryIO) -> bytes | None:
    """One message, or None at the end of the stream."""
    head = stream.read(4)
    if len(head) < 4:
        return None
    length = struct.unpack(">I", head)[0]
    body = stream.read(length)
    return body if len(body) == length else None


def frame(body: bytes) -> bytes:
    """A message as it is sent."""
    return struct.pack(">I", len(body)) + body


def parse_file(task: Task) -> Outcome:
    """The outcome of one task; lack of memory or recursion is a refusal."""
    try:
        with open_real(os.fsdecode(task.path)) as file:
            data = file.read(task.settings.max_file + 1)
        if len(data) > task.settings.max_file:
            raise Refused("too-large", f"more than {task.settings.max_file:,} bytes")
        return parse_bytes(data, task.media_type, task.settings)
    except Refused as refusal:
        refused = Note("parse", "dropped", refusal.reason, refusal.detail)
    except MemoryError:
        refused = Note("parse", "dropped", "too-much-memory", f"more than {task.limits[0]:,} bytes")
    except OSError as error:
        refused = Note("parse", "dropped", "unreadable", error.strerror or str(error))
    except RecursionError:
        refused = Note("parse", "dropped", "too-deep")
    except Exception as error:  # noqa: BLE001  (parsers of hostile files raise anything; the rest must go on)
        refused = Note("parse", "dropped", "parser-crashed", f"{type(error).__name__}: {str(error)[:200]}")
    return Outcome(sha256="", refused=refused)


def _limit(task: Task) -> None:
    memory, seconds = task.limits
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    spent = usage.ru_utime + usage.ru_stime
    resource.setrlimit(resource.RLIMIT_CPU, (int(spent + seconds + _SPARE), resource.RLIM_INFINITY))


def _encoded(outcome: Outcome) -> bytes:
    """The answer as MessagePack, whose whole numbers have 64 bits: longer ones, as of accounts, are texts."""
    try:
        return msgspec.msgpack.encode(outcome)
    except OverflowError:
        return msgspec.msgpack.encode(msgspec.convert(_carried(msgspec.to_builtins(outcome)), type=Outcome))


def _carried(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _carried(one) for name, one in cast("dict[str, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_carried(one) for one in cast("Sequence[Any]", value)]
    long = isinstance(value, int) and not -(2**63) <= value < 2**64
    return str(value) if long else value


def main() -> None:
    """Answer tasks until stdin ends."""
    die_with(int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends us
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while (body := read_frame(sys.stdin.buffer)) is not None:
        task = msgspec.msgpack.decode(body, type=Task)
        _limit(task)
        outcome = parse_file(task)
        try:
            answer = _encoded(outcome)
        except MemoryError:
            answer = msgspec.msgpack.encode(Outcome(sha256="", refused=Note("parse", "dropped", "too-much-memory")))
        answers.write(frame(answer))
        answers.flush()


if __name__ == "__main__":
    main()
