"""Tell a person at a terminal (bars with an ETA) or a log (plain lines) what a run is doing. Writes to stderr only."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any, Self

from slipway.cli import terminal
from slipway.i18n import joined, t
from slipway.render.cells import left, part
from slipway.text import visible

EVERY = 5.0  # seconds between two plain lines of one step


class Plain:
    """One line when a step ends, and one every few seconds while it goes on."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}
        self._began: dict[str, float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        sys.stderr.flush()

    def say(self, text: str) -> None:
        """One line."""
        terminal.warn(text)

    def step(self, name: str, state: str, seconds: float = 0.0) -> None:
        """A step's line; what was cached says so."""
        if state == "running":
            self._last[name] = time.monotonic()
            return
        self.say(line(name, state, seconds))

    def progress(self, name: str, done: int, total: int | None) -> None:
        """A line every few seconds, with the time that is left at this pace."""
        now = time.monotonic()
        began = self._began.setdefault(name, now)
        if now - self._last.setdefault(name, now) < EVERY:
            return
        self._last[name] = now
        rest = left((now - began) / done * (total - done)) if total and done else ""
        self.say(f"  {name}: {joined(filter(None, (part(done, total), rest)), '，')}")


class Bars:
    """Rich bars; a step's bar becomes one line when it ends."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._bars = Progress(
            TextColumn("  {task.description}", markup=False), BarColumn(30), MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True), transient=True,
        )  # fmt: skip
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def say(self, text: str) -> None:
        """One line above the bars."""
        self._bars.console.print(visible.line(text), highlight=False, markup=False, emoji=False)

    def step(self, name: str, state: str, seconds: float = 0.0) -> None:
        """Start or end a step's bar."""
        if state == "running":
            self._tasks[name] = self._bars.add_task(visible.line(name), total=None)
            return
        task = self._tasks.pop(name, None)
        if task is not None:
            self._bars.remove_task(task)
        self.say(line(name, state, seconds))

    def progress(self, name: str, done: int, total: int | None) -> None:
        """Move a bar, making it when it is new (a download within a step)."""
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(visible.line(name), total=total)
        self._bars.update(self._tasks[name], completed=done, total=total)
        if total is not None and done >= total:
            self._bars.update(self._tasks[name], visible=True)


def listener() -> Plain | Bars:
    """Bars on a terminal, plain lines elsewhere."""
    return Bars() if sys.stderr.isatty() else Plain()


def line(name: str, state: str, seconds: float) -> str:
    """The one line that stays of a step."""
    if state == "cached":
        return f"  · {name:<28} {t('unchanged')}"
    mark = {"done": "✓", "failed": "✗", "interrupted": "!"}.get(state, "·")
    words = {"done": f"{seconds:.1f} s", "failed": t("failed"), "interrupted": t("interrupted")}
    return f"  {mark} {name:<28} {words.get(state, state)}"
