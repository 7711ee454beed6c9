"""What is timed within one request, for whoever follows it: names, times, attributes. Stores and sends nothing.

`following` begins it for the task at hand; `span` then adds a part. Where nobody follows, `span` costs one look-up.
Ids and the header `traceparent` are those of W3C Trace Context (2021).
"""

from __future__ import annotations

import random
import re
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter_ns, time_ns
from types import TracebackType
from typing import Self

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


class Span:
    """One part: `started` and `ended` in nanoseconds of Unix time, 0 while it runs. `error`: the class of what ended
    it early, such as `TimeoutError`. `calls`: it waits for something outside this process.
    """

    __slots__ = ("attributes", "calls", "ended", "error", "id", "name", "parent", "started")

    def __init__(self, name: str, parent: str, started: int, *, calls: bool = False) -> None:
        self.id = f"{_ids.getrandbits(64):016x}"
        self.name = name
        self.parent = parent
        self.started = started
        self.ended = 0
        self.error = ""
        self.calls = calls
        self.attributes: dict[str, Value] = {}

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.ended - self.started) / 1e9


class Followed:
    """One request that is followed: its trace id, its own span, and the parts that have ended so far."""

    __slots__ = ("_began", "_clock", "left_out", "own", "sampled", "spans", "trace")

    def __init__(self, trace: str, name: str, parent: str = "", *, sampled: bool = True, ago: float = 0.0) -> None:
        """`ago`: seconds since it really began."""
        self._clock = perf_counter_ns() - int(ago * 1e9)
        self._began = time_ns() - int(ago * 1e9)
        self.trace = trace
        self.sampled = sampled
        self.own = Span(name, parent, self._began)
        self.spans: list[Span] = []
        self.left_out = 0

    def now(self) -> int:
        """Nanoseconds of Unix time, by a clock that nobody sets meanwhile."""
        return self._began + perf_counter_ns() - self._clock

    def add(self, span: Span) -> None:
        """A part that has ended."""
        if len(self.spans) < MOST:
            self.spans.append(span)
        else:
            self.left_out += 1


_followed: ContextVar[Followed | None] = ContextVar("followed", default=None)
_trace: ContextVar[str] = ContextVar("trace", default="")  # also where nobody follows
_within: ContextVar[str] = ContextVar("within", default="")  # id of the part that is at work in this task


def answering(trace: str) -> None:
    """Say for the rest of this task, and those that it starts, which trace what is logged belongs to."""
    _trace.set(trace)


def at_work() -> tuple[str, str]:
    """Ids of the trace and of the span at work, for a line of the log; empty where there is none."""
    followed = _followed.get()
    span = (_within.get() or followed.own.id) if followed is not None else ""
    return _trace.get() or (followed.trace if followed is not None else ""), span


@contextmanager
def following(followed: Followed | None) -> Generator[None]:
    """Let what is done inside, by this task and those that it starts, be parts of a request."""
    if followed is None:
        yield
        return
    before = _followed.set(followed)
    try:
        yield
    finally:
        _followed.reset(before)


class span:  # noqa: N801  # read as a verb: `with span("retrieval") as part: ...`
    """Time a part. `part.note(...)` adds attributes; nothing is kept where nobody follows.

    `calls`: it waits for something outside this process.
    """

    __slots__ = ("_calls", "_followed", "_name", "_span")

    def __init__(self, name: str, *, calls: bool = False) -> None:
        self._name = name
        self._calls = calls
        self._followed = _followed.get()
        self._span: Span | None = None

    def __enter__(self) -> Self:
        if self._followed is not None:
            parent = _within.get() or self._followed.own.id
            self._span = Span(self._name, parent, self._followed.now(), calls=self._calls)
        return self

    @property
    def on(self) -> bool:
        """Whether anybody follows: what is dear to find out need not be found out otherwise."""
        return self._followed is not None

    @contextmanager
    def inside(self) -> Generator[None]:
        """What begins in this block is part of this part. It must not stand around the `yield` of a generator."""
        token = _within.set(self._span.id) if self._span is not None else None
        try:
            yield
        finally:
            if token is not None:
                _within.reset(token)

    def note(self, attributes: dict[str, Value]) -> None:
        """Add attributes."""
        if self._span is not None:
            self._span.attributes.update(attributes)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._span is not None and self._followed is not None:
            self._span.ended = self._followed.now()
            if kind is not None and kind is not GeneratorExit:
                self._span.error = kind.__name__
            self._followed.add(self._span)


def traceparent() -> str:
    """The header for a request that is part of this one; empty where nobody follows.

    The span named is the part at work, or the request itself.
    """
    followed = _followed.get()
    if followed is None:
        return ""
    return f"00-{followed.trace}-{_within.get() or followed.own.id}-{int(followed.sampled):02x}"
