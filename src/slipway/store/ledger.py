"""The record of what was decided: promotions, looks at the gate, keys. Each entry carries the digest of all before it.

An entry is a row `(seq, body, digest)`; `digest` is the SHA-256 of the digest before it and `body`. The tables
`promotions`, `gate_uses` and `keys` must say exactly what the entries say: a row that was deleted, changed or put in
by hand shows. The head, `<entries>:<digest>`, stands for all of it. Who can write the file can also write a whole
new ledger; that shows only where an older head was kept: every release keeps one, and so may a person.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Table, insert, select

from slipway.core.ref import canonical, digest_of
from slipway.errors import IntegrityError
from slipway.i18n import t
from slipway.store import tables

BEGIN = "0" * 64
_COLUMNS = {
    "promotions": ("seq", "channel", "release", "at", "by", "why", "action"),
    "gate_uses": ("seq", "split", "candidate", "at", "kind", "asked", "project", "who"),
    "keys": ("id", "name", "hash", "at", "scopes", "tenant"),
}
_LATER = frozenset(
    ("scopes", "tenant", "kind", "asked", "project", "who")
)  # columns that are entered only where they say something
_TABLES: Mapping[str, Table] = {"promotions": tables.promotions, "gate_uses": tables.gate_uses, "keys": tables.keys}
REVOKED = "revoked"


def append(connection: Connection, what: str, entry: Mapping[str, Any]) -> None:
    """Add an entry, in the transaction that writes the row it is about; it must be alone (`Database.alone`)."""
    place, last = _last(connection)
    body = canonical({"what": what, **entry})
    connection.execute(insert(tables.ledger).values(seq=place + 1, body=body, digest=_next(last, body)))


def _last(connection: Connection) -> tuple[int, str]:
    query = select(tables.ledger.c.seq, tables.ledger.c.digest).order_by(tables.ledger.c.seq.desc()).limit(1)
    row = connection.execute(query).first()
    return (row.seq, row.digest) if row else (0, BEGIN)


def _next(before: str, body: bytes) -> str:
    return hashlib.sha256(before.encode() + body).hexdigest()


def head(connection: Connection) -> str:
    """`<entries>:<digest>` of the newest entry."""
    place, digest = _last(connection)
    return f"{place}:{digest}"


def verify(connection: Connection, anchors: Iterable[str] = ()) -> str:
    """Follow the ledger from its first entry, compare the tables and the `anchors` (older heads) with it.

    Returns the head. Raises IntegrityError at the first difference.
    """
    entries = connection.execute(select(tables.ledger).order_by(tables.ledger.c.seq)).all()
    told = _follow(entries)
    for what in _COLUMNS:
        if told[what] != _rows(connection, what):
            raise _rewritten(t("the table {name} does not say what was entered", name=what))
    if {row["seq"]: row["split"] for row in told["gate_uses"] if "kind" in row} != _looked_at(connection):
        raise _rewritten(t("the table {name} does not say what was entered", name="gate_examples"))
    if {row["id"]: row["at"] for row in told[REVOKED]} != _revoked(connection):
        raise _rewritten(t("the table {name} does not say what was entered", name="keys"))
    heads = {f"{row.seq}:{row.digest}" for row in entries} | {f"0:{BEGIN}"}
    for anchor in anchors:
        if anchor not in heads:
            raise _rewritten(t("the head {head}, kept from earlier, is not in it", head=anchor[:24]))
    return head(connection)


def _follow(entries: Sequence[Row[Any]]) -> dict[str, list[dict[str, Any]]]:
    told: dict[str, list[dict[str, Any]]] = {what: [] for what in (*_COLUMNS, REVOKED)}
    before = BEGIN
    for place, row in enumerate(entries, 1):
        before = _next(before, row.body) if isinstance(row.body, bytes) else ""
        if row.seq != place or row.digest != before:
            raise _rewritten(t("entry {n} does not follow from those before it", n=place))
        try:
            entry = msgspec.json.decode(row.body, type=dict[str, Any])
            what = entry.pop("what")
            entry.pop("adopted", None)
            told[what].append(entry)
        except (msgspec.MsgspecError, KeyError) as error:
            raise _rewritten(t("entry {n} cannot be read", n=place)) from error
    return told


def _rows(connection: Connection, what: str) -> list[dict[str, Any]]:
    columns = [_TABLES[what].c[name] for name in _COLUMNS[what]]
    found = connection.execute(select(*columns).order_by(_TABLES[what].c.seq))
    rows = (zip(_COLUMNS[what], row, strict=True) for row in found)
    return [{name: value for name, value in row if value or name not in _LATER} for row in rows]


def _looked_at(connection: Connection) -> dict[int, str]:
    """Look -> digest of its examples."""
    found: dict[int, list[str]] = {}
    for row in connection.execute(select(tables.gate_examples)):
        found.setdefault(row.look, []).append(row.example)
    return {look: digest_of(sorted(examples)) for look, examples in found.items()}


def _revoked(connection: Connection) -> dict[str, str]:
    query = select(tables.keys.c.id, tables.keys.c.revoked).where(tables.keys.c.revoked.is_not(None))
    return {row.id: row.revoked for row in connection.execute(query)}


def _rewritten(what: str) -> IntegrityError:
    return IntegrityError(
        t("the history of this project was changed outside Slipway: {what}", what=what),
        t(
            "compare the catalog with a backup, and ask who can write to .slipway; `slipway release list` shows what "
            "the history says now"
        ),
    )
