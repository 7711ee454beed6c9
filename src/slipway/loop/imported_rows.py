"""A file that models are trained on becomes rows beside what was mined. It may be of any size: rows lie on disk between
the looks at all of them, and what is kept of each in memory is what its repeats are found by.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import msgspec

from slipway.core.ref import canonical
from slipway.data.clean import clean_text
from slipway.data.imports.formats import guess_training
from slipway.data.imports.item import Unread
from slipway.data.imports.opening import Rows, rows
from slipway.data.imports.training_files import KIND, inputs_of, read
from slipway.data.leaks import alike
from slipway.errors import ConfigError, instead
from slipway.i18n import say, t
from slipway.loop.context import Context
from slipway.loop.feedback import MINED, Comparison, Found, Harvest, told
from slipway.loop.mine import KINDS, LONGEST, SAME, Mined, Row, said_of
from slipway.loop.row_files import FOLDER
from slipway.store.failing import reporting
from slipway.store.new_file import new_file

_TOLD = 1000  # rows that are named one by one; the rest is counted
_TOGETHER = 1024  # rows that are compared with what is held out at once
_TRACE = re.compile(r"trace:[0-9a-f]{32}")
_RELEASE = re.compile(r"[0-9a-f]{64}")
Redact = Callable[[Row], Row]


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a file that models are trained on. `reasons`: rows that could not be read, by why; `skipped`: the
    first of them by place.
    """

    format: str
    harvest: Harvest
    read: int
    reasons: dict[str, int]
    skipped: list[tuple[str, str]]


def take(context: Context, path: Path, format: str, clean_row: Redact) -> Taken:
    """Turn a file of preferences, thumbs or chats into rows of ours beside what was mined, redacted and without what
    is held out. Raises ConfigError for an unknown format, and where rows were taken from a file of this name before.
    """
    format, found = _format(path, format, rows(path)[1])
    kind = KIND[format]
    out = context.root / FOLDER / f"{path.stem}.{kind}.jsonl"
    if path.stem in (MINED, *(queue.name for queue in context.store.catalog.labels.queues())):
        raise ConfigError(
            t("rows of '{name}' are made anew each time: those of a file would be lost", name=path.stem),
            t("give the file to import another name"),
        )
    if out.exists():
        raise ConfigError(
            t("{path} is there already", path=out), t("delete it, or give the file to import another name")
        )
    reasons, skipped, known = Counter[str](), list[tuple[str, str]](), list[bytes]()
    with _aside(context) as held:
        for place, row in found:
            one = _taken(context, format, row)
            if isinstance(one, Unread):
                reasons[str(one.why)] += 1
                skipped += [(place, str(one.why))] if len(skipped) < _TOLD else []
            else:
                whole = clean_row(one | {"from": f"{path.name} {place}"}) | _lineage(row)
                held.write(canonical(whole) + b"\n")
                known.append(hashlib.sha256(canonical(said_of(context.task, whole))).digest())
        harvest = _kept(context, held, known, kind, out, path.name)
    return Taken(format=format, harvest=harvest, read=len(known), reasons=dict(reasons), skipped=skipped)


def _format(path: Path, format: str, found: Rows) -> tuple[str, Rows]:
    """The format, by the first row that has one where it is to be told from them, and the rows."""
    if format != "auto":
        if format not in KIND:
            raise ConfigError(
                t("{path}: no format that models are trained on is called '{name}'", path=path, name=format),
                instead(format, KIND),
            )
        return format, found
    passed: list[tuple[str, dict[str, Any] | Unread]] = []
    for place, row in found:
        passed.append((place, row))
        if len(passed) > _TOLD:
            break
        if not isinstance(row, Unread) and (guessed := guess_training(row)):
            return guessed, chain(passed, found)
    raise ConfigError(
        t("{path}: no row can be read as one that models are trained on", path=path),
        t("formats are {names}; `slipway feedback import FORMAT FILE` says what is wrong with each row",
          names=", ".join(KIND)),
    )  # fmt: skip


@contextmanager
def _aside(context: Context) -> Generator[IO[bytes]]:
    """A file that is gone when it is closed, where there is room for the project's state."""
    with reporting(context.store.folder), TemporaryFile(dir=context.store.folder) as held:
        yield held


def _lines(held: IO[bytes]) -> Iterator[Row]:
    held.seek(0)
    return (msgspec.json.decode(line, type=dict[str, Any]) for line in held)


def _kept(context: Context, held: IO[bytes], known: list[bytes], kind: str, out: Path, origin: str) -> Harvest:
    """Write the rows that repeat no other and are close to nothing held out. `known`: of each, what it says."""
    task, made = context.task, Mined()
    pairs = alike((task.text(row) for row in _lines(held)), SAME)
    gone = {late for early, late in pairs if known[early] == known[late]}
    made.dropped[kind]["near-repeat"] += len(gone)
    compared, count = Comparison(context), 0

    def kept() -> Iterator[Row]:
        rest = (row for n, row in enumerate(_lines(held)) if n not in gone)
        while some := list(islice(rest, _TOGETHER)):
            for row, reason in zip(some, compared.reasons([task.text(row) for row in some]), strict=True):
                if reason:
                    made.dropped[kind][reason] += 1
                else:
                    yield row

    left = kept()
    first = next(left, None)
    if first is not None:
        with reporting(out):
            out.parent.mkdir(exist_ok=True)
        with new_file(out) as file:
            for row in chain([first], left):
                file.write(canonical(row) + b"\n")
                count += 1
    made.made += Counter({origin: count if kind == "examples" else 0})
    found = Found(made, compared.of, compared.embedder)
    files = {kind: str(out.relative_to(context.root))} if count else {}
    return told(found, files, {name: count if name == kind else 0 for name in KINDS})


def _lineage(row: dict[str, Any] | Unread) -> Row:
    """The traces and releases that a row which was exported names, so that it is forgotten with them."""
    meta = {} if isinstance(row, Unread) else row.get("metadata")
    if not isinstance(meta, dict):
        return {}
    found = {"lineage": _TRACE, "release": _RELEASE}
    named = {name: " ".join(form.findall(str(meta.get(name, "")))) for name, form in found.items()}  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    return {name: text for name, text in named.items() if text}


def _taken(context: Context, format: str, row: dict[str, Any] | Unread) -> Row | Unread:
    if isinstance(row, Unread):
        return row
    task, counts = context.task, Counter[str]()
    try:
        one = read(format, row)
        given = task.input(inputs_of(clean_text(one.prompt, counts), task.inputs))
        values = {name: clean_text(v, counts) if isinstance(v, str) else v for name, v in one.values.items()}
        if "reference" in values:
            values = {task.reference: task.expected(values["reference"])}
    except Unread as error:
        return error
    except ConfigError as error:
        return Unread(error.said)
    if any(len(value) > LONGEST for value in (*given.values(), *values.values()) if isinstance(value, str)):
        return Unread(say("it is longer than {n} characters", n=LONGEST))
    return {name: given[name] for name in task.inputs if name in given} | values
