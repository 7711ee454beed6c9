"""A small project's state for tests of gc, backup and restore: what serves, what served, and what nothing needs."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from slipway.core.candidate import Candidate, ModelPin
from slipway.core.database import Address
from slipway.core.material import Chunk, Dataset, Example
from slipway.core.message import Sampling
from slipway.core.ref import Ref
from slipway.core.release import Release, Verdict
from slipway.core.report import Report
from slipway.core.run import Run
from slipway.store.store import Store
from slipway.testing.catalogs import feedback_of, trace_of

DAY = 86_400.0


def ago(days: float) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="microseconds").replace("+00:00", "Z")


def examples(store: Store, *sources: str, name: str = "examples") -> Dataset:
    items = [Example(input={"question": source}, source=source, split="gate") for source in sources]
    made = Dataset(name=name, kind="examples", items=store.blobs.put_lines(items), size=len(items))
    store.catalog.put("dataset", name, made)
    return made


def chunks(store: Store, *texts: str, lineage: tuple[Ref, ...] = ()) -> Dataset:
    items = [Chunk(source="a.md", path=(), start=0, end=len(text), text=text) for text in texts]
    made = Dataset(name="chunks", kind="chunks", items=store.blobs.put_lines(items), size=len(items), lineage=lineage)
    store.catalog.put("dataset", "chunks", made)
    return made


def release(store: Store, of: Dataset, name: str = "plain", **more: object) -> Release:
    """A whole chain: candidate, report with scores, verdict, release."""
    model = ModelPin(name="writer", engine="echo", source="", options={})
    candidate = Candidate(
        name=name, task="answer", model=model, prompt=f"{name} {{{{ question }}}}", sampling=Sampling(max_tokens=8)
    )
    store.catalog.put("candidate", name, candidate)
    scores = store.blobs.put(f"scores of {name}\n".encode())
    report = Report(candidate=candidate.ref, dataset=of.ref, split="gate", scores=scores, metrics={})
    store.catalog.put("report", f"{name}/gate", report)
    verdict = Verdict(outcome="pass", rules=(), report=report.ref)
    store.catalog.put("verdict", name, verdict)
    made = Release(
        name="demo", candidate=candidate.ref, report=report.ref, verdict=Ref("verdict", name, verdict.digest),
        pins={"blob:scores": scores, "blob:examples": of.items}, created=ago(0), created_by="test", slipway="0",
        history=store.catalog.head(),
    )  # fmt: skip
    store.catalog.put("release", "demo", made)
    return made


def filled(folder: Path, address: Address | None = None) -> Store:
    """Two releases, the first no longer serving; traces of 1, 40 and 400 days; runs; remembered work; all of it old."""
    store = Store(folder, address)
    old = examples(store, "a.jsonl:1")
    first = release(store, old, "first")
    store.catalog.promote("production", first.digest, by="ada", why="好")
    new = examples(store, "b.jsonl:1", "trace:" + "d" * 32)
    second = release(store, new, "second")
    store.catalog.promote("production", second.digest, by="ada", why="")
    store.catalog.look(["e1", "e2"], "verdict", [second.candidate.digest], "q", "demo", "ada")
    store.catalog.add_key("k1", "ada", "hash")
    chunks(store, "kept passage")
    store.catalog.record(Run(id="r1", step="examples", status="done", started=ago(400), key="k1", output=old.ref))
    store.catalog.record(Run(id="r2", step="examples", status="done", started=ago(1), key="k2", output=new.ref))
    store.catalog.remember("answer", {"a1": b"an answer", "a2": bytes(range(256))})
    for days, of in ((400, ""), (40, second.digest), (40, first.digest), (1, second.digest)):
        traces = [trace_of(at=ago(days), release=of, request={"n": n, "text": "é 中文 \x00"}) for n in range(3)]
        store.catalog.add_traces(traces, [feedback_of(traces[0], at=ago(days), comment="不错")])
    store.catalog.add_traces([trace_of(id="d" * 32, at=ago(400))])
    _ = store.salt
    return store


def age(store: Store, days: float) -> None:
    """As if all blobs, nouns and remembered work were so much older."""
    from sqlalchemy import text

    for path in store.blobs.files():
        state = path.stat()
        os.utime(path, (state.st_mtime - days * DAY,) * 2)
    with store.catalog.engine.begin() as connection:
        connection.execute(text("UPDATE nouns SET at = :at"), {"at": ago(days)})
        connection.execute(text("UPDATE memo SET at = :at"), {"at": ago(days)})


def orphan(store: Store) -> str:
    """A blob that nothing names, as a killed run leaves it."""
    return store.blobs.put(os.urandom(1000))


def contents(store: Store) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table."""
    from sqlalchemy import select

    from slipway.store import tables

    with store.catalog.database.snapshot.connect() as connection:
        return {
            str(table.name): [
                tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key.columns))
            ]
            for table in tables.metadata.sorted_tables
        }
