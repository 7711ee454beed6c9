"""What the loop is fed with: documents, the chunks cut from them, examples, and the frozen sets that hold these."""

from __future__ import annotations

from typing import Any, Literal

from slipway.core.ref import Noun, Ref, digest_bytes, digest_of

Split = Literal["train", "dev", "gate", "reserve"]


class Section(Noun, frozen=True, kw_only=True):
    """A heading and what stands under it, up to the next heading. Spans are character offsets in `Document.text`."""

    path: tuple[str, ...]  # headings from the outermost to this one
    start: int
    end: int


class Document(Noun, frozen=True, kw_only=True):
    """One cleaned source text. `source` is the path or URL relative to the project; it is the document's identity."""

    source: str
    text: str
    media_type: str  # what it was parsed from: text/markdown, text/html, application/pdf, ...
    raw_sha256: str  # of the bytes as collected
    language: str = "und"  # BCP 47; `und` when unknown
    title: str = ""
    sections: tuple[Section, ...] = ()
    meta: dict[str, Any] = {}


class Chunk(Noun, frozen=True, kw_only=True):
    """A passage of a document: what is indexed, retrieved and cited. `start`, `end`: character span in the document."""

    source: str
    path: tuple[str, ...]
    start: int
    end: int
    text: str
    language: str = "und"
    meta: dict[str, Any] = {}

    @property
    def id(self) -> str:
        """First 16 hex characters of the digest; names the passage in indexes, traces and citations."""
        return self.digest[:16]

    @property
    def head(self) -> str:
        """The headings it stands under, as a line."""
        return f"{' > '.join(self.path)}\n" if self.path else ""

    @property
    def passage(self) -> str:
        """What indexes see: the headings it stands under, then its text."""
        return self.head + self.text

    @property
    def vector_key(self) -> str:
        """What its vectors are remembered under."""
        return digest_bytes(self.passage.encode())


_MOST_MARKS = 16  # of a name; more is no name


def readings(name: str) -> list[tuple[str, str]]:
    """What `source` or `source#heading` can mean, as (source, heading), the longest source first: a file's own name
    may hold a `#`, and so may a heading.
    """
    marks = [at for at, character in enumerate(name) if character == "#"][:_MOST_MARKS]
    return [(name, ""), *((name[:at], name[at + 1 :]) for at in reversed(marks))]


SAMPLE_OF = "sample_of"  # in `counts` of documents that are a sample: of how many files


class Example(Noun, frozen=True, kw_only=True):
    """One input with what is known of its output.

    `input` has the fields of the project's task. `expected` is the reference (or several, any of which is right).
    `relevant` names the documents that help: `source` or `source#heading`.
    """

    input: dict[str, Any]
    expected: tuple[str, ...] = ()
    relevant: tuple[str, ...] = ()
    group: str = ""  # examples of one group are always in one split; empty: a group of its own
    language: str = "und"
    source: str = ""  # file:line it came from, or trace:<id>
    split: Split | None = None
    meta: dict[str, Any] = {}

    @property
    def text(self) -> str:
        """The input as people read it."""
        return " | ".join(value if isinstance(value, str) else str(value) for value in self.input.values())

    @property
    def id(self) -> str:
        """Names the example by what is asked, not by how it was split: 16 hex characters."""
        return digest_of([self.input, self.expected])[:16]


class Change(Noun, frozen=True, kw_only=True):
    """Why one item was dropped or changed on the way into a dataset; `slipway data show --changes` lists them."""

    item: str  # source, or file:line
    step: str  # parse, clean, deduplicate, validate, split, ...
    action: Literal["dropped", "changed", "flagged"]
    reason: str  # a short stable code: empty, too-large, exact-duplicate, near-duplicate, bad-encoding, ...
    detail: str = ""
    kept: str = ""  # of a duplicate: the item that stays in its place
    headings: dict[str, str] = {}  # of a near duplicate: what its headings are called there, '' when nothing is like it


class Dataset(Noun, frozen=True, kw_only=True):
    """A frozen set: the blob `items` holds one canonical JSON object a line, in order.

    `changes` is a blob of `Change`s, one a line; `lineage` the datasets it was made from; `counts` how many items
    there are by split, language or whatever its maker counts.
    """

    name: str
    kind: Literal["documents", "chunks", "examples"]
    items: str  # sha256 of the blob
    size: int
    changes: str = ""
    lineage: tuple[Ref, ...] = ()
    counts: dict[str, int] = {}

    @property
    def ref(self) -> Ref:
        """How others point at it."""
        return Ref("dataset", self.name, self.digest)
