"""`make_documents`: files of a project become a frozen set of clean documents, each change counted with its reason.

Collect -> parse and clean (remembered by the bytes, done in limited children) -> what is repeated -> language ->
deduplicate -> freeze.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path

import msgspec

from slipway.core.material import SAMPLE_OF, Change, Dataset, Document
from slipway.data.collect import Found, collect
from slipway.data.dedupe import drop_exact, drop_near
from slipway.data.document_language import same_language
from slipway.data.freeze import freeze
from slipway.data.losses import remedy
from slipway.data.outliers import flag_outliers
from slipway.data.parsing.blocks import Note, Outcome, Parsed
from slipway.data.parsing.key import code_version, outcome_key
from slipway.data.parsing.ocr import installed
from slipway.data.parsing.parse import Settings
from slipway.data.parsing.pool import parse_many
from slipway.data.parsing.worker import Task
from slipway.data.repeated import drop_repeated
from slipway.errors import ConfigError
from slipway.files import UNDECODABLE, open_real, sha256_of
from slipway.i18n import t
from slipway.project.data import CleanConfig, DataConfig, ParseLimits
from slipway.store.store import Store
from slipway.text.words import weigh

Progress = Callable[[int, int], None]

_MEMO = "parsed"
_COMMIT_FILES, _COMMIT_SECONDS = 64, 2.0  # what a kill -9 can cost
# Depends on the machine and its load, not on the bytes alone: tried again the next time.
_NOT_REMEMBERED = frozenset({"timeout", "too-much-memory", "parser-crashed", "unreadable"})


def make_documents(
    config: DataConfig,
    root: Path,
    store: Store,
    progress: Progress | None = None,
    only: Collection[str] | None = None,
) -> Dataset:
    """The documents of a project, cleaned and deduplicated, in the order of the project file and then by source.

    `only`: the sources that are read, when it is a sample.

    `progress(done, total)` counts files. Raises ConfigError for an entry that matches nothing, two files of the same
    name, or when no document is left. A file that cannot be used is dropped with a reason; the rest goes on.
    """
    found, unsupported = collect(config, root)
    every = len(found)
    if only is not None:
        found = [file for file in found if file.source in only]
    kept, changes = read_documents(config, found, store, progress)
    changes = [*(_change(source, note) for source, note in unsupported), *changes]
    if found and not kept:
        raise _nothing_left(changes)
    counts = Counter(f"media_type/{document.media_type}" for document in kept)
    counts.update(f"language/{document.language}" for document in kept)
    if only is not None:
        counts[SAMPLE_OF] = every
    return freeze("documents", kept, changes, dict(sorted(counts.items())), store)


def read_documents(
    config: DataConfig, found: list[Found], store: Store, progress: Progress | None = None
) -> tuple[list[Document], list[Change]]:
    """The documents of these files that stay, in order, and what was dropped, changed or flagged."""
    settings = Settings(
        boilerplate=config.clean.boilerplate,
        max_text=int(config.limits.max_text),
        max_file=int(config.limits.max_file),
    )
    outcomes = parse_files(found, settings, config.limits, store, progress)
    changes: list[Change] = []
    documents: list[Document] = []
    parsed: list[Parsed] = []
    for file, outcome in zip(found, outcomes, strict=True):
        notes = [outcome.refused] if outcome.refused else outcome.notes
        changes += [_change(file.source, note) for note in notes]
        for item in outcome.documents:
            documents.append(_document(file, outcome.sha256, item))
            parsed.append(item)
    if config.clean.boilerplate:
        documents, more = drop_repeated(documents)
        changes += more
    kept, more = _select(documents, parsed, config.clean)
    return kept, changes + more


def parse_files(
    found: list[Found], settings: Settings, limits: ParseLimits, store: Store, progress: Progress | None = None
) -> list[Outcome]:
    """The outcome for each file, in order. Only files whose bytes were never parsed so are parsed.

    What is parsed is remembered as it comes, so that an interrupted run does not do it again.
    """
    each = [msgspec.structs.replace(settings, ocr=installed(file.ocr)) if file.ocr else settings for file in found]
    outcomes: list[Outcome | None] = [_too_large(file, limits) for file in found]
    digests = {n: _sha256(file.path) for n, file in enumerate(found) if outcomes[n] is None}
    for n, digest in digests.items():
        if found[n].sha256 and digest and digest != found[n].sha256:
            outcomes[n] = _refusal("not-as-fetched", f"sha256 {digest[:12]}, fetched was {found[n].sha256[:12]}")
    code = code_version(store.catalog)
    keys = {
        n: outcome_key(digest, found[n].media_type, each[n], code)
        for n, digest in digests.items()
        if digest and outcomes[n] is None
    }
    known = store.catalog.recall(_MEMO, set(keys.values()))
    for n, key in keys.items():
        if key in known:
            with contextlib.suppress(*UNDECODABLE):  # a damaged memory is no memory
                outcomes[n] = msgspec.msgpack.decode(known[key], type=Outcome)
    todo = [n for n, outcome in enumerate(outcomes) if outcome is None]
    done = len(found) - len(todo)
    if progress:
        progress(done, len(found))
    memory_limit, seconds = int(limits.max_memory), {False: float(limits.timeout), True: float(limits.ocr_timeout)}
    tasks = [
        Task(os.fsencode(found[n].path), found[n].media_type, each[n], (memory_limit, seconds[bool(found[n].ocr)]))
        for n in todo
    ]
    memory = _Memory(store)
    for position, outcome in parse_many(tasks, len(tasks)):
        number = todo[position]
        outcomes[number] = outcome
        memory.add(outcome, outcome_key(outcome.sha256, found[number].media_type, each[number], code))
        done += 1
        if progress:
            progress(done, len(found))
    memory.commit()
    return [outcome for outcome in outcomes if outcome is not None]


class _Memory:
    """Outcomes on their way into the store, some at a time: one sync to disk for many."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: dict[str, bytes] = {}
        self._since = time.monotonic()

    def add(self, outcome: Outcome, key: str) -> None:
        """Remember an outcome, unless it depends on more than the bytes."""
        if not outcome.sha256 or (outcome.refused and outcome.refused.reason in _NOT_REMEMBERED):
            return
        self._waiting[key] = msgspec.msgpack.encode(outcome)
        if len(self._waiting) >= _COMMIT_FILES or time.monotonic() - self._since > _COMMIT_SECONDS:
            self.commit()

    def commit(self) -> None:
        """Write what waits."""
        self._store.catalog.remember(_MEMO, self._waiting)
        self._waiting = {}
        self._since = time.monotonic()


def _too_large(file: Found, limits: ParseLimits) -> Outcome | None:
    try:
        size = file.path.stat().st_size
    except OSError as error:
        return _refusal("unreadable", error.strerror or str(error))
    if size > limits.max_file:
        return _refusal("too-large", f"{size:,} bytes, the limit is {int(limits.max_file):,}")
    return None


def _sha256(path: Path) -> str:
    """Digest of a file; empty when it cannot be read (the child will say why)."""
    try:
        with open_real(path) as file:
            return sha256_of(file)
    except OSError:
        return ""


def _refusal(reason: str, detail: str) -> Outcome:
    return Outcome(sha256="", refused=Note("parse", "dropped", reason, detail))


def _document(file: Found, sha256: str, item: Parsed) -> Document:
    return Document(
        source=file.source + item.name,
        text=item.text,
        media_type=file.media_type,
        raw_sha256=sha256,
        language=file.language or item.language,
        title=item.title,
        sections=item.sections,
        meta=item.meta,
    )


def _change(source: str, note: Note) -> Change:
    return Change(
        item=source + note.item, step=note.step, action=note.action, reason=note.reason, detail=note.detail
    )  # fmt: skip


def _select(documents: list[Document], parsed: list[Parsed], clean: CleanConfig) -> tuple[list[Document], list[Change]]:
    """The documents that stay, and why the others do not."""
    changes: list[Change] = []
    kept: list[int] = []
    for number, document in enumerate(documents):
        change = _unfit(document, clean)
        if change is not None:
            changes.append(change)
        if change is None or change.action != "dropped":
            kept.append(number)
    exact, more = drop_exact([documents[n] for n in kept])
    kept, changes = [kept[n] for n in exact], changes + more
    if clean.near_duplicates is not None:
        chosen = [documents[n] for n in kept]
        near, more = drop_near(chosen, [parsed[n].signature for n in kept], clean.near_duplicates)
        kept, changes = [kept[n] for n in near], changes + more
    if clean.outliers:
        changes += flag_outliers([documents[n] for n in kept], [parsed[n].mix for n in kept])
    return [documents[n] for n in kept], changes


def _unfit(document: Document, clean: CleanConfig) -> Change | None:
    if not document.text:
        return Change(item=document.source, step="clean", action="dropped", reason="empty")
    if weigh(document.text) < clean.min_chars:
        detail = f"{weigh(document.text):g} weighted characters"
        return Change(item=document.source, step="clean", action="dropped", reason="too-short", detail=detail)
    if not clean.languages or any(same_language(document.language, wanted) for wanted in clean.languages):
        return None
    if document.language == "und":
        return Change(item=document.source, step="language", action="flagged", reason="language-unknown")
    return Change(
        item=document.source, step="language", action="dropped", reason="language", detail=document.language
    )  # fmt: skip


def _nothing_left(changes: list[Change]) -> ConfigError:
    reasons = Counter(change.reason for change in changes if change.action == "dropped")
    shown = ", ".join(f"{reason} {n}" for reason, n in reasons.most_common(5))
    first = next((change for change in changes if change.action == "dropped"), None)
    hint = ""
    if first is not None:
        hint = t("for example {item}: {detail}", item=first.item, detail=first.detail or first.reason)
        hint = "; ".join(filter(None, (hint, remedy(first.reason))))
    return ConfigError(t("data.documents: no document is left: {reasons}", reasons=shown), hint)
