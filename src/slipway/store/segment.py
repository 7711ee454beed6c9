"""A stretch of traces that is written no more, indexed in a file of its own: which of them hold three letters that
follow each other, and the facts they are filtered by.

What it finds are candidates: all traces that are wanted and perhaps a few more; who asks looks at each (`Wanted.says`).
The file holds nothing that the catalog does not hold, and is never changed: it is deleted and made again.

Letters are folded, then runs of three are looked up (SQLite FTS5, tokenizer `trigram`). With `detail=none` the index
knows in which traces a run stands, not where. A Chinese word often has two characters, or one, so a mark is set around
each character of such a script: `价格` becomes `|价|格|`, and the runs of that are its characters and its pairs.
"""

from __future__ import annotations

import os
import re
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from slipway.core.answer import Answer
from slipway.core.trace import Trace, Wanted
from slipway.files import aside
from slipway.text.language import of_short_text

FORMAT = 2
MOST_RUNS = 24  # of a word that are looked up; the rest is left to who looks again
MOST_BEGUN = 500  # runs that begin with a shorter word
_RUN = 3
_LAST = "\U0010ffff"
_QUERY = "SELECT rowid FROM words WHERE words MATCH ?"
_MARK = "\x1f"
_EASTERN = re.compile(
    "([\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff])"
)
_COLUMNS = {"seq": "int64", "at": "int64", "seconds": "float64", "status": "int16", "channel": "uint16",
            "release": "uint16", "language": "uint8", "cost": "float64", "currency": "uint8"}  # fmt: skip
_FILTERED = ("channel", "release", "language")
_NAMED = (*_FILTERED, "currency")
_SILENT = Answer(text="", raw="")
_NEVER = np.iinfo(np.int64).max


def runs(word: str) -> list[str]:
    """The runs of three letters that a trace with this word holds; of a shorter word itself: what runs begin with."""
    text = _marked(word)
    if len(text) < _RUN:
        return [text]
    found = list(dict.fromkeys(text[at : at + _RUN] for at in range(len(text) - _RUN + 1)))
    return found if len(found) <= MOST_RUNS else found[:: -(-len(found) // MOST_RUNS)]


def folded(text: str) -> str:
    """As it is indexed: also its last letters are followed by something."""
    return _marked(text) + 2 * _MARK


def _marked(text: str) -> str:
    marked = _EASTERN.sub(rf"{_MARK}\1{_MARK}", text.casefold().replace("\x00", " "))
    return marked.replace(_MARK + _MARK, _MARK)


def instant(at: str) -> int:
    """Microseconds since 1970 of an RFC 3339 time; of what is none, the end of time: it is always looked at."""
    try:
        found = datetime.fromisoformat(at)
        return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1e6)
    except (ValueError, OverflowError):
        return int(_NEVER)


def build(path: Path, rows: Iterable[tuple[int, Trace]]) -> int:
    """Write the index of these traces, (sequence number, trace) in ascending order; returns how many there were."""
    with aside(path, durable=False) as new:  # SQLite writes it to the disk
        os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        connection = sqlite3.connect(new, isolation_level=None)
        try:
            return _write(connection, rows)
        finally:
            connection.close()


def _write(connection: sqlite3.Connection, rows: Iterable[tuple[int, Trace]]) -> int:
    for pragma in ("journal_mode=OFF", "synchronous=FULL", "page_size=8192"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("BEGIN")
    connection.execute(
        "CREATE VIRTUAL TABLE words USING fts5(text, content='', columnsize=0, detail=none, "
        "tokenize='trigram case_sensitive 1')"
    )
    connection.execute(f"INSERT INTO words (words, rank) VALUES ('hashsize', {64 << 20})")  # bytes; written once
    connection.execute("CREATE TABLE facts (name TEXT PRIMARY KEY, value BLOB)")
    columns: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
    names: dict[str, dict[str, int]] = {name: {} for name in _NAMED}
    connection.executemany("INSERT INTO words (rowid, text) VALUES (?, ?)", _texts(rows, columns, names))
    facts = {name: np.array(columns[name], kind).tobytes() for name, kind in _COLUMNS.items()}
    facts |= {f"{name}s": msgspec.json.encode(list(known)) for name, known in names.items()}
    facts["format"] = str(FORMAT).encode()
    connection.executemany("INSERT INTO facts VALUES (?, ?)", facts.items())
    connection.execute("COMMIT")
    return len(columns["seq"])


def _texts(
    rows: Iterable[tuple[int, Trace]], columns: dict[str, list[Any]], names: dict[str, dict[str, int]]
) -> Iterator[tuple[int, str]]:
    """(place, text) of each trace; its facts are added to `columns`."""
    for place, (seq, trace) in enumerate(rows):
        said = trace.answer or _SILENT
        plain: dict[str, Any] = {
            "seq": seq, "at": instant(trace.at), "seconds": trace.seconds, "status": trace.status,
            "channel": trace.channel, "release": trace.release, "language": of_short_text(trace.asked),
            "cost": said.cost, "currency": said.currency,
        }  # fmt: skip
        for name, value in plain.items():
            known = names.get(name)
            columns[name].append(value if known is None else known.setdefault(value, len(known)))
        yield place, folded(trace.words)


class Segment:
    """An index that was built. Raises sqlite3.Error, ValueError or KeyError for a file that is none."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False
        )
        self._lock = threading.Lock()
        self._connection.execute("PRAGMA cache_size=-512")  # KB: many are open, and the system keeps their pages too
        self._connection.execute("CREATE VIRTUAL TABLE temp.known USING fts5vocab('main', 'words', 'row')")
        facts: dict[str, bytes] = dict(self._connection.execute("SELECT name, value FROM facts"))
        if facts["format"] != str(FORMAT).encode():
            raise ValueError(facts["format"])
        self.of: dict[str, Any] = {name: np.frombuffer(facts[name], kind) for name, kind in _COLUMNS.items()}
        self._names: dict[str, list[str]] = {name: msgspec.json.decode(facts[f"{name}s"]) for name in _NAMED}

    def __len__(self) -> int:
        """Traces."""
        return len(self.of["seq"])

    def found(self, wanted: Wanted) -> list[int]:
        """Sequence numbers of those that may be wanted, newest first."""
        mask = self._holds(wanted)
        of = self.of
        for name in _FILTERED:
            value = getattr(wanted, name)
            if value:
                known = self._names[name]
                mask &= of[name] == known.index(value) if value in known else False
        if wanted.since:
            begin = instant(wanted.since)
            mask &= of["at"] >= (begin if begin < _NEVER else 0)
        if wanted.until:
            mask &= of["at"] < instant(wanted.until)
        if wanted.status:
            mask &= (of["status"] >= wanted.statuses[0]) & (of["status"] <= wanted.statuses[1])
        if wanted.slow is not None:
            mask &= of["seconds"] >= wanted.slow
        return of["seq"][mask][::-1].tolist()

    def served(self, since: str, but: str, error: int) -> tuple[int, int, Any, dict[str, float]]:
        """Of those from a moment on, of all where it is none: how many, how many of another channel than `but`, of
        these the seconds of those with a status below `error`, and what they cost in each currency.
        """
        of, begin, names = self.of, instant(since), self._names["channel"]
        mask = of["at"] >= (begin if begin < _NEVER else 0)
        every = int(mask.sum())
        if but in names:
            mask &= of["channel"] != names.index(but)
        costs = {
            currency: float(of["cost"][mask & (of["currency"] == n)].sum())
            for n, currency in enumerate(self._names["currency"])
            if currency
        }
        return every, int(mask.sum()), of["seconds"][mask & (of["status"] < error)], costs

    def _holds(self, wanted: Wanted) -> Any:
        """Those with all runs of all words."""
        found = np.ones(len(self), bool)
        with self._lock:
            parts = [part for word in wanted.words for run in runs(word) if (part := self._part(run)) is not None]
            if parts:
                rows = self._connection.execute(_QUERY, (" AND ".join(parts),)).fetchall() if all(parts) else []
                found[:] = False
                found[np.fromiter((row[0] for row in rows), "int64", len(rows))] = True
        return found

    def _part(self, run: str) -> str | None:
        """Of a query; empty: no trace has it, None: it leaves hardly one out."""
        if len(run) == _RUN:
            return _quoted(run)
        query = "SELECT term FROM temp.known WHERE term >= ? AND term < ? LIMIT ?"
        begun = [row[0] for row in self._connection.execute(query, (run, run + _LAST, MOST_BEGUN))]
        if len(begun) == MOST_BEGUN:
            return None
        return f"({' OR '.join(map(_quoted, begun))})" if begun else ""


def _quoted(run: str) -> str:
    return '"' + run.replace('"', '""') + '"'
