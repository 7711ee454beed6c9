"""Everything the command line prints goes through here, and whatever it holds, it cannot act on the terminal.

`out` and `warn` print lines, `block` a text of several lines, `table` a table, `json` JSON. Escapes and markup in what
is printed are shown, not obeyed; only this module makes colours.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import msgspec

from slipway.i18n import t
from slipway.text import visible

MARKS = {"pass": ("✓", "green"), "fail": ("✗", "red"), "insufficient": ("?", "yellow"),
         "ok": ("✓", "green"), "error": ("✗", "red"), "warning": ("!", "yellow")}  # fmt: skip


class Mark(str):
    """A cell that shows a level or an outcome by its coloured sign."""


def out(*lines: object) -> None:
    """Lines on standard output, each kept to one line."""
    for line in lines:
        print(visible.line(str(line)))
    sys.stdout.flush()


def block(text: str) -> None:
    """A text of several lines on standard output."""
    print(visible.block(text), flush=True)


def warn(*lines: object) -> None:
    """Lines on standard error, each kept to one line."""
    for line in lines:
        print(visible.line(str(line)), file=sys.stderr, flush=True)


def catch_logs() -> None:
    """Print warnings of libraries like ours; by default Python writes them to the terminal as they are."""
    import logging

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            warn(f"  {record.getMessage()}")

    logging.captureWarnings(True)
    logging.basicConfig(handlers=[Lines(logging.WARNING)])


def failed(message: str, hint: str = "") -> None:
    """What went wrong and what to do, on standard error; what follows the first line is indented."""
    color = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    red, dim, off = ("\033[31m", "\033[2m", "\033[0m") if color else ("", "", "")
    print(f"{red}slipway:{off} {visible.paragraph(message)}", file=sys.stderr)
    if hint:
        print(f"{dim}  → {visible.paragraph(hint)}{off}", file=sys.stderr, flush=True)


def json(value: Any) -> None:
    """JSON on standard output; structs become objects, digests are whole."""
    made = msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2).decode()
    sys.stdout.buffer.write(visible.json_text(made).encode() + b"\n")
    sys.stdout.flush()


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table on standard output, or a sentence when there are no rows."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not rows:
        out(t("{title}: nothing yet", title=title))
        return
    title = visible.line(title)
    made = Table(title=Text(title) if title else None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        made.add_column(Text(visible.line(name)), overflow="fold")
    for row in rows:
        made.add_row(*[Text(*MARKS[cell]) if isinstance(cell, Mark) else Text(_cell(cell)) for cell in row])
    Console(highlight=False, markup=False, emoji=False).print(made)


def _cell(value: Any) -> str:
    return visible.line(cell_text(value))


def cell_text(value: Any) -> str:
    """A value as a cell shows it."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)
