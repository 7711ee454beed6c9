"""What of a passage goes to another program, and the digest of it. Knows no program.

Neither texts nor the values of metadata go there: filters are compared by digests. Vectors do, and words where the
program searches words.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from slipway.builtin.indexes.facets import facets_of, wanted
from slipway.core.material import Chunk
from slipway.errors import ConfigError
from slipway.i18n import t
from slipway.text.words import index_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slipway.core.protocols import Vectors


class Row(msgspec.Struct, frozen=True):
    """One passage. `vector`: float32, little-endian; empty where words are searched, as `words` is where vectors are.

    `facets`: 32 hex digits for each field and value, in order.
    """

    id: str
    facets: tuple[str, ...]
    vector: bytes = b""
    words: str = ""

    @property
    def numbers(self) -> NDArray[np.float32]:
        """The vector, [dimension]."""
        return np.frombuffer(self.vector, "<f4")

    @property
    def digest(self) -> bytes:
        """SHA-256 of all of it."""
        return hashlib.sha256(msgspec.msgpack.encode(self)).digest()


def packed(numbers: Any) -> bytes:
    """A vector as a row holds it; negative zeros are zeros, since not every program keeps them."""
    return (np.asarray(numbers, np.float32) + np.float32(0)).astype("<f4").tobytes()


def rows_of(chunks: Sequence[Chunk], vectors: Vectors | None, *, words: bool) -> list[Row]:
    """Passages as rows; of equal ids the last one. Raises ConfigError where vectors are needed and are not right."""
    last = {chunk.id: at for at, chunk in enumerate(chunks)}
    facets = {name: _hashed(facets_of(chunks[at])) for name, at in last.items()}
    if words:
        return [Row(n, facets[n], words=" ".join(index_words(chunks[at].passage))) for n, at in last.items()]
    if vectors is None:
        raise ConfigError(t("a dense index needs vectors"), t("configure an embedder, or use the lexical index"))
    table = np.asarray(vectors, np.float32)
    if table.ndim != 2 or table.shape[0] != len(chunks):
        raise ConfigError(
            t("{n} passages came with vectors of the shape {shape}", n=len(chunks), shape=table.shape),
        )
    return [Row(name, facets[name], packed(checked(table[at]))) for name, at in last.items()]


def checked(vector: Any) -> NDArray[np.float32]:
    """A vector [dimension] of [dimension] or [1, dimension]; ConfigError where a value is no number."""
    row = np.asarray(vector, np.float32).reshape(-1)
    if not np.isfinite(row).all():
        raise ConfigError(t("a vector holds values that are no numbers"), t("check the embedder"))
    return row


def facets_wanted(filters: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The facets that a passage must have, as rows hold them."""
    return _hashed(wanted(filters))


def content_digest(rows: Iterable[Row], *more: Any) -> str:
    """32 hex digits that name what all rows hold, in whatever order."""
    found = hashlib.sha256(msgspec.msgpack.encode(more))
    for digest in sorted(row.digest for row in rows):
        found.update(digest)
    return found.hexdigest()[:32]


def _hashed(facets: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(hashlib.sha256(facet.encode("utf-8", "surrogatepass")).hexdigest()[:32] for facet in facets))
