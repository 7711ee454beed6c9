"""`slipway store gc`: what is over its time, then nouns nothing needs any more, then blobs nothing names.

Safe while a server answers. Nouns and blobs go only under the project's lock, which every run holds that makes some;
what is younger than `GRACE` stays too, for callers that write without it. Every release stays, and all it needs.
"""

from __future__ import annotations

import logging
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
from sqlalchemy import delete

from slipway.core.erasure import Erasure
from slipway.core.material import Chunk, Dataset
from slipway.core.ref import decoder_of
from slipway.files import UNDECODABLE, sync
from slipway.store import tables
from slipway.store.catalog import now
from slipway.store.erase import note
from slipway.store.failing import reporting
from slipway.store.reach import Reach, reach
from slipway.store.retention import BATCH, Expired, Needed, Retention, before, expire
from slipway.store.store import Store

log = logging.getLogger("slipway.store")

GRACE = 3600.0
"""Seconds for which a noun or blob stays though nothing points at it yet."""
_UNSAID = ("nouns", "blobs")  # what nothing points at is no record of anybody
_FROM_TRACE = re.compile(rb"\btrace:([0-9a-f]{32})\b")


class Swept(msgspec.Struct, kw_only=True, frozen=True):
    """What went, or with `dry_run` would go: how many and how many bytes of `traces`, `feedback`, `answers`, `steps`
    (work remembered), `runs`, `nouns`, `blobs` and `indexes`; kinds of which there is none are left out. `left`: what
    could not be deleted, and why.
    """

    removed: dict[str, int]
    bytes: dict[str, int]
    dry_run: bool = False
    left: list[str] = []


def gc(store: Store, keep: Retention, *, dry_run: bool = False, grace: float = GRACE) -> Swept:
    """Delete what nothing needs. Raises Busy while a run or a backup is at work in the project."""
    with ExitStack() as held:
        if not dry_run:
            held.enter_context(store.lock(sweep=False))
            held.enter_context(store.sweeping())
        found = expire(store.catalog, keep, needed_by(store), dry_run=dry_run)
        gone = frozenset(found.runs)
        with store.catalog.database.snapshot.connect() as connection:
            reached = reach(connection, before(grace), gone)
        _nouns(store, reached, found, dry_run=dry_run)
        _blobs(store, reached, found, grace, dry_run=dry_run)
    return _told(store, found, dry_run=dry_run)


def expire_records(store: Store, keep: Retention, gone: Callable[[], bool] = lambda: False) -> Swept:
    """Only what is over its time, without the project's lock: what a server does in the background."""
    return _told(store, expire(store.catalog, keep, needed_by(store), gone=gone), dry_run=False)


def _told(store: Store, found: Expired, *, dry_run: bool) -> Swept:
    removed = Swept(removed=found.rows, bytes=found.bytes, dry_run=dry_run)
    if found.rows and not dry_run:
        others = {kind: n for kind, n in found.rows.items() if kind not in ("traces", "feedback", *_UNSAID)}
        gone = Erasure(
            at=now(), by="", kind="retention", rows=others, bytes=sum(found.bytes.values()),
            traces=found.rows.get("traces", 0), feedback=found.rows.get("feedback", 0),
        )  # fmt: skip
        note(store, gone)
        log.info("deleted what is over its time or needed by nothing", extra={"rows": found.rows, "bytes": found.bytes})
    return removed


def needed_candidates(store: Store, grace: float = GRACE) -> set[str]:
    """Digests of the candidates that something kept points at."""
    with store.catalog.database.snapshot.connect() as connection:
        return reach(connection, before(grace)).names("candidate")


def needed_by(store: Store) -> Needed:
    """Traces that examples of a kept dataset, or items to label, were made of, and the vectors of kept passages."""
    with store.catalog.database.snapshot.connect() as connection:
        reached = reach(connection, before(GRACE))
    traces, vectors = set[str](), set[str]()
    for _, item in store.catalog.labels.every_item():
        traces.update(found.decode() for found in _FROM_TRACE.findall(item.lineage.encode()))
    for _, dataset in store.catalog.list("dataset", Dataset):
        if dataset.digest not in reached.digests:
            continue
        if dataset.kind == "examples":
            for line in _lines(store, dataset.items):
                traces.update(found.decode() for found in _FROM_TRACE.findall(line))
        elif dataset.kind == "chunks":
            vectors.update(_vector_keys(store, dataset.items))
    return Needed(traces=frozenset(traces), work=frozenset(_seals(store)), vectors=frozenset(vectors))


def _lines(store: Store, digest: str) -> Iterator[bytes]:
    try:
        with store.blobs.path(digest).open("rb") as file:
            yield from file
    except OSError:
        return  # `verify` tells of a blob that is missing


def _vector_keys(store: Store, digest: str) -> Iterator[str]:
    """What the vectors of passages are remembered under."""
    decoder = decoder_of(Chunk)
    for line in _lines(store, digest):
        try:
            yield decoder.decode(line).vector_key
        except UNDECODABLE:
            continue


def _seals(store: Store) -> Iterator[tuple[str, str]]:
    """Remembered digests of indexes that are still there: without them they would be built again."""
    folder = store.folder / "cache"
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set[str]()
    if not names:
        return
    for kind, key in store.catalog.remembered("index"):
        if key.partition(":")[0] in names:
            yield kind, key


def _nouns(store: Store, reached: Reach, found: Expired, *, dry_run: bool) -> None:
    unneeded = reached.unneeded
    if unneeded:
        found.add("nouns", len(unneeded), sum(noun.size for noun in unneeded))
    for start in range(0, 0 if dry_run else len(unneeded), BATCH):
        part = unneeded[start : start + BATCH]
        with store.catalog.engine.begin() as connection:
            for noun in part:
                this = (tables.nouns.c.kind == noun.kind) & (tables.nouns.c.digest == noun.digest)
                connection.execute(delete(tables.nouns).where(this))


def _blobs(store: Store, reached: Reach, found: Expired, grace: float, *, dry_run: bool) -> None:
    limit, folders = time.time() - grace, set[Path]()
    for path in (*store.blobs.aside(), *store.blobs.files()):
        if path.name in reached.digests:
            continue
        try:
            with reporting(path):
                state = path.stat()
                if state.st_mtime > limit:
                    continue
                if not dry_run:
                    path.unlink()
                    shutil.rmtree(store.folder / "artifacts" / path.name, ignore_errors=True)
                    folders.add(path.parent)
        except FileNotFoundError:
            continue
        found.add("blobs", 1, state.st_size)
    for folder in folders:
        sync(folder)
