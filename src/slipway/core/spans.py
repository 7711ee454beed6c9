"""What is timed within one request, for whoever follows it: names, times, attributes. Stores and sends nothing.

`following` begins it for the task at hand; `span` then adds a part. Where nobody follows, `span` costs one look-up.
Ids and the header `traceparent` are those of W3C Trace Context (2021).
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from time import perf_counter_ns, time_ns
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")
Value = str | bool | int | float | tuple[str, ...]

MOST = 256  # spans of one request; what an agent does beyond it is counted only
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_NONE = "0" * 32
_ids = random.Random()  # of its own, since others may seed the shared one; a quarter of what asking the system costs


class Parent:
    """Who asked, as a `traceparent` header says it. `sampled`: whether it is recorded there."""

    __slots__ = ("sampled", "span", "trace")

    def __init__(self, trace: str, span: str, *, sampled: bool) -> None:
        self.trace = trace
        self.span = span
        self.sampled = sampled


def parent_of(traceparent: str) -> Parent | None:
    """What a `traceparent` header says; None when it is malformed, as the standard wants it treated."""
    found = _TRACEPARENT.fullmatch(traceparent)
    if not found or found[1] == "ff" or (found[1] == "00" and found[5]):
        return None
    if found[2] == _NONE or found[3] == _NONE[:16]:
        return None
    return Parent(found[2], found[3], sampled=bool(int(found[4], 16) & 1))


class Shared:
    """Attributes that many spans have alike, such as those of one model asked in one way. Told apart by identity, so
    that whoever encodes them need do it once.
    """

    __slots__ = ("of",)

    def __init__(self, of: Mapping[str, Value]) -> None:
        self.of = of


class Followed:
    """One request that is followed: its trace id, the id of its own span and of who asked (empty where nobody said),
    and the parts that have ended so far. `started`, and the times of parts, are nanoseconds of `perf_counter_ns`, a
    clock that nobody sets meanwhile; `epoch` is what makes of them nanoseconds of Unix time.
    """

    __slots__ = ("epoch", "id", "left_out", "parent", "sampled", "spans", "started", "trace")

    def __init__(self, trace: str, parent: str = "", *, sampled: bool = True, ago: float = 0.0) -> None:
        """`ago`: seconds since it really began."""
        now = perf_counter_ns()
        self.epoch = time_ns() - now
        self.started = now - int(ago * 1e9)
        self.trace = trace
        self.parent = parent
        self.sampled = sampled
        self.id = _new_id()
        self.spans: list[span] = []
        self.left_out = 0

    def add(self, part: span) -> None:
        """A part that has ended."""
        if len(self.spans) < MOST:
            self.spans.append(part)
        else:
            self.left_out += 1


def _new_id() -> str:
    return f"{_ids.getrandbits(64):016x}"


_followed: ContextVar[Followed | None] = ContextVar("followed", default=None)
_trace: ContextVar[str] = ContextVar("trace", default="")  # also where nobody follows
_within: ContextVar[str] = ContextVar("within", default="")  # id of the part that is at work in this task


def answering(trace: str) -> None:
    """Say for the rest of this task, and those that it starts, which trace what is logged belongs to."""
    _trace.set(trace)


def at_work() -> tuple[str, str]:
    """Ids of the trace and of the span at work, for a line of the log; empty where there is none."""
    followed = _followed.get()
    span = (_within.get() or followed.id) if followed is not None else ""
    return _trace.get() or (followed.trace if followed is not None else ""), span


class _While(Generic[T]):
    """A context variable has this value in a block."""

    __slots__ = ("_before", "_value", "_variable")

    def __init__(self, variable: ContextVar[T], value: T) -> None:
        self._variable, self._value = variable, value

    def __enter__(self) -> None:
        self._before = self._variable.set(self._value)

    def __exit__(self, *_: object) -> None:
        self._variable.reset(self._before)


def following(followed: Followed) -> AbstractContextManager[None]:
    """Let what is done inside, by this task and those that it starts, be parts of a request."""
    return _While(_followed, followed)


class span:  # noqa: N801  # read as a verb: `with span("retrieval") as part: ...`
    """Time a part. `part.note(...)` adds attributes; nothing is kept where nobody follows.

    Where somebody does: `started` and `ended` as `Followed` has them, `parent` the id of the span that it is part of,
    `error` the class of what ended it early, such as `TimeoutError`. `calls`: it waits for something outside this
    process. Attributes are its own, and those that it `shares` with others.
    """

    __slots__ = (
        "_followed", "attributes", "calls", "ended", "error", "id", "name", "parent", "shares", "started",
    )  # fmt: skip

    def __init__(self, name: str, *, calls: bool = False) -> None:
        self.name = name
        self.calls = calls
        self._followed = _followed.get()

    def __enter__(self) -> Self:
        followed = self._followed
        if followed is not None:
            self.id = _new_id()
            self.parent = _within.get() or followed.id
            self.error = ""
            self.shares: Shared | None = None
            self.attributes: dict[str, Value] = {}
            self.started = perf_counter_ns()
        return self

    @property
    def on(self) -> bool:
        """Whether anybody follows: what is dear to find out need not be found out otherwise."""
        return self._followed is not None

    @property
    def seconds(self) -> float:
        """How long it took, or has taken so far; where somebody follows."""
        return ((self.ended if self._followed is None else perf_counter_ns()) - self.started) / 1e9

    def inside(self) -> AbstractContextManager[None]:
        """What begins in this block is part of this part. It must not stand around the `yield` of a generator."""
        return _NOWHERE if self._followed is None else _While(_within, self.id)

    def note(self, attributes: Mapping[str, Value]) -> None:
        """Add attributes."""
        if self._followed is not None:
            self.attributes.update(attributes)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        followed, self._followed = self._followed, None  # it refers to this part: a cycle would wait for the collector
        if followed is not None:
            self.ended = perf_counter_ns()
            if kind is not None and kind is not GeneratorExit:
                self.error = kind.__name__
            followed.add(self)


_NOWHERE = nullcontext()


def traceparent() -> str:
    """The header for a request that is part of this one; empty where nobody follows.

    The span named is the part at work, or the request itself.
    """
    followed = _followed.get()
    if followed is None:
        return ""
    return f"00-{followed.trace}-{_within.get() or followed.id}-{'01' if followed.sampled else '00'}"
