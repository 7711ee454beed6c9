"""`slipway store verify`: is every row, blob and entry of the history what it was, and is nothing pointed at missing?

Only reads; safe while a server answers. What a release pins outside the store (model files) is `release verify`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal, cast

import msgspec
from sqlalchemy import Connection, Table, select

from slipway.core.erasure import ERASURE, Erasure
from slipway.core.ref import decoder_of, digest_bytes
from slipway.core.run import Run
from slipway.core.trace import Feedback, Trace
from slipway.errors import SlipwayError
from slipway.files import UNDECODABLE
from slipway.i18n import t
from slipway.store import tables
from slipway.store.store import Store

NOUNS = ("dataset", "candidate", "report", "verdict", "release")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Problem(msgspec.Struct, frozen=True):
    """One thing that is not as it was. `forgotten` is harmless: remembered work that is computed again. `erased` is
    meant: somebody had what came from a trace or a user taken out.
    """

    kind: Literal["database", "row", "blob", "missing", "history", "forgotten", "erased"]
    what: str
    how: str = ""  # what to do about it


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked at and found. `head`: of the history, empty when that was changed."""

    rows: dict[str, int]
    blobs: int
    bytes: int
    head: str
    problems: list[Problem]

    @property
    def sound(self) -> bool:
        """Whether nothing is lost or changed."""
        return all(problem.kind in ("forgotten", "erased") for problem in self.problems)


def verify(store: Store, heads: Iterable[str] = ()) -> Verified:
    """Read everything. `heads`: of the history, kept elsewhere; it must still stand on them."""
    problems: list[Problem] = []
    rows: dict[str, int] = {}
    with store.sweeping(shared=True):
        with store.catalog.database.snapshot.connect() as connection:
            problems += [Problem("database", what) for what in store.catalog.database.check(connection)]
            for table in tables.metadata.sorted_tables:
                counted = _Table(table)
                problems += counted.look(connection)
                rows[str(table.name)] = counted.rows
            problems += _dangling(store, connection)
            owners = _owners(connection)
        blobs, size = 0, 0
        for path in store.blobs.files():
            blobs += 1
            try:
                store.blobs.verify(path.name)
                size += path.stat().st_size
            except SlipwayError as error:
                problems.append(_damaged(path.name, owners.get(path.name, []), error))
    head = ""
    try:
        head = store.catalog.verify_history(heads)
    except SlipwayError as error:
        problems.append(Problem("history", error.message))
    return Verified(rows=rows, blobs=blobs, bytes=size, head=head, problems=problems)


class _Table:
    """One table's rows, one by one."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self.rows = 0

    def look(self, connection: Connection) -> Iterator[Problem]:
        query = select(self._table).order_by(*self._table.primary_key.columns)
        for row in connection.execution_options(yield_per=500).execute(query):
            self.rows += 1
            what = _wrong(str(self._table.name), row)
            if what:
                forgotten = self._table.name == "memo"
                yield Problem("forgotten" if forgotten else "row", what, "" if forgotten else _restore())


_TYPES = {"runs": Run, "traces": Trace, "feedback": Feedback}


def _wrong(table: str, row: Any) -> str:
    """What is wrong with a row, or nothing."""
    if table == "nouns" and digest_bytes(_raw(row.body)) != row.digest:
        return t("{kind} {digest} does not match its digest", kind=row.kind, digest=row.digest[:12])
    if table == "memo" and digest_bytes(_raw(row.value)) != row.digest:
        return t("what is remembered as {kind} {digest} was changed", kind=row.kind, digest=row.key[:12])
    if table in _TYPES:
        try:
            found = decoder_of(_TYPES[table]).decode(row.body)
        except UNDECODABLE as error:
            return t("{kind} {id} in the catalog cannot be read: {why}", kind=table, id=row.id, why=error)
        if found.id != row.id:
            return t("{kind} {id} in the catalog cannot be read: {why}", kind=table, id=row.id, why=found.id)
    return ""


def _raw(body: Any) -> bytes:
    return body if isinstance(body, bytes) else str(body).encode()


def _dangling(store: Store, connection: Connection) -> Iterator[Problem]:
    """What nouns and channels point at and is not there."""
    columns = (tables.nouns.c.kind, tables.nouns.c.name, tables.nouns.c.digest)
    held = {(row.kind, row.digest) for row in connection.execute(select(*columns))}
    missing: dict[str, tuple[str, str]] = {}  # what -> by whom, and the kind of that
    for row in connection.execution_options(yield_per=500).execute(select(tables.nouns)):
        by = f"{row.kind}:{row.name}@{row.digest[:12]}"
        try:
            noun = msgspec.json.decode(row.body)
        except UNDECODABLE:
            continue  # told above
        for kind, digest in _refs(noun):
            if kind in NOUNS and (kind, digest) not in held:
                missing[f"{kind} {digest[:12]}"] = by, ""
        for digest in _blobs(row.kind, noun):
            before = missing.get(f"blob {digest[:12]}")
            if not store.blobs.has(digest) and (before is None or before[1] == "release"):
                missing[f"blob {digest[:12]}"] = by, f"{row.kind}:{noun.get('kind', '')}"
    for row in connection.execute(select(tables.promotions.c.channel, tables.promotions.c.release).distinct()):
        if ("release", row.release) not in held:
            missing[f"release {row.release[:12]}"] = row.channel, ""
    erased = _erased(connection)
    yield from (_missing(what, by, kind, erased.get(what, "")) for what, (by, kind) in missing.items())


def _missing(what: str, by: str, kind: str, erased: str) -> Problem:
    """`erased`: when it was deleted on purpose; empty: it was not."""
    if not erased:
        return Problem("missing", t("{what} is not there, and {by} points at it", what=what, by=by), _remedy(kind))
    day = erased[:10]
    return Problem(
        "erased",
        t("{what}, which {by} points at, was deleted on {day} by `slipway data forget`", what=what, by=by, day=day),
        t("`slipway run` makes what follows from it again, without what was forgotten"),
    )


def _erased(connection: Connection) -> dict[str, str]:
    """What was deleted on purpose -> when."""
    found: dict[str, str] = {}
    query = select(tables.nouns.c.body, tables.nouns.c.at).where(tables.nouns.c.kind == ERASURE)
    for row in connection.execute(query):
        try:
            noun = decoder_of(Erasure).decode(row.body)
        except UNDECODABLE:
            continue  # told as a row that does not match its digest
        found |= {f"blob {digest[:12]}": noun.at for digest in noun.blobs}
        found |= {f"candidate {digest[:12]}": noun.at for digest in noun.candidates}
    return found


def _refs(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        found = cast("dict[str, Any]", value)
        if found.keys() == {"kind", "name", "digest"}:
            yield str(found["kind"]), str(found["digest"])
        for inner in found.values():
            yield from _refs(inner)
    elif isinstance(value, list):
        for inner in cast("list[Any]", value):
            yield from _refs(inner)


def _blobs(kind: str, noun: Any) -> Iterator[str]:
    named: list[Any] = []
    if kind == "dataset":
        named = [noun.get("items"), noun.get("changes")]
    elif kind == "report":
        named = [noun.get("scores")]
    elif kind == "release":
        named = [digest for what, digest in noun.get("pins", {}).items() if what.startswith("blob:")]
    elif kind == "artifact":
        named = [*noun.get("files", {}).values(), noun.get("log")]
    yield from (digest for digest in named if isinstance(digest, str) and _DIGEST.fullmatch(digest))


def _owners(connection: Connection) -> dict[str, list[tuple[str, str]]]:
    """Blob -> (noun, its kind) of each that names it; what was made before what pins it."""
    found: dict[str, list[tuple[str, str]]] = {}
    for row in connection.execution_options(yield_per=500).execute(select(tables.nouns)):
        try:
            noun = msgspec.json.decode(row.body)
        except UNDECODABLE:
            continue  # told above
        for digest in _blobs(row.kind, noun):
            kind = f"{row.kind}:{noun.get('kind', '')}"
            found.setdefault(digest, []).append((f"{row.kind}:{row.name}@{row.digest[:12]}", kind))
    return {digest: sorted(those, key=lambda one: one[1].startswith("release")) for digest, those in found.items()}


def _damaged(digest: str, owners: list[tuple[str, str]], error: SlipwayError) -> Problem:
    if not owners:
        return Problem("blob", error.message, t("nothing points at it: `slipway store gc` deletes it"))
    names = ", ".join(name for name, _ in owners[:3])
    what = t("blob {digest}, which is of {names}, is damaged: {why}", digest=digest[:12], names=names, why=error.said)
    return Problem("blob", what, _remedy(owners[0][1]))


def _remedy(kind: str) -> str:
    """How what a noun of this kind names is made again."""
    stage = {"dataset": "data", "report": "evaluate", "artifact": "adapt"}.get(kind.partition(":")[0])
    if stage is None:
        return _restore()
    return t(
        "`{command}` makes it again where the project's files and settings are still those it was made from; else "
        "restore it from a backup",
        command=f"slipway run {stage if stage != 'evaluate' else 'release'}",
    )


def _restore() -> str:
    return t("restore it from a backup: `slipway store restore FILE`")
