"""Rows of a file, with what each is called: JSON lines and Parquet piece by piece, the rest whole up to a limit."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

import msgspec

from slipway.data.imports.item import Unread
from slipway.data.parsing.decode import decode
from slipway.data.parsing.tabular import absent, plain
from slipway.data.reasons import Refused
from slipway.errors import ConfigError
from slipway.files import UNDECODABLE, open_regular, read
from slipway.files import why as why_of
from slipway.i18n import say, t

WHOLE = 200_000_000  # bytes of a file that is read at once
LINE = 10_000_000  # bytes of one line
_HEAD = 65_536
_BLANK = b"\xef\xbb\xbf \t\r\n"

Rows = Iterator[tuple[str, dict[str, Any] | Unread]]


def rows(path: Path) -> tuple[str, Rows]:
    """(`parquet`, `yaml`, `csv`, `jsonl` or `json`, the rows). Raises ConfigError for a file that is none of these."""
    try:
        with open_regular(path) as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise ConfigError(t("{path} cannot be read: {why}", path=path, why=why_of(error))) from error
    ending = path.suffix.lower()
    if head.startswith(b"PAR1"):
        return "parquet", _parquet(path)
    if ending in (".yaml", ".yml"):
        return "yaml", _yaml(path)
    if ending in (".csv", ".tsv"):
        return "csv", _csv(path, "\t" if ending == ".tsv" else "")
    if not head.strip(_BLANK):
        raise ConfigError(t("{path} is empty", path=path))
    if _is_lines(head, ending in (".jsonl", ".ndjson")):
        return "jsonl", _jsonl(path)
    return "json", _json(path)


def _is_lines(head: bytes, named: bool) -> bool:
    """Whether the first line is an object by itself, and something follows it or it is all there is.

    `named`: the file is called so. Then a first line that is broken, or longer than the head, costs only itself; but
    a list, or an object over several lines, is what it is whatever it is called.
    """
    first, _, rest = head.strip(_BLANK).partition(b"\n")
    try:
        value = msgspec.json.decode(first)
    except UNDECODABLE:
        return named and not first.startswith(b"[") and first.strip() != b"{"
    return isinstance(value, dict) and (bool(rest.strip()) or not _container(cast(dict[str, Any], value)))


def _container(value: dict[str, Any]) -> bool:
    return any(isinstance(value.get(name), list) for name in ("data", "tests", "items", "samples", "rows")) or _columns(
        value
    )


def _columns(value: dict[str, Any]) -> bool:
    """A table by columns: `{"question": [...], "answer": [...]}`."""
    lists = [one for one in value.values() if isinstance(one, list)]
    return len(value) > 1 and len(lists) == len(value) and len({len(one) for one in lists}) == 1


def _jsonl(path: Path) -> Rows:
    with _lines(path) as file:
        number = 0
        while line := file.readline(LINE + 1):
            number += 1
            place = str(t("line {n}", n=number))
            if len(line) > LINE:
                while line and not line.endswith(b"\n"):
                    line = file.readline(LINE)
                yield place, Unread(say("it is longer than {n} bytes", n=LINE))
            elif line.strip(_BLANK):
                yield place, _decoded(line.removeprefix(b"\xef\xbb\xbf"))


def _lines(path: Path) -> IO[bytes]:
    """The file as UTF-8: as it lies there, or, where its beginning is in another encoding, read whole and decoded."""
    with open_regular(path) as file:
        head = file.read(_HEAD)
    if _is_utf8(head):
        return open_regular(path)
    return io.BytesIO(_text(path).encode("utf-8", "replace"))


def _is_utf8(head: bytes) -> bool:
    """Whether it is that, but for a few broken bytes, which are reasons against their lines."""
    if b"\0" in head:
        return False
    text = head.decode("utf-8", "replace")
    return text.count("\ufffd") <= 3 or text.count("\ufffd") * 10 < sum(char > "\x7f" for char in text)


def _decoded(data: bytes) -> dict[str, Any] | Unread:
    try:
        return _object(msgspec.json.decode(data))
    except UNDECODABLE as error:
        return Unread(say("it is not JSON: {why}", why=str(error)[:200]))


def _object(value: Any) -> dict[str, Any] | Unread:
    return cast(dict[str, Any], value) if isinstance(value, dict) else Unread(say("it is no JSON object"))


def _whole(path: Path) -> bytes:
    try:
        return read(open_regular(path), WHOLE)
    except OSError as error:
        raise ConfigError(
            t("{path} cannot be read: {why}", path=path, why=why_of(error)),
            t("a file of one object a line (.jsonl) may be of any size"),
        ) from error


def _text(path: Path) -> str:
    try:
        return decode(_whole(path))[0]
    except Refused as error:
        raise ConfigError(t("{path} cannot be read: {why}", path=path, why=error.detail)) from error


def _json(path: Path) -> Rows:
    try:
        value = msgspec.json.decode(_text(path))
    except UNDECODABLE as error:
        raise ConfigError(
            t("{path} is not JSON: {why}", path=path, why=error),
            t("it may be JSON, JSON lines, YAML (.yaml), CSV (.csv, .tsv) or Parquet"),
        ) from error
    yield from _walked(value)


def _yaml(path: Path) -> Rows:
    from slipway.project.yaml import Unreadable, compose, construct

    try:
        tree = compose(_text(path))
        value = None if tree is None else construct(tree)
    except Unreadable as error:
        line = error.mark.line + 1 if error.mark else 0
        raise ConfigError(t("{path}, line {line}: {why}", path=path, line=line, why=error)) from error
    yield from _walked(value)


def _walked(value: Any) -> Rows:
    """The rows of what a whole file holds: a list, or an object around one; SQuAD's questions one by one."""
    if isinstance(value, dict):
        held = cast(dict[str, Any], value)
        if not _container(held):
            yield "1", held
            return
        if _columns(held):
            names = list(held)
            value = [dict(zip(names, cells, strict=True)) for cells in zip(*held.values(), strict=True)]
        else:
            value = next(
                held[name] for name in ("data", "tests", "items", "samples", "rows") if isinstance(held.get(name), list)
            )
    if not isinstance(value, list):
        raise ConfigError(t("the file holds no list of examples"), t("`slipway data import --help` names the formats"))
    for number, one in enumerate(cast(list[Any], value), 1):
        place = str(t("row {n}", n=number))
        if isinstance(one, dict) and isinstance(cast(dict[str, Any], one).get("paragraphs"), list):
            yield from _questions(place, cast(dict[str, Any], one))
        else:
            yield place, _object(one)


def _questions(place: str, article: dict[str, Any]) -> Rows:
    for number, paragraph in enumerate(article["paragraphs"], 1):
        asked = cast(dict[str, Any], paragraph).get("qas") if isinstance(paragraph, dict) else None
        if not isinstance(asked, list):
            yield f"{place}.{number}", Unread(say("the paragraph has no list 'qas'"))
            continue
        for n, one in enumerate(cast(list[Any], asked), 1):
            row = _object(one)
            yield (
                f"{place}.{number}.{n}",
                row if isinstance(row, Unread) else {"answers": [], **row, "title": article.get("title")},
            )


def _csv(path: Path, delimiter: str) -> Rows:
    text = _text(path)
    first = text.split("\n", 1)[0]
    csv.field_size_limit(2**31 - 1)  # the text as a whole is limited already
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter or max((",", ";", "\t"), key=first.count))
    header: list[str] | None = None
    number = 0
    try:
        for number, cells in enumerate(reader, 1):
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = [cell.strip() for cell in cells]
            elif len(cells) > len(header):
                yield str(t("row {n}", n=number)), Unread(say("it has more cells than the header"))
            else:
                found = (None if absent(cell) else cell for cell in cells)
                yield str(t("row {n}", n=number)), dict(zip(header, found, strict=False))
    except csv.Error as error:
        yield str(t("row {n}", n=number + 1)), Unread(say("it is no CSV: {why}", why=str(error)))


def _parquet(path: Path) -> Rows:
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=256, use_threads=False):
                for row in batch.to_pylist():
                    number += 1
                    yield str(t("row {n}", n=number)), {str(name): plain(value) for name, value in row.items()}
    except (arrow.ArrowException, OSError) as error:
        raise ConfigError(t("{path} cannot be read: {why}", path=path, why=str(error)[:200])) from error
