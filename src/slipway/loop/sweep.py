"""`slipway store gc` as a whole: the store, then the indexes that no kept candidate searches."""

from __future__ import annotations

import msgspec

from slipway.core.candidate import Candidate
from slipway.errors import NotFound
from slipway.i18n import joined
from slipway.loop.context import Context
from slipway.loop.retain import retention
from slipway.runtime.kept_indexes import unneeded
from slipway.runtime.retrieve import index_names
from slipway.store.gc import GRACE, Swept, gc, needed_candidates


def sweep(context: Context, *, dry_run: bool = False, grace: float = GRACE) -> Swept:
    """Delete what nothing needs. Raises Busy while a run or a backup is at work in the project."""
    store, plugins = context.store, context.plugins
    swept = gc(store, retention(context.project), dry_run=dry_run, grace=grace)
    needed = set[str]()
    for digest in needed_candidates(store, grace):
        retrieval = store.catalog.get("candidate", digest, Candidate).retrieve
        if retrieval is not None:
            try:
                needed.update(index_names(store, retrieval, plugins))
            except NotFound:
                continue  # its plug-in or its passages are not there any more: it cannot be searched either
    with store.lock(sweep=False):
        found = unneeded(
            store, needed, lambda made: plugins.make("indexes", made.plugin, made.options, "retrieve.index"),
            grace=grace, dry_run=dry_run,
        )  # fmt: skip
    left = [joined([error.message, error.hint]) for error in found.left]
    if not found.count:
        return msgspec.structs.replace(swept, left=left)
    removed, size = {**swept.removed, "indexes": found.count}, {**swept.bytes, "indexes": found.bytes}
    return msgspec.structs.replace(swept, removed=removed, bytes=size, left=left)
