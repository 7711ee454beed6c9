"""A document on a terminal or in plain text. Whatever it holds, nothing in it acts on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from slipway.i18n import t
from slipway.render import layout
from slipway.render.cells import Estimate, Mark, interval, shown
from slipway.render.document import Column, Document, Part, Passage, Picture, Section, Table
from slipway.text import visible

MARKS = {"pass": ("✓", "green"), "fail": ("✗", "red"), "insufficient": ("?", "yellow"),
         "ok": ("✓", "green"), "error": ("✗", "red"), "warning": ("!", "yellow")}  # fmt: skip
_GAP, _EDGES = 2, 2  # places between two columns, and beside a table that has a header
_TURNED = 8  # rows, at most, that may become columns
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
        titles = [visible.line(column.title) for column in part.columns]
        rows = [[_cell(cell, column) for cell, column in zip(row, part.columns, strict=True)] for row in part.rows]
        right = [column.kind in _RIGHT for column in part.columns]
        if title:
            _lines(title, console)
        folded = [[Text(cell.plain.replace(f",{layout.TIED}", ", "), cell.style) for cell in row] for row in rows]
        if not _grid(titles, rows, right, console) and not _grid(titles, folded, right, console):
            _stack(titles, rows, console)
    for note in part.notes:
        _lines(f"  {visible.line(note)}", console)


def _grid(titles: list[str], rows: list[list[Text]], right: list[bool], console: Console) -> bool:
    """Columns, where they fit with no word broken; else the table turned on its side, where that does. Whether any."""
    made = _made(titles, rows, right, console.width)
    if made is None and len(rows) <= _TURNED:
        marked = [Text(title) for title in titles]
        turned = [[marked[n], *(row[n] for row in rows)] for n in range(len(titles))]
        made = _made([""] * (len(rows) + 1), turned, [False] * (len(rows) + 1), console.width)
    if made is not None:
        console.print(made)
    return made is not None


def _made(titles: list[str], rows: list[list[Text]], right: list[bool], room: int) -> Grid | None:
    columns = [[title, *(row[n].plain for row in rows)] for n, title in enumerate(titles)]
    low, high = ([max(map(measure, column)) for column in columns] for measure in (layout.least, layout.widest))
    headed = any(titles)
    found = layout.widths(low, high, room - _GAP * (len(columns) - 1) - (_EDGES if headed else 0))
    if found is None:
        return None
    ruled, apart = (box.SIMPLE_HEAD, _GAP - 1) if headed else (None, _GAP)  # a rule has one place between columns
    grid = Grid(box=ruled, pad_edge=False, show_header=headed, padding=(0, apart, 0, 0))
    for title, width, justify in zip(titles, found, right, strict=True):
        grid.add_column(_wrapped(Text(title), width), justify="right" if justify else "left", no_wrap=True)
    for row in rows:
        grid.add_row(*(_wrapped(cell, width) for cell, width in zip(row, found, strict=True)))
    return grid


def _stack(titles: list[str], rows: list[list[Text]], console: Console) -> None:
    """A line for each cell that holds something, below each other; an empty line between rows.

    A row that is a part of the one above, and so begins with spaces, names it.
    """
    above = ""
    for row in rows:
        console.print()
        first = row[0].plain
        part = first.startswith(" ") and above
        above = above if part else first.strip()
        for n, (title, cell) in enumerate(zip(titles, row, strict=True)):
            said = cell.plain.strip(" ")
            said = f"{above}, {said}" if part and not n else said
            if said:
                lines = layout.wrapped(f"{title}: {said}" if title else said, max(1, console.width - 4))
                _lines("  " + "\n    ".join(lines).replace(layout.TIED, " "), console)
    console.print()


def _wrapped(cell: Text, width: int) -> Text:
    return Text("\n".join(layout.wrapped(cell.plain, width)).replace(layout.TIED, " "), cell.style)


def _cell(cell: object, column: Column) -> Text:
    """An interval is one piece: it stands beside its value, or below it."""
    if isinstance(cell, Mark):
        return Text(*MARKS[cell])
    line = visible.line(shown(cell, column))
    if isinstance(cell, Estimate):
        around = interval(cell)
        line = line.removesuffix(around).strip().replace(" ", layout.TIED) + " " + around.replace(" ", layout.TIED)
    elif column.kind != "text" and column.kind != "excerpt" and column.kind != "time":
        line = line.replace(" ", layout.TIED)
    return Text(line)
