"""What was recorded leaves when its time is over: traces, feedback, remembered answers, steps.

Oldest first, in short transactions with pauses between them, so that a server beside it goes on writing. Knows no
nouns and no blobs: `gc` has them.

- Feedback stays its own time, and beyond it while a channel points at the release it is about, or while examples of a
  kept dataset were made of its trace. Without a time of its own it has that of traces.
- A trace stays its time, and beyond it while feedback to it stays, or while such examples do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Table, delete, func, select, tuple_, update

from slipway.core.ref import decoder_of
from slipway.core.run import Run
from slipway.files import UNDECODABLE
from slipway.store import tables
from slipway.store.catalog import Catalog, now

BATCH = 500


@dataclass(frozen=True)
class Retention:
    """Seconds after which each kind may go; None: never. `steps`: runs, and work remembered that is no answer.

    `size`: bytes of all traces together, beyond which the oldest go before their time.
    """

    traces: float | None = None
    feedback: float | None = None
    answers: float | None = None
    steps: float | None = None
    size: float | None = None


@dataclass(frozen=True)
class Needed:
    """What stays whatever its age: traces that examples were made of, work that what is kept would need again."""

    traces: frozenset[str] = frozenset()
    work: frozenset[tuple[str, str]] = frozenset()  # (kind, key)
    vectors: frozenset[str] = frozenset()  # keys, of whatever embedder


@dataclass
class Expired:
    """What went, or would go: rows and bytes by kind."""

    rows: dict[str, int] = field(default_factory=dict[str, int])
    bytes: dict[str, int] = field(default_factory=dict[str, int])
    runs: set[str] = field(default_factory=set[str])  # ids

    def add(self, kind: str, rows: int, size: int) -> None:
        """Count some more."""
        self.rows[kind] = self.rows.get(kind, 0) + rows
        self.bytes[kind] = self.bytes.get(kind, 0) + size


def before(seconds: float) -> str:
    """The instant so long ago, in the form of `now`; the beginning of time where there was no such instant."""
    try:
        found = datetime.now(UTC) - timedelta(seconds=seconds)
    except OverflowError:
        return ""
    return found.isoformat(timespec="microseconds").replace("+00:00", "Z")


def expire(
    catalog: Catalog,
    keep: Retention,
    needed: Needed,
    *,
    dry_run: bool = False,
    gone: Callable[[], bool] = lambda: False,
) -> Expired:
    """Delete what is over its time; with `dry_run` only count it. `gone` is asked between batches whether to stop."""
    return _Expiry(catalog, keep, needed, dry_run, gone).run()


class _Expiry:
    def __init__(
        self, catalog: Catalog, keep: Retention, needed: Needed, dry_run: bool, gone: Callable[[], bool]
    ) -> None:
        self.catalog, self.keep, self.needed, self.dry_run, self.gone = catalog, keep, needed, dry_run, gone
        self.found = Expired()
        self.serving = frozenset(catalog.channels().values())

    def run(self) -> Expired:
        keep = self.keep
        for_feedback = keep.traces if keep.feedback is None else keep.feedback
        if for_feedback is not None:
            self._feedback(before(for_feedback))
        if keep.traces is not None:
            self._traces(before(keep.traces), None if for_feedback is None else before(for_feedback))
        if keep.size is not None:
            self._oversize(keep.size, None if for_feedback is None else before(for_feedback))
        if keep.answers is not None:
            self._memo("answers", tables.memo.c.kind == "answer", before(keep.answers))
        if keep.steps is not None:
            self._memo("steps", tables.memo.c.kind != "answer", before(keep.steps))
            self._runs(before(keep.steps))
        return self.found

    # records ---------------------------------------------------------------------------------------------------
    def _feedback(self, limit: str) -> None:
        said, of = tables.feedback, tables.traces
        columns = [said.c.seq, said.c.at, said.c.trace, of.c.release, func.length(said.c.body).label("size")]
        query = select(*columns).select_from(said.outerjoin(of, of.c.id == said.c.trace))
        for rows in self._batches(said, query, limit):
            with self._short() as connection:
                self._delete(connection, "feedback", said, [row for row in rows if self._over(row, row.release, limit)])

    def _over(self, said: Any, release: str | None, limit: str | None) -> bool:
        if limit is None or said.at >= limit or said.trace in self.needed.traces:
            return False
        return not (release and release in self.serving)

    def _traces(self, limit: str, for_feedback: str | None) -> None:
        of = tables.traces
        query = select(of.c.seq, of.c.at, of.c.id, of.c.release, func.length(of.c.body).label("size"))
        for rows in self._batches(of, query, limit):
            due = {row.id: row for row in rows if row.at < limit and row.id not in self.needed.traces}
            self._drop(due, for_feedback)

    def _oversize(self, size: float, for_feedback: str | None) -> None:
        """The oldest traces, until the rest fits; those that feedback or examples need stay whatever the size."""
        of, limit = tables.traces.c, None if self.keep.traces is None else before(self.keep.traces)
        with self.catalog.database.reader.connect() as connection:
            total = connection.execute(select(func.coalesce(func.sum(func.length(of.body)), 0))).scalar_one()
        excess = float(total) - size - (self.found.bytes.get("traces", 0) if self.dry_run else 0)
        query, last = select(of.seq, of.at, of.id, of.release, func.length(of.body).label("size")), -1
        while excess > 0 and not self.gone():
            with self.catalog.database.reader.connect() as connection:
                rows = connection.execute(query.where(of.seq > last).order_by(of.seq).limit(BATCH)).all()
            if not rows:
                return
            due: dict[str, Any] = {}
            for row in rows:
                last = row.seq
                if excess <= 0:
                    break
                if row.id in self.needed.traces or (self.dry_run and limit is not None and row.at < limit):
                    continue  # the latter is counted already
                due[row.id] = row
                excess -= row.size
            excess += self._drop(due, for_feedback)

    def _drop(self, due: dict[str, Any], for_feedback: str | None) -> int:
        """Delete traces, but for those whose feedback stays; returns the bytes of these."""
        if not due:
            return 0
        left = 0
        with self._short() as connection:  # feedback that comes in now finds the trace, or finds it gone
            said = select(tables.feedback.c.trace, tables.feedback.c.at)
            for row in connection.execute(said.where(tables.feedback.c.trace.in_(list(due)))).all():
                if row.trace in due and not self._over(row, due[row.trace].release, for_feedback):
                    left += due.pop(row.trace).size
            self._delete(connection, "traces", tables.traces, list(due.values()))
        if not self.dry_run:
            self.catalog.index.drop(row.seq for row in due.values())
        return left

    def _batches(self, table: Table, query: Any, limit: str) -> Iterator[Sequence[Any]]:
        """Rows from the oldest on, up to the first batch that holds nothing over its time.

        Rows are in the order of writing, their times nearly so; one from a clock that was ahead stops nothing.
        """
        last, at = -1, now()
        while not self.gone():
            with self.catalog.database.reader.connect() as connection:
                rows = connection.execute(query.where(table.c.seq > last).order_by(table.c.seq).limit(BATCH)).all()
            if not rows:
                return
            yield rows
            if not any(row.at < limit or row.at > at for row in rows):
                return
            last = rows[-1].seq

    # work ------------------------------------------------------------------------------------------------------
    def _memo(self, what: str, kinds: ColumnElement[bool], limit: str) -> None:
        memo = tables.memo
        if not self.dry_run:
            self._stamp(kinds)
        columns = [memo.c.kind, memo.c.key, memo.c.at, func.length(memo.c.value).label("size")]
        last: tuple[str, str] | None = None
        while not self.gone():
            query = select(*columns).where(kinds).order_by(memo.c.kind, memo.c.key).limit(BATCH)
            if last is not None:
                query = query.where(tuple_(memo.c.kind, memo.c.key) > tuple_(*last))
            with self.catalog.database.reader.connect() as connection:
                rows = connection.execute(query).all()
            if not rows:
                return
            due = [row for row in rows if row.at and row.at < limit and not self._needs(row)]
            with self._short() as connection:
                self._delete(connection, what, memo, due)
            last = (rows[-1].kind, rows[-1].key)

    def _needs(self, row: Any) -> bool:
        if row.kind.startswith("vector:"):
            return row.key in self.needed.vectors
        return (row.kind, row.key) in self.needed.work

    def _stamp(self, kinds: ColumnElement[bool]) -> None:
        """What was remembered before times were kept begins its time now."""
        memo, at = tables.memo, now()
        while not self.gone():
            query = select(memo.c.kind, memo.c.key).where(kinds, memo.c.at == "").limit(BATCH)
            with self.catalog.database.reader.connect() as connection:
                rows = connection.execute(query).all()
            if not rows:
                return
            with self._short() as connection:
                these = tuple_(memo.c.kind, memo.c.key).in_([(row.kind, row.key) for row in rows])
                connection.execute(update(memo).where(these).values(at=at))

    def _runs(self, limit: str) -> None:
        """Runs over their time; the newest of each step stays, and so does one that is at work."""
        runs, newest = tables.runs, set[str]()
        due: list[_Row] = []
        query = select(runs.c.seq, runs.c.id, runs.c.step, runs.c.status, runs.c.body).order_by(runs.c.seq.desc())
        with self.catalog.database.reader.connect() as connection:
            for row in connection.execute(query):
                if row.status == "done" and row.step not in newest:
                    newest.add(row.step)
                elif row.status != "running" and _started(row.body) < limit:
                    due.append(_Row(row.seq, row.id, len(row.body)))
        self.found.runs = {run.id for run in due}
        for start in range(0, len(due), BATCH):
            with self._short() as connection:
                self._delete(connection, "runs", runs, due[start : start + BATCH])

    # deleting --------------------------------------------------------------------------------------------------
    def _delete(self, connection: Connection, what: str, table: Table, rows: Sequence[Any]) -> None:
        if not rows:
            return
        self.found.add(what, len(rows), sum(row.size or 0 for row in rows))
        if self.dry_run:
            return
        names = [column.name for column in table.primary_key.columns]
        if len(names) == 1:
            these = table.c[names[0]].in_([getattr(row, names[0]) for row in rows])
        else:
            keys = [tuple(getattr(row, name) for name in names) for row in rows]
            these = tuple_(*table.primary_key.columns).in_(keys)
        connection.execute(delete(table).where(these))

    @contextmanager
    def _short(self) -> Generator[Connection]:
        """A transaction, and afterwards a pause as long as it took; with `dry_run` one that only reads."""
        since = time.monotonic()
        if self.dry_run:
            with self.catalog.database.reader.connect() as connection:
                yield connection
            return
        with self.catalog.engine.begin() as connection:
            yield connection
        time.sleep(min(1.0, time.monotonic() - since))


class _Row(NamedTuple):
    seq: int
    id: str
    size: int


def _started(body: bytes) -> str:
    """When a run began; of one that cannot be read, the end of time."""
    try:
        return decoder_of(Run).decode(body).started
    except UNDECODABLE:
        return "9"
