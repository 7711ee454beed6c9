"""What the `source` of an example names: which document and sections, what became of them, or the nearest there is.

A name is `source` or `source#Heading`, compared as `retrieval_recall` does: paths normalised, headings without regard
to case, spacing and punctuation around them. Documents whose paths differ in nothing but their language (`en/a.md` and
`zh/a.md`, `a.md` and `a.zh.md`), with headings of the same levels in the same order, are translations: their sections
pair up.
"""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Collection, Iterable

import msgspec

from slipway.core.material import Change, Dataset, Document, readings
from slipway.data.document_language import same_language
from slipway.errors import nearest
from slipway.store.store import Store
from slipway.text.words import normalize_label

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z]{2,8})*")


class Place(msgspec.Struct, frozen=True):
    """What a name stands for.

    `name`: what to use from now on. `problem`: a reason code, or empty, with its facts in `detail`. `label` and
    `document` name the section and the document whatever the language, `sections` all that is covered.
    """

    name: str
    label: str
    document: str
    sections: tuple[str, ...] = ()
    problem: str = ""
    detail: str = ""


class _Held(msgspec.Struct):
    """A document that was kept: its language, the paths of its headings, and the translation that stands for it."""

    source: str
    language: str
    title: str
    paths: list[tuple[str, ...]]
    stands_for: _Held | None = None


class Corpus:
    """The documents that were kept, and what became of the dropped ones.

    `unread`: files whose documents are not known; names in them are believed.
    """

    def __init__(
        self, documents: Iterable[Document] = (), changes: Iterable[Change] = (), unread: Collection[str] = ()
    ) -> None:
        self._held = {
            _path(d.source): _Held(d.source, d.language, d.title, [s.path for s in d.sections] or [()])
            for d in documents
        }
        dropped = [change for change in changes if change.action == "dropped"]
        self._kept_as = {_path(change.item): change for change in dropped if change.kept}
        self._dropped = {_path(change.item): change.reason for change in dropped if not change.kept}
        self._unread = frozenset(map(_path, unread))
        self._pair_translations()

    def place(self, name: str) -> Place:
        """What `source` or `source#Heading` stands for in this corpus."""
        source, mark, heading = self._parted(name)
        held, heading, lost = self._followed(source, heading)
        if held is None:
            return self._unknown(name, source)
        followed = name if _path(held.source) == source else f"{held.source}{mark}{heading}" if heading else held.source
        wanted = normalize_label(heading.lstrip("#"))
        found = [(n, step) for n, path in enumerate(held.paths) for step, at in enumerate(path)
                 if normalize_label(at) == wanted]  # fmt: skip
        first = held.stands_for or held
        if not found and wanted == normalize_label(held.title):
            wanted = ""  # passages show the title before their headings: it names all of them
        if not wanted or not found:
            near = nearest(heading, list(dict.fromkeys(path[-1] for path in held.paths if path))) if wanted else ""
            every = _sections(first, range(len(held.paths)))
            problem = "section-lost" if lost else "heading-missing" if wanted else ""
            detail = f"{held.source}#{near}" if near else held.source if problem else ""
            return Place(
                followed, name if problem == "heading-missing" else first.source, first.source, every, problem, detail
            )
        number, step = found[0]
        label = f"{first.source}#{first.paths[number][step]}"
        return Place(followed, label, first.source, _sections(first, sorted({n for n, _ in found})))

    def _parted(self, name: str) -> tuple[str, str, str]:
        """(path, `#` or nothing, heading); a document whose own name has a `#` comes first."""
        for source, heading in readings(name):
            known = _path(source)
            if known in self._held or known in self._kept_as or known in self._dropped or known in self._unread:
                return known, "#" if source != name else "", heading
        source, mark, heading = name.partition("#")
        return _path(source), mark, heading

    def _followed(self, source: str, heading: str) -> tuple[_Held | None, str, bool]:
        """The document, the heading there, and whether the section was lost: a duplicate is what was kept of it."""
        lost = False
        for _ in range(len(self._kept_as)):
            change = self._kept_as.get(source)
            if change is None:
                break
            source = _path(change.kept)
            if heading:
                renamed = {normalize_label(old): new for old, new in change.headings.items()}
                heading = renamed.get(normalize_label(heading.lstrip("#")), heading)
                lost = lost or not heading
        return self._held.get(source), heading, lost

    def _unknown(self, name: str, source: str) -> Place:
        if source in self._unread or any(source.startswith(f"{file}/") for file in self._unread):
            return Place(name, name, source, (name,))
        problem, detail = "source-dropped", self._dropped.get(source, "")
        if not detail:
            known = [held.source for held in self._held.values()] + sorted(self._unread)
            files = {posixpath.basename(path): path for path in reversed(known)}
            near = nearest(source, known) or files.get(nearest(posixpath.basename(source), files) or "", "")
            problem, detail = "source-missing", near
        return Place(name, name, source, (name,), problem, detail)

    def _pair_translations(self) -> None:
        families: defaultdict[str, list[_Held]] = defaultdict(list)
        for held in self._held.values():
            families[_without_language(held)].append(held)
        for family in families.values():
            first = min(family, key=lambda held: held.source)
            levels = [len(path) for path in first.paths]
            for held in family:
                if not same_language(held.language, first.language) and [len(p) for p in held.paths] == levels:
                    held.stands_for = first


def corpus_of(documents: Dataset | None, store: Store) -> Corpus | None:
    """The corpus of a frozen set of documents; None without one."""
    if documents is None:
        return None
    changes = store.blobs.get_lines(documents.changes, Change) if documents.changes else ()
    return Corpus(store.blobs.get_lines(documents.items, Document), changes)


def _sections(held: _Held, numbers: Iterable[int]) -> tuple[str, ...]:
    """Names of sections, each of its own even where headings are the same."""
    return tuple(f"{held.source}\0{number}" for number in numbers)


def _without_language(held: _Held) -> str:
    """The path without the folder, or the part of the file's name, that tells the document's language."""

    def tells(part: str) -> bool:
        return _LANGUAGE.fullmatch(part) is not None and same_language(part.replace("_", "-"), held.language)

    *folders, name = _path(held.source).split("/")
    stem, *endings = re.split(r"([._])", name)
    parts = list(zip(endings[::2], endings[1::2], strict=True))
    name = stem + "".join(f"{mark}{part}" for mark, part in parts if not tells(part))
    return "/".join([*(folder for folder in folders if not tells(folder)), name])


def _path(source: str) -> str:
    return posixpath.normpath(source.strip().replace("\\", "/"))
