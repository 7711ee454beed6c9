"""What is wrong with a project's examples, told before anything runs: sources, splits and leaks. Keeps nothing.

Reads the examples, and of the documents only those that examples name, up to limits; the rest are known by their files.
"""

from __future__ import annotations

import posixpath
import tempfile
from collections.abc import Collection
from contextlib import closing
from pathlib import Path, PurePosixPath

from slipway.core.material import Change, Example, readings
from slipway.core.protocols import Task
from slipway.data.collect import Found, collect
from slipway.data.documents import read_documents
from slipway.data.examples import make_examples
from slipway.data.losses import Loss, losses
from slipway.data.references import Corpus
from slipway.project.data import DataConfig
from slipway.store.store import Store

_MOST_FILES, _MOST_BYTES = 300, 20_000_000


def preview(config: DataConfig, root: Path, task: Task) -> list[Loss]:
    """The losses that `run data` would tell of the examples. Raises ConfigError as `make_examples` does."""
    with tempfile.TemporaryDirectory(prefix="slipway-check-") as state, closing(Store(Path(state))) as store:
        examples = make_examples(config, root, store, task)
        if config.has_documents:
            named = {name for e in store.blobs.get_lines(examples.items, Example) for name in e.relevant}
            examples = make_examples(config, root, store, task, _corpus(config, root, named, store))
        return losses({"examples": examples}, store)


def _corpus(config: DataConfig, root: Path, named: Collection[str], store: Store) -> Corpus:
    """The documents that are named; files that are not, or are too many or too large to read now, are `unread`."""
    found, refused = collect(config, root)
    wanted = {posixpath.normpath(source.strip()) for name in named for source, _ in readings(name)}
    wanted |= {above for part in wanted for above in _above(part)}  # a row of a table is named below its file
    chosen: list[Found] = []
    left = _MOST_BYTES
    for file in found:
        size = file.path.stat().st_size if file.source in wanted else 0
        if file.source in wanted and size <= left and len(chosen) < _MOST_FILES:
            chosen.append(file)
            left -= size
    kept, changes = read_documents(config, chosen, store)
    changes += [Change(item=name, step=n.step, action=n.action, reason=n.reason) for name, n in refused]
    read = {file.source for file in chosen}
    return Corpus(kept, changes, unread=[file.source for file in found if file.source not in read])


def _above(path: str) -> list[str]:
    return [str(parent) for parent in PurePosixPath(path).parents]
