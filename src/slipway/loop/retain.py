"""What a server deletes by itself: records that are over the time, or the size, of `store.retention`; once a day, or
once an hour where there is a limit of size.

In a thread of its own, in short transactions with pauses, so that answers do not wait. Nouns and blobs are left to
`slipway store gc`. Without a retention nothing is ever deleted, and there is no thread.
"""

from __future__ import annotations

import logging
import threading
from contextlib import AbstractContextManager, nullcontext

from slipway.errors import SlipwayError
from slipway.loop.background import beside
from slipway.project.schema import Project
from slipway.store.gc import expire_records
from slipway.store.retention import Retention
from slipway.store.store import Store

log = logging.getLogger("slipway.store")

FIRST = 60.0  # seconds after the start, when engines have loaded
EVERY = 86_400.0
EVERY_FOR_SIZE = 3_600.0  # where there is a limit that a busy day may pass by far


def retention(project: Project) -> Retention:
    """`store.retention` of a project file."""
    found = project.store.retention
    return Retention(found.traces, found.feedback, found.answers, found.steps, found.size)


def daily(store: Store, keep: Retention) -> AbstractContextManager[None]:
    """Delete once a day what is over its time, as long as this is open."""
    if keep == Retention():
        return nullcontext()
    return beside("slipway-retention", lambda ended: _work(store, keep, ended))


def _work(store: Store, keep: Retention, ended: threading.Event) -> None:
    wait = FIRST
    while not ended.wait(wait):
        wait = EVERY if keep.size is None else EVERY_FOR_SIZE
        try:
            expire_records(store, keep, ended.is_set)
        except SlipwayError as error:  # tomorrow again; the writer of records says the same
            log.error("nothing deleted", extra={"why": error.message})
        except Exception:
            log.exception("nothing deleted")
