"""What exists and what happened: nouns, runs, memoised work, channels, traces, feedback, keys. SQLAlchemy Core on a
`Database`: a commit that returned survives `kill -9` and a power cut.

Safe for several threads and processes. Knows no stage: it stores what it is given and finds it again. What the rest of
Slipway may ask of it is the protocol `slipway.core.catalog.Catalog`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import msgspec
from sqlalchemy import Connection, Row, Table, delete, func, insert, select, update

from slipway.core.look import Kind, Look
from slipway.core.ref import Noun, Ref, canonical, digest_bytes, digest_of
from slipway.core.release import Release
from slipway.core.run import Run
from slipway.core.trace import Feedback, Trace, Wanted
from slipway.core.traffic import Traffic
from slipway.errors import NotFound
from slipway.i18n import t
from slipway.store import ledger, tables, trace_search
from slipway.store.database import Database
from slipway.store.labels import Labels
from slipway.store.migrate import migrate
from slipway.store.rows import ambiguous, decoded, plain, read_noun, remembered, sound
from slipway.store.trace_index import TraceIndex
from slipway.store.traffic import traffic

N = TypeVar("N", bound=Noun)
T = TypeVar("T")
_SHORTEST = 8  # characters of an id or a digest that may stand for the whole
_LISTED = 6  # that an ambiguous beginning could mean, at most
TRIED = 64 << 10
"""Bytes written to find out whether a disk takes writes again; freed at once, they are room for the next traces."""


def now() -> str:
    """The present instant as RFC 3339 in UTC, with microseconds: texts sort by time."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Catalog:
    """An open catalog. `close` it, or leave it to the end of the process: nothing is pending."""

    def __init__(self, database: Database, folder: Path | None = None) -> None:
        """`folder`: for what can be made again; None: beside nothing, so traces are searched without an index."""
        self.database = database
        self.index = TraceIndex(folder, database)
        self.engine, self._reader = database.engine, database.reader
        self.labels = Labels(database)
        migrate(database)
        self._add_trace, self._trace_row = _trace_insert(database)

    def close(self) -> None:
        """Release the file, or the server."""
        self.engine.dispose()

    @property
    def where(self) -> str:
        """What a person is shown of the place; never a password."""
        return self.database.where

    def room(self) -> tuple[int, int] | None:
        """(free, in all) bytes of the disk that records are written to; None when that cannot be seen from here."""
        return self.database.room()

    # nouns -----------------------------------------------------------------------------------------------------
    def put(self, kind: str, name: str, noun: Noun) -> Ref:
        """Store a noun; the same noun again is the same row, now the newest of its name."""
        ref = Ref(kind, name, noun.digest)
        row = {"kind": kind, "name": name, "digest": ref.digest, "body": canonical(noun), "at": now()}
        with self.engine.begin() as connection:
            self.database.alone(connection)  # two that are stored at once do not get the same number
            kept = self.database.upsert(tables.nouns).values({**row, "seq": _next(tables.nouns)})
            fresh = {
                "at": kept.excluded.at,
                "seq": kept.excluded.seq,
                "body": kept.excluded.body,
            }  # one that was altered, too
            connection.execute(kept.on_conflict_do_update(index_elements=["kind", "digest"], set_=fresh))
        return ref

    def get(self, kind: str, digest: str, type_: type[N]) -> N:
        """The noun with this digest, or with this unambiguous beginning of one (8 characters or more)."""
        with self._reader.connect() as connection:
            whole = tables.nouns.c.digest
            wanted = whole == digest if len(digest) == 64 else whole.startswith(digest, autoescape=True)
            query = select(whole, tables.nouns.c.body).where(tables.nouns.c.kind == kind, wanted)
            rows = connection.execute(query.limit(_LISTED)).all()
        if len(rows) > 1 and len(digest) >= _SHORTEST:
            raise ambiguous(digest, [row.digest for row in rows])
        if len(rows) != 1 or len(digest) < _SHORTEST:
            raise NotFound(
                t("no single {kind} has the digest {digest}", kind=kind, digest=digest),
                t("`slipway data list`, `slipway eval list` and `slipway release list` show what there is"),
            )
        return read_noun(kind, rows[0].digest, rows[0].body, type_)

    def has(self, kind: str, digest: str) -> bool:
        """Whether there is a noun of this kind and whole digest."""
        query = select(tables.nouns.c.at).where(tables.nouns.c.kind == kind, tables.nouns.c.digest == digest)
        with self._reader.connect() as connection:
            return connection.execute(query).first() is not None

    def list(self, kind: str, type_: type[N], name: str | None = None) -> list[tuple[str, N]]:
        """(when, noun) of a kind, newest first."""
        columns = (tables.nouns.c.at, tables.nouns.c.digest, tables.nouns.c.body)
        query = select(*columns).where(tables.nouns.c.kind == kind)
        if name is not None:
            query = query.where(tables.nouns.c.name == name)
        with self._reader.connect() as connection:
            rows = connection.execute(query.order_by(tables.nouns.c.seq.desc())).all()
        return [(row.at, read_noun(kind, row.digest, row.body, type_)) for row in rows]

    # runs ------------------------------------------------------------------------------------------------------
    def record(self, run: Run) -> None:
        """Write a run, or its new state."""
        row = {"id": run.id, "step": run.step, "key": run.key, "status": run.status, "body": canonical(run)}
        with self.engine.begin() as connection:
            kept = self.database.upsert(tables.runs).values(row)
            connection.execute(kept.on_conflict_do_update(index_elements=["id"], set_=row))

    def finished(self, key: str) -> Run | None:
        """The newest finished run with this key: its output can be used instead of running the step."""
        query = select(tables.runs.c.id, tables.runs.c.body).where(tables.runs.c.key == key)
        query = query.where(tables.runs.c.status == "done").order_by(tables.runs.c.seq.desc()).limit(1)
        with self._reader.connect() as connection:
            row = connection.execute(query).first()
        return None if row is None else decoded("run", row.id, row.body, Run)

    def runs(self, limit: int = 50, status: str | None = None) -> list[Run]:
        """Newest first."""
        query = select(tables.runs.c.id, tables.runs.c.body).order_by(tables.runs.c.seq.desc()).limit(limit)
        if status is not None:
            query = query.where(tables.runs.c.status == status)
        with self._reader.connect() as connection:
            return [decoded("run", row.id, row.body, Run) for row in connection.execute(query)]

    # memo ------------------------------------------------------------------------------------------------------
    def recall(self, kind: str, keys: Iterable[str]) -> dict[str, bytes]:
        """What is remembered of these keys; unknown ones, and those whose bytes were changed since, are absent."""
        with self._reader.connect() as connection:
            return {row.key: row.value for row in remembered(connection, kind, keys) if sound(row)}

    def remember(self, kind: str, values: Mapping[str, bytes]) -> None:
        """Remember results of pure work, all or none of them. The first result stays, unless its bytes were changed."""
        if not values:
            return
        at, memo = now(), tables.memo
        rows = [
            {"kind": kind, "key": key, "value": value, "digest": digest_bytes(value), "at": at}
            for key, value in sorted(values.items())  # in one order, so that two who remember the same do not block
        ]
        with self.engine.begin() as connection:
            for row in remembered(connection, kind, values):
                if not sound(row):
                    connection.execute(delete(memo).where(memo.c.kind == kind, memo.c.key == row.key))
            connection.execute(self.database.upsert(memo).on_conflict_do_nothing(), rows)

    def remembered(self, kind: str) -> list[tuple[str, str]]:
        """(kind, key) of all that is remembered of a kind."""
        query = select(tables.memo.c.kind, tables.memo.c.key).where(tables.memo.c.kind == kind)
        with self._reader.connect() as connection:
            return [(row.kind, row.key) for row in connection.execute(query)]

    # channels --------------------------------------------------------------------------------------------------
    def promote(self, channel: str, release: str, *, by: str, why: str, action: str = "promote") -> None:
        """Point a channel at a release, by digest; one row, so it is atomic, and history is kept."""
        row = {"channel": channel, "release": release, "at": now(), "by": by, "why": why, "action": action}
        self._enter(tables.promotions, row)

    def channels(self) -> dict[str, str]:
        """Channel -> digest of the release it points at."""
        last = select(func.max(tables.promotions.c.seq)).group_by(tables.promotions.c.channel)
        query = select(tables.promotions.c.channel, tables.promotions.c.release)
        with self._reader.connect() as connection:
            rows = connection.execute(query.where(tables.promotions.c.seq.in_(last)).order_by("channel"))
            return {row.channel: row.release for row in rows}

    def history(self, channel: str | None = None) -> list[dict[str, Any]]:
        """Promotions and rollbacks, newest first: channel, release, at, by, why, action."""
        query = select(tables.promotions).order_by(tables.promotions.c.seq.desc())
        if channel is not None:
            query = query.where(tables.promotions.c.channel == channel)
        with self._reader.connect() as connection:
            return [plain(row) for row in connection.execute(query)]

    def release(self, digest: str) -> Release:
        """A release by digest or its beginning."""
        return self.get("release", digest, Release)

    # the ledger ------------------------------------------------------------------------------------------------
    def _enter(self, table: Table, row: dict[str, Any], **more: Any) -> None:
        """Write a row, with `more` that is not entered, and its entry in the ledger, both or neither."""
        with self.engine.begin() as connection:
            self.database.alone(connection)
            self._write(connection, table, row, **more)

    def _write(self, connection: Connection, table: Table, row: dict[str, Any], **more: Any) -> int:
        """`_enter` within a transaction that is alone; returns the row's number where the table numbers its rows."""
        made = connection.execute(insert(table).values({**row, **more})).inserted_primary_key
        seq = int(made[0]) if made and table.c.seq.primary_key else 0
        ledger.append(connection, str(table.name), {**row, "seq": seq} if seq else row)
        return seq

    def head(self) -> str:
        """`<entries>:<digest>`: stands for every promotion, look at the gate and key up to now."""
        with self._reader.connect() as connection:
            return ledger.head(connection)

    def verify_history(self, anchors: Iterable[str] = ()) -> str:
        """Follow the ledger from its beginning; every release, and each of `anchors`, must stand on a part of it.

        Returns the head. Raises IntegrityError where history was deleted, changed or put in by hand.
        """
        kept = [release.history for _, release in self.list("release", Release) if release.history]
        with self.database.snapshot.connect() as connection:
            return ledger.verify(connection, [*kept, *anchors])

    # gate ------------------------------------------------------------------------------------------------------
    def look(
        self, examples: Collection[str], kind: Kind, candidates: Sequence[str], asked: str, project: str, who: str
    ) -> Look:
        """Enter a look at these gate examples; the one there is when the same was asked about the same ones before."""
        ids, uses = sorted(set(examples)), tables.gate_uses
        row = {"split": digest_of(ids), "candidate": " ".join(candidates), "at": now(), "kind": kind}
        row |= {name: value for name, value in (("asked", asked), ("project", project), ("who", who)) if value}
        same = select(uses).where(uses.c.split == row["split"], uses.c.asked == asked, uses.c.kind == kind)
        with self.engine.begin() as connection:
            self.database.alone(connection)
            found = connection.execute(same.order_by(uses.c.seq).limit(1)).first()
            if found is None or not asked:
                seq = self._write(connection, uses, row)
                rows = [{"look": seq, "example": example} for example in ids]
                connection.execute(insert(tables.gate_examples), rows)
                found = connection.execute(select(uses).where(uses.c.seq == seq)).one()
            return _look(found)

    def looks(self, examples: Collection[str], older: Collection[str] = ()) -> list[Look]:
        """Every look at any of these examples, the first first. `older`: digests of lists of gate examples under which
        an older version counted uses of some of them.
        """
        ids, uses, of = sorted(set(examples)), tables.gate_uses, tables.gate_examples
        found: dict[int, Look] = {}
        with self._reader.connect() as connection:
            for start in range(0, len(ids), 500):
                part = select(of.c.look).where(of.c.example.in_(ids[start : start + 500]))
                found |= {row.seq: _look(row) for row in connection.execute(select(uses).where(uses.c.seq.in_(part)))}
            before = select(uses).where(uses.c.split.in_(sorted(older)), uses.c.kind == "")
            found |= {row.seq: _look(row) for row in connection.execute(before)}
        return [look for _, look in sorted(found.items())]

    # traces and feedback ---------------------------------------------------------------------------------------
    def add_traces(self, traces: Sequence[Trace], feedback: Sequence[Feedback] = ()) -> None:
        """Write traces and feedback in one transaction: one sync to disk for all of them."""
        with self.engine.begin() as connection:
            if traces:  # plain SQL: while serving this is written thousands of times a second, and costs 40% less so
                connection.exec_driver_sql(self._add_trace, [self._trace_row(trace) for trace in traces])
            if feedback:
                rows = [{"id": f.id, "trace": f.trace, "at": f.at, "body": canonical(f)} for f in feedback]
                connection.execute(insert(tables.feedback), rows)

    def trace(self, id: str) -> Trace:
        """One trace by its id or the unambiguous beginning of one (8 characters or more); raises NotFound."""
        whole = tables.traces.c.id
        query = select(whole, tables.traces.c.body).limit(_LISTED)
        with self._reader.connect() as connection:
            rows = connection.execute(query.where(whole == id)).all()
            if not rows and len(id) >= _SHORTEST:
                rows = connection.execute(query.where(whole.startswith(id, autoescape=True)).order_by(whole)).all()
        if len(rows) > 1:
            raise ambiguous(id, [row.id for row in rows])
        if not rows:
            raise NotFound(
                t("no trace has the id {id}", id=id),
                t("every answer carries its trace id in the header x-slipway-trace"),
            )
        return decoded("trace", rows[0].id, rows[0].body, Trace)

    def traces(
        self, limit: int = 50, after: int = 0, channel: str | None = None, wanted: Wanted | None = None
    ) -> list[tuple[int, Trace]]:
        """(sequence number, trace), newest first; `after` leaves out what is older or equal."""
        wanted = wanted or Wanted(channel=channel)
        with self._reader.connect() as connection:
            return list(islice(trace_search.traces(connection, self.database.kind, self.index, after, wanted), limit))

    def traffic(self, since: str) -> Traffic:
        """What was served since a moment (RFC 3339, UTC), counted."""
        with self._reader.connect() as connection:
            return traffic(connection, since, self.index)

    def newer(self, trace: str, wanted: Wanted | None = None) -> str:
        """Id of the trace that was written next after this one, of those that are wanted (whose `before` does not
        matter); empty where there is none, and after one that is not kept.
        """
        with self._reader.connect() as connection:
            return trace_search.newer(connection, self.database.kind, self.index, trace, wanted or Wanted())

    def feedback(self, trace: str | None = None, limit: int = 1000) -> list[Feedback]:
        """Feedback, newest first."""
        query = select(tables.feedback.c.id, tables.feedback.c.body).order_by(tables.feedback.c.seq.desc()).limit(limit)
        if trace is not None:
            query = query.where(tables.feedback.c.trace == trace)
        with self._reader.connect() as connection:
            return [decoded("feedback", row.id, row.body, Feedback) for row in connection.execute(query)]

    def feedback_on(self, traces: Sequence[str]) -> dict[str, list[Feedback]]:
        """Trace -> feedback on it, newest first; those without any are absent."""
        of, found = tables.feedback.c, dict[str, list[Feedback]]()
        query = select(of.id, of.body).where(of.trace.in_(traces)).order_by(of.seq.desc())
        with self._reader.connect() as connection:
            for row in connection.execute(query):
                said = decoded("feedback", row.id, row.body, Feedback)
                found.setdefault(said.trace, []).append(said)
        return found

    def try_writing(self) -> None:
        """Write and delete a piece as large as a long trace; raises the SlipwayError that says why it cannot."""
        memo = tables.memo
        row = {"kind": "try", "key": uuid4().hex, "value": bytes(TRIED)}
        with self.engine.begin() as connection:
            connection.execute(insert(memo).values(row))
        with self.engine.begin() as connection:
            connection.execute(delete(memo).where(memo.c.kind == "try"))

    # keys ------------------------------------------------------------------------------------------------------
    def add_key(self, id: str, name: str, hash_: str, scopes: str = "", tenant: str = "") -> None:
        """Store an API key's hash. `scopes`: with spaces between them; empty: all."""
        row = {"id": id, "name": name, "hash": hash_, "at": now()}
        row |= {name: value for name, value in (("scopes", scopes), ("tenant", tenant)) if value}
        self._enter(tables.keys, row, seq=_next(tables.keys))

    def api_keys(self) -> list[dict[str, Any]]:
        """Every key, revoked ones too: id, name, hash, at, revoked, scopes, tenant."""
        columns = [column for column in tables.keys.c if column.name != "seq"]
        with self._reader.connect() as connection:
            return [plain(row) for row in connection.execute(select(*columns).order_by(tables.keys.c.seq))]

    def revoke_key(self, id: str) -> bool:
        """Returns whether there was such a key, not yet revoked."""
        change, at = update(tables.keys).where(tables.keys.c.id == id, tables.keys.c.revoked.is_(None)), now()
        with self.engine.begin() as connection:
            self.database.alone(connection)
            found = connection.execute(change.values(revoked=at)).rowcount == 1
            if found:
                ledger.append(connection, ledger.REVOKED, {"id": id, "at": at})
            return found


def _look(row: Row[Any]) -> Look:
    return Look(
        seq=row.seq, at=row.at, kind=row.kind or "use", examples=row.split, candidates=tuple(row.candidate.split()),
        asked=row.asked, project=row.project, who=row.who,
    )  # fmt: skip


def _next(table: Table) -> Any:
    """The number after the highest in a table; the caller must be alone."""
    return select(func.coalesce(func.max(table.c.seq), 0) + 1).scalar_subquery()


_TRACE = ("id", "at", "channel", "release", "status", "seconds", "body")


def _trace_insert(database: Database) -> tuple[str, Callable[[Trace], Any]]:
    """The statement that inserts a trace, in the database's own words, and what makes its parameters."""
    compiled = insert(tables.traces).inline().compile(dialect=database.engine.dialect, column_keys=_TRACE)
    return str(compiled), _trace_row if compiled.positional else lambda trace: dict(
        zip(_TRACE, _trace_row(trace), strict=True)
    )


def _trace_row(trace: Trace) -> tuple[Any, ...]:
    body = msgspec.json.encode(trace)
    return trace.id, trace.at, trace.channel, trace.release, trace.status, trace.seconds, body
