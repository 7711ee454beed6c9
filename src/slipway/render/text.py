"""A document on a terminal or in plain text. Whatever it holds, nothing in it acts on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from slipway.i18n import t
from slipway.render.cells import Estimate, Mark, shown
from slipway.render.document import Column, Document, Part, Passage, Picture, Section, Table
from slipway.text import visible

MARKS = {"pass": ("✓", "green"), "fail": ("✗", "red"), "insufficient": ("?", "yellow"),
         "ok": ("✓", "green"), "error": ("✗", "red"), "warning": ("!", "yellow")}  # fmt: skip
_RIGHT = ("count", "number", "seconds", "bytes", "probability")


def write(document: Document, console: Console | None = None) -> str:
    """The parts in order. `console`: whose width, colours and characters there are; by default standard output's."""
    console = console or Console(highlight=False, markup=False, emoji=False)
    with console.capture() as made:
        _parts(document.parts, console)
    return made.get()


def _parts(parts: Sequence[Part], console: Console) -> None:
    for part in parts:
        if isinstance(part, Table):
            _table(part, console)
        elif isinstance(part, Section):
            _lines(f"\n{visible.line(part.title)}", console)
            _parts(part.parts, console)
        elif not isinstance(part, Picture):
            _lines(visible.line(part) if isinstance(part, str) else _passage(part), console)


def _lines(text: str, console: Console) -> None:
    """As they are: a terminal folds what is too long, and a program reads whole lines."""
    console.print(Text(text), soft_wrap=True)


def _passage(part: Passage) -> str:
    return visible.block(part.text) if part.whole or part.drawn else "    " + visible.paragraph(part.text)


def _table(part: Table, console: Console) -> None:
    title = visible.line(part.title)
    if not part.rows:
        _lines(t("{title}: nothing yet", title=title), console)
    else:
        grid = _grid(part, title, two_lines=False)
        if not _fits(grid, console):
            stacked = _grid(part, title, two_lines=True)
            narrow = _fits(stacked, console, least=True)
            grid = stacked if narrow else grid
        console.print(grid)
    for note in part.notes:
        _lines(f"  {visible.line(note)}", console)


def _grid(part: Table, title: str, *, two_lines: bool) -> Grid:
    """`two_lines`: an interval stands below its value, and neither is broken."""
    grid = Grid(title=Text(title) if title else None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in part.columns:
        justify = "right" if column.kind in _RIGHT else "left"
        whole = two_lines and column.kind in ("measure", *_RIGHT)
        grid.add_column(Text(visible.line(column.title)), overflow="fold", justify=justify, no_wrap=whole)
    for row in part.rows:
        grid.add_row(*(_cell(cell, column, two_lines) for cell, column in zip(row, part.columns, strict=True)))
    return grid


def _fits(grid: Grid, console: Console, *, least: bool = False) -> bool:
    found = grid.__rich_measure__(console, console.options.update(width=10_000))
    return (found.minimum if least else found.maximum) <= console.width


def _cell(cell: object, column: Column, two_lines: bool) -> Text:
    if isinstance(cell, Mark):
        return Text(*MARKS[cell])
    line = visible.line(shown(cell, column))
    if two_lines and isinstance(cell, Estimate):
        line = "\n".join(line.rsplit(" ", 2)[:1] + [" ".join(line.rsplit(" ", 2)[1:])])
    return Text(line)
