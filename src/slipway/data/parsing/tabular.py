"""CSV, TSV, JSONL and Parquet into rows, and rows into documents: one row is one document.

A column `text` (else `content`, `body`) is the document; `title`, `id`, `language` are taken too, other columns
become meta. Without such a column the row is written out as `column: value` lines.
"""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, cast

import msgspec

from slipway.data.parsing import media
from slipway.data.parsing.blocks import Draft, Note, Row
from slipway.data.parsing.decode import decode
from slipway.data.parsing.markdown import parse_markdown
from slipway.data.reasons import Refused

_TEXT = ("text", "content", "body")


def read_rows(data: bytes, media_type: str, max_text: int) -> tuple[list[Row], list[Note]]:
    """Rows with their numbers, and notes on those that are not valid. Raises Refused for a file that is no table."""
    if media_type == media.PARQUET:
        return _parquet(data, max_text), []
    text, note = decode(data)
    if len(text) > max_text:
        raise Refused("too-much-text", f"{len(text):,} characters, the limit is {max_text:,}")
    notes = [Note("parse", "changed", "bad-encoding", note)] if note else []
    rows, more = _jsonl(text) if media_type == media.JSONL else _csv(text, "\t" if media_type == media.TSV else "")
    return rows, notes + more


def row_documents(rows: Iterable[Row]) -> tuple[list[Draft], list[Note]]:
    """One draft a row; its name is `/` and its id, or `/` and its number. Rows without text are dropped and noted."""
    drafts: list[Draft] = []
    notes: list[Note] = []
    names: set[str] = set()
    for row in rows:
        item = f"/{row.number}"
        draft = _document(row)
        if draft is None:
            notes.append(Note("parse", "dropped", "missing-text", item=item))
            continue
        wanted = f"/{draft.name}" if draft.name else item
        if wanted in names:
            notes.append(Note("parse", "flagged", "duplicate-id", f"id {draft.name}", item))
            wanted = item
        draft.name = wanted
        names.add(wanted)
        drafts.append(draft)
    return drafts, notes


def _document(row: Row) -> Draft | None:
    values = {name: value for name, value in row.values.items() if not missing(value)}
    lower = {name.strip().lower(): name for name in values}
    column = next((lower[name] for name in _TEXT if name in lower), None)
    has_column = any(name.strip().lower() in _TEXT for name in row.values)
    if column is None and (has_column or not values):
        return None
    special = {name: str(values[lower[name]]).strip() for name in ("title", "id", "language", "lang") if name in lower}
    if column is None:
        text = "\n".join(f"{name}: {shown(value)}" for name, value in values.items())
    else:
        text = shown(values[column])
    draft = parse_markdown(text)
    if not draft.blocks:
        return None
    taken = {column, *(lower[name] for name in special)}
    draft.meta = {} if column is None else {k: plain(v) for k, v in values.items() if k not in taken}
    draft.title = special.get("title", draft.title)
    draft.language = special.get("language", special.get("lang", ""))
    draft.name = special.get("id", "")[:200].replace("#", "_")
    return draft


def missing(value: Any) -> bool:
    """None, NaN, or blank text. A text that says "none" is a text: a label, or an answer."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return True
    return isinstance(value, str) and value.strip() in ("", "#N/A")


def absent(cell: str) -> bool:
    """Whether a cell of CSV, which has no other way to say it, holds a word that data frames write for nothing."""
    return cell.strip().lower() in ("nan", "null", "none", "n/a", "#n/a")


def shown(value: Any) -> str:
    """A value as text: strings as they are, numbers without a needless `.0`, the rest as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return msgspec.json.encode(value).decode() if isinstance(value, (list, dict, bool)) else str(value)


def plain(value: Any) -> Any:
    """A value that JSON can carry: dates, decimals and bytes become text."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (str, int, float, bool, list, dict)) or value is None else str(value)


def _jsonl(text: str) -> tuple[list[Row], list[Note]]:
    rows: list[Row] = []
    notes: list[Note] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            values = msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            notes.append(Note("parse", "dropped", "bad-row", f"not JSON: {str(error)[:200]}", f":{number}"))
            continue
        if isinstance(values, dict):
            rows.append(Row(number, cast(dict[str, Any], values)))
        else:
            notes.append(Note("parse", "dropped", "bad-row", "not a JSON object", f":{number}"))
    if notes and not rows:
        raise Refused("corrupt", f"no line is a JSON object; line {notes[0].item[1:]}: {notes[0].detail}")
    return rows, notes


def _csv(text: str, delimiter: str) -> tuple[list[Row], list[Note]]:
    csv.field_size_limit(2**31 - 1)  # the text as a whole is limited already
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter or _delimiter(text), strict=True)
    rows: list[Row] = []
    notes: list[Note] = []
    header: list[str] | None = None
    try:
        for number, cells in _filled(reader):
            if header is None:
                header = _header(cells)
            elif len(cells) > len(header):
                detail = f"{len(cells)} cells, but the header has {len(header)}"
                notes.append(Note("parse", "dropped", "bad-row", detail, f":{number}"))
            else:
                values = dict(zip(header, cells, strict=False))
                said = {name: cell for name, cell in values.items() if absent(cell)}
                rows.append(Row(number, {**values, **dict.fromkeys(said)}, said))
    except csv.Error as error:
        raise Refused("corrupt", f"line {reader.line_num}: {error}") from error
    return rows, notes


def _filled(reader: Any) -> Iterator[tuple[int, list[str]]]:
    """(line where the row starts, cells) of rows that are not blank."""
    line = 1
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield line, cells
        line = reader.line_num + 1


def _header(cells: list[str]) -> list[str]:
    names = [cell.strip() or f"column {n}" for n, cell in enumerate(cells, 1)]
    twice = next((name for name, n in Counter(names).items() if n > 1), None)
    if twice is not None:
        raise Refused("corrupt", f"the header has the column '{twice}' twice")
    return names


def _delimiter(text: str) -> str:
    """Of comma, semicolon and tab the one that stands most often in the first line."""
    first = text.split("\n", 1)[0]
    return max((",", ";", "\t"), key=first.count)


def _parquet(data: bytes, max_text: int) -> list[Row]:
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    rows: list[Row] = []
    left = 4 * max_text  # bytes in memory: text may take four a character
    try:
        file = parquet.ParquetFile(arrow.BufferReader(data))
        for batch in file.iter_batches(batch_size=1024, use_threads=False):
            left -= batch.nbytes
            if left < 0:
                raise Refused("too-much-text", f"more than {4 * max_text:,} bytes of values")
            start = len(rows)
            values = ({name: plain(value) for name, value in row.items()} for row in batch.to_pylist())
            rows += [Row(number, row) for number, row in enumerate(values, start + 1)]
    except arrow.ArrowException as error:
        raise Refused("corrupt", f"not a readable Parquet file: {str(error)[:200]}") from error
    return rows
