"""The catalog's tables as they are now. Knows no verbs (`catalog`) and no older shapes (`migrations`)."""

from __future__ import annotations

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
    text,
)

metadata = MetaData()
Place = BigInteger().with_variant(Integer(), "sqlite")  # what numbers rows; SQLite numbers only an INTEGER by itself

nouns = Table(  # every frozen noun, as canonical JSON
    "nouns",
    metadata,
    Column("kind", String, nullable=False),
    Column("name", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("at", String, nullable=False),
    Column("seq", Place, nullable=False, server_default="0", index=True),  # the order: a clock may be set back
    PrimaryKeyConstraint("kind", "digest"),
    Index("nouns_by_name", "kind", "name", "at"),
)
runs = Table(
    "runs",
    metadata,
    Column("seq", Place, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("step", String, nullable=False),
    Column("key", String, nullable=False, index=True),
    Column("status", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
memo = Table(  # results of pure work by the digest of all that went into it: parsed documents, vectors, scores
    "memo",
    metadata,
    Column("kind", String, nullable=False),
    Column("key", String, nullable=False),
    Column("value", LargeBinary, nullable=False),
    Column("digest", String),  # sha256 of the value
    Column("at", String, nullable=False, server_default=text("''")),  # when; empty: before this was kept
    PrimaryKeyConstraint("kind", "key"),
)
promotions = Table(  # append-only; a channel points where its last row says
    "promotions",
    metadata,
    Column("seq", Place, primary_key=True, autoincrement=True),
    Column("channel", String, nullable=False, index=True),
    Column("release", String, nullable=False),
    Column("at", String, nullable=False),
    Column("by", String, nullable=False),
    Column("why", String, nullable=False),
    Column("action", String, nullable=False),  # promote | rollback
)
gate_uses = Table(  # every look at a gate split
    "gate_uses",
    metadata,
    Column("seq", Place, primary_key=True, autoincrement=True),
    Column("split", String, nullable=False, index=True),  # digest of the set of example ids; before: of their list
    Column("candidate", String, nullable=False),  # digests, with spaces between them
    Column("at", String, nullable=False),
    Column("kind", String, nullable=False, server_default=text("''")),  # empty: an older version counted it
    Column("asked", String, nullable=False, server_default=text("''")),
    Column("project", String, nullable=False, server_default=text("''")),
    Column("who", String, nullable=False, server_default=text("''")),
)
gate_examples = Table(  # which examples a look was at
    "gate_examples",
    metadata,
    Column("look", Place, nullable=False),  # gate_uses.seq
    Column("example", String, nullable=False, index=True),
    PrimaryKeyConstraint("look", "example"),
)
traces = Table(
    "traces",
    metadata,
    Column("seq", Place, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("at", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("release", String, nullable=False),
    Column("status", Integer, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
feedback = Table(
    "feedback",
    metadata,
    Column("seq", Place, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("trace", String, nullable=False, index=True),
    Column("at", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
keys = Table(
    "keys",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("hash", String, nullable=False),
    Column("at", String, nullable=False),
    Column("revoked", String),
    Column("seq", Place, nullable=False, server_default="0"),  # the order in which they were made
    Column(
        "scopes", String, nullable=False, server_default=text("''")
    ),  # with spaces between them; empty: all there are
    Column("tenant", String, nullable=False, server_default=text("''")),
)
ledger = Table(  # what was decided, each entry bound to all before it: see `ledger`
    "ledger",
    metadata,
    Column("seq", Place, primary_key=True, autoincrement=False),  # 1, 2, 3, ... without a gap
    Column("body", LargeBinary, nullable=False),
    Column("digest", String, nullable=False),
)
watch_states = Table(  # what the monitor knows between two looks, as JSON, by name
    "watch_states",
    metadata,
    Column("name", String, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
watch_units = Table(  # what a comparison with earlier traffic is learnt from: values of one user's questions
    "watch_units",
    metadata,
    Column("seq", Place, primary_key=True, autoincrement=True),
    Column("name", String, nullable=False, index=True),
    Column("place", Float, nullable=False),  # drawn from [0, 1): which units stay when there are too many
    Column("body", LargeBinary, nullable=False),
)
watch_hours = Table(  # sums for pictures
    "watch_hours",
    metadata,
    Column("channel", String, nullable=False),
    Column("metric", String, nullable=False),
    Column("hour", String, nullable=False),
    Column("n", Integer, nullable=False),
    Column("total", Float, nullable=False),
    PrimaryKeyConstraint("channel", "metric", "hour"),
)
alerts = Table(
    "alerts",
    metadata,
    Column("seq", Place, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("at", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
deliveries = Table(  # of an alert to a sink, until it arrived
    "deliveries",
    metadata,
    Column("alert", String, nullable=False),
    Column("sink", String, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("due", String, nullable=False, index=True),  # when it is tried next; empty: it arrived, or was given up
    Column("done", String, nullable=False),  # when it arrived
    Column("error", String, nullable=False),
    PrimaryKeyConstraint("alert", "sink"),
)
