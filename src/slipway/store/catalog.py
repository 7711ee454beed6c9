"""What exists and what happened: nouns, runs, memoised work, channels, traces, feedback, keys. SQLAlchemy Core on
SQLite (WAL, synchronous=FULL: a commit that returned survives `kill -9` and a power cut).

Safe for several threads and processes. Knows no stage: it stores what it is given and finds it again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, Engine, Row, create_engine, event, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DatabaseError

from slipway.core.ref import Noun, Ref, canonical
from slipway.core.release import Release
from slipway.core.run import Run
from slipway.core.trace import Feedback, Trace
from slipway.errors import ConfigError, IntegrityError, NotFound
from slipway.files import UNDECODABLE
from slipway.i18n import t
from slipway.store import tables

N = TypeVar("N", bound=Noun)


# Codes of errors that the file is to blame for; 0 is what Python itself says of texts that are not UTF-8.
_DAMAGE = (0, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_READONLY)


def now() -> str:
    """The present instant as RFC 3339 in UTC, with microseconds: texts sort by time."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Catalog:
    """An open catalog. `close` it, or leave it to the end of the process: nothing is pending."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.engine: Engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 30})
        event.listen(self.engine, "connect", _prepare)
        event.listen(self.engine, "begin", _begin)
        event.listen(self.engine, "handle_error", self._failed)
        self._reader = self.engine.execution_options(read=True)
        try:
            with self.engine.begin() as connection:
                found = tables.migrate(connection)
        except (DatabaseError, ValueError) as error:
            raise _no_catalog(path, getattr(error, "orig", None) or error) from error
        if found > len(tables.MIGRATIONS):
            raise ConfigError(t("{path} was written by a newer Slipway", path=path), "pip install -U 'slipway-ai'")

    def _failed(self, context: ExceptionContext) -> None:
        """What the file itself is to blame for is said in words; a lock that is held stays what it is."""
        error = context.original_exception
        if isinstance(error, UnicodeDecodeError):
            raise _no_catalog(self.path, error) from error
        if not isinstance(error, sqlite3.DatabaseError) or isinstance(error, sqlite3.IntegrityError):
            return
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if not isinstance(error, sqlite3.OperationalError) or code in _DAMAGE:
            raise _no_catalog(self.path, error) from error

    def close(self) -> None:
        """Release the file."""
        self.engine.dispose()

    # nouns -----------------------------------------------------------------------------------------------------
    def put(self, kind: str, name: str, noun: Noun) -> Ref:
        """Store a noun; the same noun again is the same row, now the newest of its name."""
        ref = Ref(kind, name, noun.digest)
        row = {"kind": kind, "name": name, "digest": ref.digest, "body": canonical(noun), "at": now()}
        with self.engine.begin() as connection:
            connection.execute(
                upsert(tables.nouns).values(row).on_conflict_do_update(["kind", "digest"], set_={"at": row["at"]})
            )
        return ref

    def get(self, kind: str, digest: str, type_: type[N]) -> N:
        """The noun with this digest, or with this unambiguous beginning of one (8 characters or more)."""
        with self._reader.connect() as connection:
            rows = connection.execute(
                select(tables.nouns.c.digest, tables.nouns.c.body)
                .where(tables.nouns.c.kind == kind, tables.nouns.c.digest.startswith(digest, autoescape=True))
                .limit(2)
            ).all()
        if len(rows) != 1 or len(digest) < 8:
            raise NotFound(
                t("no single {kind} has the digest {digest}", kind=kind, digest=digest),
                t("`slipway data list`, `slipway eval list` and `slipway release list` show what there is"),
            )
        noun = _read(kind, rows[0].digest, rows[0].body, type_)
        if noun.digest != rows[0].digest:
            raise _altered(kind, rows[0].digest)
        return noun

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
            rows = connection.execute(query.order_by(tables.nouns.c.at.desc())).all()
        return [(row.at, _read(kind, row.digest, row.body, type_)) for row in rows]

    # runs ------------------------------------------------------------------------------------------------------
    def record(self, run: Run) -> None:
        """Write a run, or its new state."""
        row = {"id": run.id, "step": run.step, "key": run.key, "status": run.status, "body": canonical(run)}
        with self.engine.begin() as connection:
            connection.execute(upsert(tables.runs).values(row).on_conflict_do_update(["id"], set_=row))

    def finished(self, key: str) -> Run | None:
        """The newest finished run with this key: its output can be used instead of running the step."""
        query = select(tables.runs.c.body).where(tables.runs.c.key == key, tables.runs.c.status == "done")
        with self._reader.connect() as connection:
            body = connection.execute(query.order_by(tables.runs.c.seq.desc()).limit(1)).scalar()
        return None if body is None else _decode(body, Run)

    def runs(self, limit: int = 50, status: str | None = None) -> list[Run]:
        """Newest first."""
        query = select(tables.runs.c.body).order_by(tables.runs.c.seq.desc()).limit(limit)
        if status is not None:
            query = query.where(tables.runs.c.status == status)
        with self._reader.connect() as connection:
            return [_decode(body, Run) for body in connection.execute(query).scalars()]

    # memo ------------------------------------------------------------------------------------------------------
    def recall(self, kind: str, keys: Iterable[str]) -> dict[str, bytes]:
        """What is remembered of these keys; unknown ones are absent."""
        wanted, found = list(keys), dict[str, bytes]()
        with self._reader.connect() as connection:
            for start in range(0, len(wanted), 500):
                part = wanted[start : start + 500]
                query = select(tables.memo.c.key, tables.memo.c.value)
                rows = connection.execute(query.where(tables.memo.c.kind == kind, tables.memo.c.key.in_(part)))
                found.update({row.key: row.value for row in rows})
        return found

    def remember(self, kind: str, values: Mapping[str, bytes]) -> None:
        """Remember results of pure work, all or none of them."""
        if not values:
            return
        rows = [{"kind": kind, "key": key, "value": value} for key, value in values.items()]
        with self.engine.begin() as connection:
            connection.execute(upsert(tables.memo).on_conflict_do_nothing(), rows)

    # channels --------------------------------------------------------------------------------------------------
    def promote(self, channel: str, release: str, *, by: str, why: str, action: str = "promote") -> None:
        """Point a channel at a release, by digest; one row, so it is atomic, and history is kept."""
        row = {"channel": channel, "release": release, "at": now(), "by": by, "why": why, "action": action}
        with self.engine.begin() as connection:
            connection.execute(insert(tables.promotions).values(row))

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
            return [_plain(row) for row in connection.execute(query)]

    def release(self, digest: str) -> Release:
        """A release by digest or its beginning."""
        return self.get("release", digest, Release)

    # gate ------------------------------------------------------------------------------------------------------
    def use_gate(self, split: str, candidate: str) -> int:
        """Count a look at a gate split; returns how many there have been, this one included."""
        with self.engine.begin() as connection:
            connection.execute(insert(tables.gate_uses).values(split=split, candidate=candidate, at=now()))
            query = select(func.count()).select_from(tables.gate_uses).where(tables.gate_uses.c.split == split)
            return int(connection.execute(query).scalar_one())

    # traces and feedback ---------------------------------------------------------------------------------------
    def add_traces(self, traces: Sequence[Trace], feedback: Sequence[Feedback] = ()) -> None:
        """Write traces and feedback in one transaction: one sync to disk for all of them."""
        with self.engine.begin() as connection:
            if traces:  # plain SQL: while serving this is written thousands of times a second, and costs 40% less so
                connection.exec_driver_sql(_ADD_TRACE, [_trace_row(trace) for trace in traces])
            if feedback:
                rows = [{"id": f.id, "trace": f.trace, "at": f.at, "body": canonical(f)} for f in feedback]
                connection.execute(insert(tables.feedback), rows)

    def trace(self, id: str) -> Trace:
        """One trace; raises NotFound."""
        with self._reader.connect() as connection:
            body = connection.execute(select(tables.traces.c.body).where(tables.traces.c.id == id)).scalar()
        if body is None:
            raise NotFound(
                t("no trace has the id {id}", id=id),
                t("every answer carries its trace id in the header x-slipway-trace"),
            )
        return _decode(body, Trace)

    def traces(self, limit: int = 50, after: int = 0, channel: str | None = None) -> list[tuple[int, Trace]]:
        """(sequence number, trace), newest first; `after` leaves out what is older or equal."""
        query = select(tables.traces.c.seq, tables.traces.c.body).where(tables.traces.c.seq > after)
        if channel is not None:
            query = query.where(tables.traces.c.channel == channel)
        with self._reader.connect() as connection:
            rows = connection.execute(query.order_by(tables.traces.c.seq.desc()).limit(limit))
            return [(row.seq, _decode(row.body, Trace)) for row in rows]

    def feedback(self, trace: str | None = None, limit: int = 1000) -> list[Feedback]:
        """Feedback, newest first."""
        query = select(tables.feedback.c.body).order_by(tables.feedback.c.seq.desc()).limit(limit)
        if trace is not None:
            query = query.where(tables.feedback.c.trace == trace)
        with self._reader.connect() as connection:
            return [_decode(body, Feedback) for body in connection.execute(query).scalars()]

    # keys ------------------------------------------------------------------------------------------------------
    def add_key(self, id: str, name: str, hash_: str) -> None:
        """Store an API key's hash."""
        with self.engine.begin() as connection:
            connection.execute(insert(tables.keys).values(id=id, name=name, hash=hash_, at=now()))

    def api_keys(self) -> list[dict[str, Any]]:
        """Every key, revoked ones too: id, name, hash, at, revoked."""
        with self._reader.connect() as connection:
            return [_plain(row) for row in connection.execute(select(tables.keys).order_by(tables.keys.c.at))]

    def revoke_key(self, id: str) -> bool:
        """Returns whether there was such a key, not yet revoked."""
        change = update(tables.keys).where(tables.keys.c.id == id, tables.keys.c.revoked.is_(None))
        with self.engine.begin() as connection:
            return connection.execute(change.values(revoked=now())).rowcount == 1


_ADD_TRACE = "INSERT INTO traces (id, at, channel, release, status, seconds, body) VALUES (?, ?, ?, ?, ?, ?, ?)"


def _trace_row(trace: Trace) -> tuple[Any, ...]:
    body = msgspec.json.encode(trace)
    return trace.id, trace.at, trace.channel, trace.release, trace.status, trace.seconds, body


def _read(kind: str, digest: str, body: bytes, type_: type[N]) -> N:
    try:
        return msgspec.json.decode(body, type=type_)
    except UNDECODABLE as error:
        raise _altered(kind, digest) from error


def _decode(body: bytes, type_: type[N]) -> N:
    try:
        return msgspec.json.decode(body, type=type_)
    except UNDECODABLE as error:
        raise IntegrityError(
            t("a {kind} in the catalog is damaged: {why}", kind=type_.__name__.lower(), why=error),
            t("restore it from a backup; or move it away and run `slipway run` to build a new one"),
        ) from error


def _no_catalog(path: Path, why: object) -> IntegrityError:
    return IntegrityError(
        t("{path} cannot be read as a catalog: {why}", path=path, why=why),
        t("restore it from a backup; or move it away and run `slipway run` to build a new one"),
    )


def _altered(kind: str, digest: str) -> IntegrityError:
    return IntegrityError(
        t("{kind} {digest} does not match its digest", kind=kind, digest=digest[:12]),
        t("it was changed outside this version of Slipway; restore the catalog from a backup, or move .slipway away"),
    )


def _plain(row: Row[Any]) -> dict[str, Any]:
    return dict(row._mapping)  # pyright: ignore[reportPrivateUsage]  # SQLAlchemy's public name for it


def _prepare(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # SQLAlchemy's own advice: we emit BEGIN ourselves, see _begin
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    # IMMEDIATE: a transaction that will write takes the lock at once, instead of failing half-way (SQLITE_BUSY).
    connection.exec_driver_sql("BEGIN" if connection.get_execution_options().get("read") else "BEGIN IMMEDIATE")
