"""Everything the command line prints goes through here, and whatever it holds, it cannot act on the terminal.

`show` prints a document in one of its forms, `out` and `warn` lines, `failed` an error. Escapes and markup in what is
printed are shown, not executed; only `render.text` and this module make colours.
"""

from __future__ import annotations

import os
import sys

from slipway.render.document import Document, Table
from slipway.text import visible


def show(document: Document, form: str = "") -> None:
    """A document on standard output: for people, or as `json`, `csv` or `markdown`, which are UTF-8 everywhere.

    `full` is for people too, with nothing shortened.
    """
    if form in ("", "full"):
        from slipway.render import layout, text

        print(text.write(layout.whole(document) if form else document), end="", flush=True)
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(_written(document, form).encode())
    sys.stdout.flush()


def _written(document: Document, form: str) -> str:
    from slipway.render import csv, json, markdown

    if form == "csv":
        return csv.write(document.rows or Table("", [], []))
    return json.write(document) if form == "json" else markdown.write(document)


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
