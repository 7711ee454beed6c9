"""The catalog's tables as they are now. Knows no verbs (`catalog`) and no older shapes (`migrations`)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
    text,
)

metadata = MetaData()
Place = BigInteger().with_variant(Integer(), "sqlite")  # what numbers rows; SQLite numbers only an INTEGER by itself


def _seq() -> Column[Any]:
    """What numbers rows in the order in which they came."""
    return Column("seq", Place, primary_key=True, autoincrement=True)


def _id() -> Column[Any]:
    """A name that no other row of the table has."""
    return Column("id", String, nullable=False, unique=True)


def _text(*names: str, indexed: bool = False) -> list[Column[Any]]:
    """Text that is always there."""
    return [Column(name, String, nullable=False, index=indexed) for name in names]


def _later(*names: str) -> list[Column[Any]]:
    """Text that older versions did not keep: empty in their rows."""
    return [Column(name, String, nullable=False, server_default=text("''")) for name in names]


def _bytes(name: str = "body") -> Column[Any]:
    """A noun as canonical JSON, or other bytes."""
    return Column(name, LargeBinary, nullable=False)


def _numbers(kind: type[Integer | Float[Any]], *names: str) -> list[Column[Any]]:
    """Numbers that are always there."""
    return [Column(name, kind, nullable=False) for name in names]


nouns = Table(  # every frozen noun
    "nouns",
    metadata,
    *_text("kind", "name", "digest"),
    _bytes(),
    *_text("at"),
    Column("seq", Place, nullable=False, server_default="0", index=True),  # the order: a clock may be set back
    PrimaryKeyConstraint("kind", "digest"),
    Index("nouns_by_name", "kind", "name", "at"),
)
runs = Table("runs", metadata, _seq(), _id(), *_text("step"), *_text("key", indexed=True), *_text("status"), _bytes())
memo = Table(  # results of pure work by the digest of all that went into it: parsed documents, vectors, scores
    "memo",
    metadata,
    *_text("kind", "key"),
    _bytes("value"),
    Column("digest", String),  # sha256 of the value
    *_later("at"),  # when; empty: before this was kept
    PrimaryKeyConstraint("kind", "key"),
)
promotions = Table(  # append-only; a channel points where its last row says. `action`: promote | rollback
    "promotions",
    metadata,
    _seq(),
    *_text("channel", indexed=True),
    *_text("release", "at", "by", "why", "action"),
)
gate_uses = Table(  # every look at a gate split. `kind`: empty where an older version counted it
    "gate_uses",
    metadata,
    _seq(),
    *_text("split", indexed=True),  # digest of the set of example ids; before: of their list
    *_text("candidate", "at"),  # candidates: digests, with spaces between them
    *_later("kind", "asked", "project", "who"),
)
gate_examples = Table(  # which examples a look (gate_uses.seq) was at
    "gate_examples",
    metadata,
    Column("look", Place, nullable=False),
    *_text("example", indexed=True),
    PrimaryKeyConstraint("look", "example"),
)
traces = Table(
    "traces",
    metadata,
    _seq(),
    _id(),
    *_text("at", "channel", "release"),
    *_numbers(Integer, "status"),
    *_numbers(Float, "seconds"),
    _bytes(),
)
feedback = Table("feedback", metadata, _seq(), _id(), *_text("trace", indexed=True), *_text("at"), _bytes())
keys = Table(  # `scopes`: with spaces between them; empty: all there are
    "keys",
    metadata,
    Column("id", String, primary_key=True),
    *_text("name", "hash", "at"),
    Column("revoked", String),
    Column("seq", Place, nullable=False, server_default="0"),  # the order in which they were made
    *_later("scopes", "tenant"),
)
ledger = Table(  # what was decided, each entry bound to all before it: see `ledger`
    "ledger",
    metadata,
    Column("seq", Place, primary_key=True, autoincrement=False),  # 1, 2, 3, ... without a gap
    _bytes(),
    *_text("digest"),
)
watch_states = Table(  # what the monitor knows between two looks, as JSON, by name
    "watch_states",
    metadata,
    Column("name", String, primary_key=True),
    *_numbers(Integer, "version"),
    _bytes(),
)
watch_units = Table(  # what a comparison with earlier traffic is learnt from: values of one user's questions
    "watch_units",
    metadata,
    _seq(),
    *_text("name", indexed=True),
    *_numbers(Float, "place"),  # drawn from [0, 1): which units stay when there are too many
    _bytes(),
)
watch_hours = Table(  # sums for pictures
    "watch_hours",
    metadata,
    *_text("channel", "metric", "hour"),
    *_numbers(Integer, "n"),
    *_numbers(Float, "total"),
    PrimaryKeyConstraint("channel", "metric", "hour"),
)
alerts = Table("alerts", metadata, _seq(), _id(), *_text("at"), _bytes())
deliveries = Table(  # of an alert to a sink, until it arrived
    "deliveries",
    metadata,
    *_text("alert", "sink"),
    *_numbers(Integer, "tries"),
    *_text("due", indexed=True),  # when it is tried next; empty: it arrived, or was given up
    *_text("done", "error"),  # done: when it arrived
    PrimaryKeyConstraint("alert", "sink"),
)
label_queues = Table("label_queues", metadata, _seq(), Column("name", String, nullable=False, unique=True), _bytes())
label_items = Table("label_items", metadata, _seq(), _id(), *_text("queue", indexed=True), _bytes())  # in their order
judgements = Table(  # `slot`: `by:NAME`, or `settled`; one judgement of each is kept
    "judgements",
    metadata,
    _seq(),
    _id(),
    *_text("queue", indexed=True),
    *_text("item", "slot"),
    _bytes(),
    UniqueConstraint("item", "slot"),
)
label_claims = Table(  # who is looking at which item, for some minutes
    "label_claims", metadata, *_text("item", "by", "at"), PrimaryKeyConstraint("item", "by")
)
