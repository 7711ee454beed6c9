"""XLSX into blocks with openpyxl: a sheet is a section, rows between blank ones a table; formulas as computed.

A value merged over rows stands in each of them, one merged over columns once. Sheets that are hidden are not read, and
formulas without a stored result are told of: a program that only writes files stores none.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any

from slipway.data.parsing.blocks import Block, Draft, Note
from slipway.data.parsing.container import ODD, check_container
from slipway.data.parsing.number_format import formatted
from slipway.data.parsing.sheet_parts import Merged, formulas_without_value, merged_cells, title_rows, xml_of
from slipway.data.parsing.tables import table_blocks
from slipway.data.parsing.tabular import missing, shown
from slipway.data.reasons import Refused

_MOST_COLUMNS, _MOST_BLANK = 512, 10_000


def parse_xlsx(data: bytes, max_unpacked: int, max_text: int) -> Draft:
    """Blocks of a workbook. Raises Refused: `zip-bomb`, `too-large`, `encrypted`, `corrupt`, `too-much-text`."""
    check_container(data, max_unpacked)
    from lxml.etree import XMLSyntaxError
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    blocks: list[Block] = []
    hidden: list[str] = []
    unknown: dict[str, int] = {}  # sheet -> formulas without a result
    left = max_text
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            book = load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
            title = str(book.properties.title or "")
            for sheet in book.worksheets:
                if sheet.sheet_state != "visible":
                    hidden.append(str(sheet.title))
                    continue
                found: list[Block] = []
                xml = xml_of(book, sheet)
                unknown[str(sheet.title)] = formulas_without_value(xml)
                for table in _tables(sheet, merged_cells(xml, _MOST_COLUMNS)):
                    titles, rows = title_rows(table)
                    made = [Block("text", title) for title in titles] + table_blocks(rows)
                    left -= sum(len(block.text) for block in made)
                    if left < 0:
                        raise Refused("too-much-text", f"more than {max_text:,} characters")
                    found += made
                if found:
                    blocks += [Block("heading", str(sheet.title), 1), *found]
    except (InvalidFileException, XMLSyntaxError, SyntaxError, *ODD) as error:
        raise Refused("corrupt", f"not a readable XLSX: {str(error)[:200]}") from error
    return Draft(blocks=blocks, title=title, notes=_notes(hidden, unknown))


def _notes(hidden: list[str], unknown: dict[str, int]) -> list[Note]:
    notes = [Note("parse", "flagged", "hidden", f"sheets {', '.join(hidden)[:200]}")] if hidden else []
    if total := sum(unknown.values()):
        sheets = ", ".join(name for name, n in unknown.items() if n)
        notes.append(Note("parse", "flagged", "no-result", f"{total} formulas of sheets {sheets[:200]}"))
    return notes


def _tables(sheet: Any, merged: Merged) -> Iterator[list[list[str]]]:
    """Rows between blank ones, without the columns that are empty at the end."""
    rows: list[list[str]] = []
    blank = 0
    sheet.reset_dimensions()  # what the file says about its size need not be true
    for number, row in enumerate(sheet.iter_rows(max_col=_MOST_COLUMNS), 1):
        cells = ["" if missing(cell.value) else _shown(cell) for cell in row]
        while cells and not cells[-1]:
            cells.pop()
        blank = 0 if cells else blank + 1
        if cells:
            rows.append(merged.filled(number, cells))
            merged.seen(number, cells)
        elif rows:
            yield _aligned(rows)
            rows = []
        if blank > _MOST_BLANK:
            break
    if rows:
        yield _aligned(rows)


def _aligned(rows: list[list[str]]) -> list[list[str]]:
    """Without the columns that are empty in all rows before the first that is not."""
    first = min(next(n for n, cell in enumerate(row) if cell) for row in rows)
    return [row[first:] for row in rows]


def _shown(cell: Any) -> str:
    value = cell.value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return formatted(value, cell.number_format)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="minutes").removesuffix(" 00:00")
    return (
        value.isoformat()
        if isinstance(value, (date, time))
        else shown(value if isinstance(value, bool) else str(value))
    )
