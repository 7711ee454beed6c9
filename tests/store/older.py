"""Catalogs as older versions of Slipway wrote them, by the statements that they ran. Frozen: never edit them."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from pathlib import Path

FIRST = """
CREATE TABLE nouns (
	kind VARCHAR NOT NULL, name VARCHAR NOT NULL, digest VARCHAR NOT NULL, body BLOB NOT NULL, at VARCHAR NOT NULL,
	PRIMARY KEY (kind, digest)
);
CREATE INDEX nouns_by_name ON nouns (kind, name, at);
CREATE TABLE runs (
	seq INTEGER NOT NULL, id VARCHAR NOT NULL, step VARCHAR NOT NULL, "key" VARCHAR NOT NULL, status VARCHAR NOT NULL,
	body BLOB NOT NULL, PRIMARY KEY (seq), UNIQUE (id)
);
CREATE INDEX ix_runs_key ON runs ("key");
CREATE TABLE memo (
	kind VARCHAR NOT NULL, "key" VARCHAR NOT NULL, value BLOB NOT NULL, PRIMARY KEY (kind, "key")
);
CREATE TABLE promotions (
	seq INTEGER NOT NULL, channel VARCHAR NOT NULL, "release" VARCHAR NOT NULL, at VARCHAR NOT NULL,
	"by" VARCHAR NOT NULL, why VARCHAR NOT NULL, action VARCHAR NOT NULL, PRIMARY KEY (seq)
);
CREATE INDEX ix_promotions_channel ON promotions (channel);
CREATE TABLE gate_uses (
	seq INTEGER NOT NULL, split VARCHAR NOT NULL, candidate VARCHAR NOT NULL, at VARCHAR NOT NULL, PRIMARY KEY (seq)
);
CREATE INDEX ix_gate_uses_split ON gate_uses (split);
CREATE TABLE traces (
	seq INTEGER NOT NULL, id VARCHAR NOT NULL, at VARCHAR NOT NULL, channel VARCHAR NOT NULL, "release" VARCHAR NOT NULL,
	status INTEGER NOT NULL, seconds FLOAT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (seq), UNIQUE (id)
);
CREATE TABLE feedback (
	seq INTEGER NOT NULL, id VARCHAR NOT NULL, trace VARCHAR NOT NULL, at VARCHAR NOT NULL, body BLOB NOT NULL,
	PRIMARY KEY (seq), UNIQUE (id)
);
CREATE INDEX ix_feedback_trace ON feedback (trace);
CREATE TABLE keys (
	id VARCHAR NOT NULL, name VARCHAR NOT NULL, hash VARCHAR NOT NULL, at VARCHAR NOT NULL, revoked VARCHAR,
	PRIMARY KEY (id)
);
PRAGMA user_version = 1;
"""
SECOND = """
ALTER TABLE nouns ADD COLUMN seq INTEGER NOT NULL DEFAULT 0;
UPDATE nouns SET seq = rowid;
CREATE INDEX ix_nouns_seq ON nouns (seq);
ALTER TABLE memo ADD COLUMN digest VARCHAR;
CREATE TABLE ledger (seq INTEGER NOT NULL, body BLOB NOT NULL, digest VARCHAR NOT NULL, PRIMARY KEY (seq));
PRAGMA user_version = 2;
"""
TRACE = "0af7651916cd43dd8448eb211c80319c"


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _dataset(size: int) -> bytes:
    return _canonical({"items": "0" * 64, "kind": "documents", "name": "d", "size": size})


def write(path: Path, version: int) -> None:
    """Three datasets, a run, an answer, two promotions, a look at the gate, a trace with feedback, two keys."""
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path)
    db.execute("PRAGMA journal_mode=WAL")
    db.executescript(FIRST)
    at = "2026-01-02T03:04:05.000000Z"
    for size in range(3):
        body = _dataset(size)
        db.execute(
            "INSERT INTO nouns VALUES (?, ?, ?, ?, ?)", ("dataset", "d", hashlib.sha256(body).hexdigest(), body, at)
        )
    run = _canonical({"id": "r1", "step": "documents", "status": "done", "started": at, "key": "k"})
    db.execute("INSERT INTO runs VALUES (1, 'r1', 'documents', 'k', 'done', ?)", (run,))
    db.execute("INSERT INTO memo VALUES ('answer', 'a', x'31')")
    trace = _canonical(
        {"id": TRACE, "at": at, "endpoint": "/generate", "channel": "p", "release": "", "status": 200, "request": {}}
    )
    db.execute("INSERT INTO traces VALUES (1, ?, ?, 'p', '', 200, 0.5, ?)", (TRACE, at, trace))
    said = _canonical({"id": "f1", "trace": TRACE, "at": at, "thumb": "up"})
    db.execute("INSERT INTO feedback VALUES (1, 'f1', ?, ?, ?)", (TRACE, at, said))
    entries: list[dict[str, object]] = []
    for seq, name in enumerate(("r0", "r1"), 1):
        row = {"seq": seq, "channel": "p", "release": name, "at": at, "by": "ada", "why": "好", "action": "promote"}
        db.execute("INSERT INTO promotions VALUES (:seq, :channel, :release, :at, :by, :why, :action)", row)
        entries.append({"what": "promotions", **row})
    db.execute("INSERT INTO gate_uses VALUES (1, 'split', 'c', ?)", (at,))
    entries.append({"what": "gate_uses", "seq": 1, "split": "split", "candidate": "c", "at": at})
    for id_ in ("k2", "k1"):  # not in the order of their ids
        db.execute("INSERT INTO keys VALUES (?, 'ada', 'hash', ?, NULL)", (id_, at))
        entries.append({"what": "keys", "id": id_, "name": "ada", "hash": "hash", "at": at})
    db.execute("UPDATE keys SET revoked = ? WHERE id = 'k1'", (at,))
    entries.append({"what": "revoked", "id": "k1", "at": at})
    if version == 2:
        db.executescript(SECOND)
        db.execute("UPDATE memo SET digest = ?", (hashlib.sha256(b"1").hexdigest(),))
        before = "0" * 64
        for entry in entries:
            body = _canonical({**entry, "adopted": True})
            before = hashlib.sha256(before.encode() + body).hexdigest()
            db.execute("INSERT INTO ledger (body, digest) VALUES (?, ?)", (body, before))
    db.commit()
    db.close()
