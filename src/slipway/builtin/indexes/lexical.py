"""The index of words: BM25 (Robertson and Zaragoza 2009) by tantivy, English stemmed, Chinese as pairs of simplified
characters, so that each script finds the other.

A question is words, never query syntax. Files lie in a temporary folder of the index's own, from where they are saved
and to where they are loaded: tantivy leaves locks beside what it reads.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import weakref
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
import tantivy
from pydantic import BaseModel, ConfigDict, Field

from slipway.builtin.indexes.facets import facets_of, wanted
from slipway.builtin.indexes.saved import MANIFEST, check_manifest, unusable, write_manifest
from slipway.core.material import Chunk
from slipway.i18n import t
from slipway.text.words import index_words, is_cjk

if TYPE_CHECKING:
    from slipway.core.protocols import Vectors

_FORMAT = 1
_IDS = "ids.msgpack"
_ANALYZER = "slipway-words"
_WRITER_BYTES = 64_000_000
_DIGITS = 5


class TantivyConfig(BaseModel):
    """How words are compared. `max_terms`: different words of a question that are looked at."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stem: bool = True  # English words by their stem ("deliveries" finds "delivery"); other scripts stay as they are
    max_terms: int = Field(default=512, ge=1, le=10_000)


class TantivyIndex:
    """Passages by the words of their headings and text. Not safe for threads that write."""

    Config: ClassVar[type[TantivyConfig]] = TantivyConfig

    def __init__(self, config: TantivyConfig | None = None) -> None:
        self.config = config or TantivyConfig()
        self._own = ""  # the folder that may be written to
        self._forget_own: Any = None
        self._index: Any = None
        self._writer: Any = None
        self._ids: set[str] = set()
        self._holes = False  # something was deleted: tantivy's statistics still count it

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, chunks: Sequence[Chunk], vectors: Vectors | None = None) -> None:
        """Add passages, replacing those with the same id. Vectors are ignored."""
        if not chunks:
            return
        last = {chunk.id: chunk for chunk in chunks}
        self.delete(list(last))
        writer = self._writing()
        for name, chunk in last.items():
            words = " ".join(index_words(chunk.passage))
            writer.add_document(_document(name, words, facets_of(chunk)))
            self._ids.add(name)

    def delete(self, ids: Sequence[str]) -> None:
        """Forget passages by id; unknown ids are ignored."""
        for name in self._ids.intersection(ids):
            self._writing().delete_documents_by_term("id", name)
            self._ids.discard(name)
            self._holes = True

    def search(
        self, text: str, vector: Vectors | None, k: int, filters: Mapping[str, Any] | None = None
    ) -> list[tuple[str, float]]:
        """The `k` best (id, BM25 score), best first, ties by id; passages without any word of `text` are not found.

        Until the next `save`, scores count deleted passages in how rare a word is.
        """
        searcher = self._searcher()
        if searcher is None or k < 1 or not searcher.num_docs:
            return []
        query = self._query(text, wanted(filters))
        limit = min(k + 16, searcher.num_docs)
        while True:
            hits = searcher.search(query, limit, count=False).hits
            found = [(round(score, _DIGITS), place) for score, place in hits]
            if limit >= searcher.num_docs or len(found) < limit or found[-1][0] < found[k - 1][0]:
                break
            limit = min(limit * 2, searcher.num_docs)
        kept = [entry for entry in found if len(found) <= k or entry[0] >= found[k - 1][0]]
        named = [(str(searcher.doc(place).get_first("id")), score) for score, place in kept]
        return sorted(named, key=lambda pair: (-pair[1], pair[0]))[:k]

    def _query(self, text: str, facets: list[str]) -> Any:
        schema = self._index.schema
        terms = Counter(_analyzer(self.config.stem).analyze(" ".join(index_words(text))))
        words: list[Any] = []
        for term, count in list(terms.items())[: self.config.max_terms]:
            if len(term) == 1 and is_cjk(term):  # a lone character is part of the pairs it stands in
                query = tantivy.Query.regex_query(schema, "words", f".?{re.escape(term)}.?")
            else:
                query = tantivy.Query.term_query(schema, "words", term, "freq")
            words.append((tantivy.Occur.Should, tantivy.Query.boost_query(query, count) if count > 1 else query))
        if not words:
            return tantivy.Query.empty_query()
        found = tantivy.Query.boolean_query(words)
        if not facets:
            return found
        musts = [
            tantivy.Query.const_score_query(tantivy.Query.term_query(schema, "facets", one, "basic"), 0.0)
            for one in facets
        ]
        return tantivy.Query.boolean_query([(tantivy.Occur.Must, part) for part in (found, *musts)])

    def _searcher(self) -> Any:
        """A view of everything added so far; None while nothing was."""
        if self._writer is not None:
            self._writer.commit()
            self._writer.wait_merging_threads()
            self._writer = None
            self._index.reload()
        return None if self._index is None else self._index.searcher()

    def _writing(self) -> Any:
        if self._writer is None:
            if not self._own:
                self._new_folder()
                self._open(self._own)
            self._writer = self._index.writer(_WRITER_BYTES, 1)
        return self._writer

    def _new_folder(self) -> None:
        """A folder of its own, which goes when this index goes; an earlier one goes now."""
        if self._forget_own is not None:
            self._forget_own()
        self._own = tempfile.mkdtemp(prefix="slipway-words-")
        self._forget_own = weakref.finalize(self, shutil.rmtree, self._own, ignore_errors=True)

    def _open(self, folder: str) -> None:
        self._index = tantivy.Index(_schema(), path=folder)
        self._index.register_tokenizer(_ANALYZER, _analyzer(self.config.stem))
        self._index.config_reader("manual")

    def save(self, folder: str) -> None:
        """Write the index into an existing empty folder, without what was deleted, and a manifest."""
        searcher = self._searcher()
        if searcher is not None:
            if self._holes:
                self._compact(searcher)
            for path in Path(self._own).iterdir():
                if path.is_file() and not path.name.endswith(".lock") and path.name not in (_IDS, MANIFEST):
                    shutil.copyfile(path, Path(folder, path.name))
        Path(folder, _IDS).write_bytes(msgspec.msgpack.encode(sorted(self._ids)))
        write_manifest(folder, "tantivy", _FORMAT, {"stem": self.config.stem})

    def _compact(self, searcher: Any) -> None:
        """Write what is left into a new index, so that it scores like one that never held the rest."""
        everything = searcher.search(tantivy.Query.all_query(), max(1, searcher.num_docs)).hits
        documents = sorted((_copied(searcher.doc(place)) for _, place in everything), key=lambda pair: pair[0])
        self._new_folder()
        self._open(self._own)
        self._holes = False
        for _, document in documents:
            self._writing().add_document(document)
        self._searcher()

    def load(self, folder: str) -> None:
        """Read what `save` wrote; the folder is not needed afterwards. Raises IntegrityError when it cannot."""
        about = check_manifest(folder, "tantivy", _FORMAT)
        if about.get("stem") != self.config.stem:
            raise unusable(folder, t("it was made with another setting of 'stem'"))
        self._writer, self._index, self._holes = None, None, False
        try:
            self._ids = msgspec.msgpack.decode(Path(folder, _IDS).read_bytes(), type=set[str])
            self._new_folder()
            for path in Path(folder).iterdir():
                _link(path, Path(self._own, path.name))
            self._open(self._own)
            self._index.searcher()
        except Exception as error:  # tantivy raises ValueError, OSError and its own
            self._index, self._ids = None, set()
            raise unusable(folder, str(error)) from error


def _link(source: Path, target: Path) -> None:
    """The same file under another name, or a copy. Tantivy replaces files and never writes into one."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _copied(document: Any) -> tuple[str, Any]:
    """A stored document as one that can be added again, with its id."""
    name = str(document.get_first("id"))
    facets = [str(one) for one in document.get_all("facets")]
    return name, _document(name, str(document.get_first("words")), facets)


def _document(name: str, words: str, facets: list[str]) -> Any:
    document = tantivy.Document()
    document.add_text("id", name)
    document.add_text("words", words)
    for one in facets:
        document.add_text("facets", one)
    return document


@cache
def _schema() -> Any:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("id", stored=True, tokenizer_name="raw", index_option="basic")
    builder.add_text_field("words", stored=True, tokenizer_name=_ANALYZER, index_option="freq")
    builder.add_text_field("facets", stored=True, tokenizer_name="raw", index_option="basic")
    return builder.build()


@cache
def _analyzer(stem: bool) -> Any:
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace())
    return (builder.filter(tantivy.Filter.stemmer("english")) if stem else builder).build()
