"""What a server keeps in step by itself: the index by which traces are found (`store.trace_index`).

In a thread of its own that rests as long as it works, so that answers do not wait for it. Where it lags behind, traces
are still found, only slower.
"""

from __future__ import annotations

import logging
import threading
from contextlib import AbstractContextManager

from slipway.errors import SlipwayError
from slipway.loop.background import beside
from slipway.store.store import Store

log = logging.getLogger("slipway.store")

FIRST = 5.0  # seconds after the start
EVERY = 10.0
CHECKED = 86_400.0


def indexing(store: Store) -> AbstractContextManager[None]:
    """Index what is written no more, as long as this is open."""
    return beside("slipway-index", lambda ended: _work(store, ended))


def _work(store: Store, ended: threading.Event) -> None:
    wait, check = FIRST, 0.0
    while not ended.wait(wait):
        check -= wait
        wait = EVERY
        try:
            if check <= 0:
                store.catalog.index.check()
                check = CHECKED
            store.catalog.index.keep_up(ended.is_set, pause=1.0)
        except SlipwayError as error:  # a full disk, a database that is down: later again
            log.warning("traces not indexed", extra={"why": error.message})
        except Exception:
            log.exception("traces not indexed")
