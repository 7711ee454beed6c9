"""The index of vectors: faiss, exact while it is small, inverted lists with 8-bit codes when it has grown.

Knows vectors and ids; does not know how texts become vectors. Scores are inner products, cosines for unit vectors,
rounded to six digits: faiss adds in different orders in different places, and equal passages must tie.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import faiss
import msgspec
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from slipway.builtin.indexes.facets import facets_of, wanted
from slipway.builtin.indexes.saved import check_manifest, unusable, write_manifest
from slipway.core.material import Chunk
from slipway.errors import ConfigError
from slipway.files import UNDECODABLE
from slipway.i18n import t

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slipway.core.protocols import Vectors

_FORMAT = 1
_VECTORS, _PASSAGES = "vectors.faiss", "passages.msgpack"
_DIGITS = 6
_GROWTH = 4  # inverted lists are trained again when there are so many times the vectors they were trained on
_TRAINING = 64  # vectors for each list
_SEED = 1234


class FaissConfig(BaseModel):
    """When exact search ends, and how much of the inverted lists a search reads.

    `type`: `flat` compares every passage, whatever their number; `ivf` uses inverted lists from the beginning; `auto`
    goes over from the one to the other at `exact_up_to` passages.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["auto", "flat", "ivf"] = "auto"
    exact_up_to: int = Field(default=20_000, ge=0)  # passages; also how many filtered ones are still compared exactly
    probed: float = Field(default=0.06, gt=0, le=1)  # part of the lists that a search reads


class FaissIndex:
    """Passages by their vectors. Deleting and replacing are immediate; not safe for threads that write."""

    Config: ClassVar[type[FaissConfig]] = FaissConfig

    def __init__(self, config: FaissConfig | None = None) -> None:
        self.config = config or FaissConfig()
        self._clear(0)

    def _clear(self, dimension: int) -> None:
        self._dimension = dimension
        self._index: Any = None
        self._trained_on = 0  # 0: exact
        self._labels: dict[str, int] = {}  # passage id -> faiss's id
        self._passages: dict[int, tuple[str, list[str]]] = {}  # faiss's id -> (passage id, facets)
        self._with_facet: dict[str, set[int]] = {}
        self._next = 0

    def __len__(self) -> int:
        return len(self._labels)

    def add(self, chunks: Sequence[Chunk], vectors: Vectors | None = None) -> None:
        """Add passages with their vectors [len(chunks), dimension], replacing those with the same id.

        Raises ConfigError when vectors are missing, not finite, or of another dimension than those already here.
        """
        if not chunks:
            return
        rows = self._checked(vectors, len(chunks))
        last = {chunk.id: at for at, chunk in enumerate(chunks)}  # of equal ids in one call the last one counts
        self.delete(list(last))
        if not self._labels and self._dimension != rows.shape[1]:
            self._clear(rows.shape[1])
        labels = np.arange(self._next, self._next + len(last), dtype=np.int64)
        self._next += len(last)
        if self._index is None:
            self._index = faiss.IndexIDMap2(faiss.IndexFlatIP(self._dimension))
        self._index.add_with_ids(np.ascontiguousarray(rows[list(last.values())]), labels)
        for label, (name, at) in zip(labels.tolist(), last.items(), strict=True):
            self._remember(label, name, facets_of(chunks[at]))
        self._grow()

    def _checked(self, vectors: Vectors | None, count: int) -> NDArray[np.float32]:
        if vectors is None:
            raise ConfigError(t("a dense index needs vectors"), t("configure an embedder, or use the lexical index"))
        rows = np.asarray(vectors, np.float32)
        if rows.ndim != 2 or rows.shape[0] != count:
            raise ConfigError(t("{n} passages came with vectors of the shape {shape}", n=count, shape=rows.shape))
        if self._labels and rows.shape[1] != self._dimension:
            raise self._wrong_dimension(rows.shape[1])
        if not np.isfinite(rows).all():
            raise ConfigError(t("a vector holds values that are no numbers"), t("check the embedder"))
        return rows

    def _wrong_dimension(self, dimension: int) -> ConfigError:
        return ConfigError(
            t("a vector has {n} dimensions, the index has {known}", n=dimension, known=self._dimension),
            t("passages and questions must come from the same embedder; rebuild the index after changing it"),
        )

    def _remember(self, label: int, name: str, facets: list[str]) -> None:
        self._labels[name] = label
        self._passages[label] = (name, facets)
        for one in facets:
            self._with_facet.setdefault(one, set()).add(label)

    def _grow(self) -> None:
        """Go over to inverted lists, or train them again, once there are enough vectors."""
        count = len(self._labels)
        least = 0 if self.config.type == "ivf" else self.config.exact_up_to
        if self.config.type == "flat" or count <= max(least, self._trained_on * _GROWTH):
            return
        labels = np.fromiter(self._passages, np.int64, count)
        rows = self._vectors(labels)
        lists = max(1, min(round(4 * math.sqrt(count)), count // 39))
        quantizer = faiss.IndexFlatIP(self._dimension)
        index = faiss.IndexIVFScalarQuantizer(
            quantizer, self._dimension, lists, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
        )
        index.cp.seed = _SEED
        index.cp.min_points_per_centroid = 1
        sample = np.random.default_rng(_SEED).permutation(count)[: lists * _TRAINING]
        index.train(np.ascontiguousarray(rows[sample]))
        index.set_direct_map_type(faiss.DirectMap.Hashtable)  # pyright: ignore[reportAttributeAccessIssue]
        index.add_with_ids(rows, labels)
        self._index, self._trained_on = index, count

    def _vectors(self, labels: NDArray[np.int64]) -> NDArray[np.float32]:
        """The vectors of these passages, as the index holds them: [len(labels), dimension]."""
        return self._index.reconstruct_batch(labels)

    def delete(self, ids: Sequence[str]) -> None:
        """Forget passages by id; unknown ids are ignored."""
        found = [name for name in dict.fromkeys(ids) if name in self._labels]
        if not found:
            return
        labels = [self._labels.pop(name) for name in found]
        for label in labels:
            for one in self._passages.pop(label)[1]:
                self._with_facet[one].discard(label)
                if not self._with_facet[one]:
                    del self._with_facet[one]
        gone = np.array(labels, np.int64)
        # Inverted lists with a hash table take the ids one by one; the flat index wants a set.
        selector = faiss.IDSelectorArray(gone) if self._trained_on else faiss.IDSelectorBatch(gone)
        self._index.remove_ids(selector)

    def search(
        self, text: str, vector: Vectors | None, k: int, filters: Mapping[str, Any] | None = None
    ) -> list[tuple[str, float]]:
        """The `k` best (id, inner product), best first, ties by id. Exact up to `exact_up_to` passages that match.

        Beyond, a few true neighbours in a hundred may be missed. `text` is not looked at. Raises ConfigError for a
        vector that is missing or has another dimension.
        """
        if vector is None:
            raise ConfigError(t("a dense index needs a vector to search for"), t("configure an embedder"))
        asked = np.asarray(vector, np.float32).reshape(1, -1)
        if not np.isfinite(asked).all():
            raise ConfigError(t("a vector holds values that are no numbers"), t("check the embedder"))
        if not self._labels or k < 1:
            return []
        if asked.shape[1] != self._dimension:
            raise self._wrong_dimension(asked.shape[1])
        allowed = self._allowed(filters)
        if allowed is not None and len(allowed) <= self.config.exact_up_to:
            return self._exact(asked, allowed, k)
        return self._nearest(asked, allowed, min(k, len(self._labels)))

    def _allowed(self, filters: Mapping[str, Any] | None) -> set[int] | None:
        """Which passages match; None when all do."""
        facets = wanted(filters)
        if not facets:
            return None
        sets = sorted((self._with_facet.get(one, set[int]()) for one in facets), key=len)
        return set[int].intersection(*sets)

    def _exact(self, asked: NDArray[np.float32], allowed: set[int], k: int) -> list[tuple[str, float]]:
        if not allowed:
            return []
        labels = np.fromiter(allowed, np.int64, len(allowed))
        return self._ordered(labels, self._vectors(labels) @ asked[0], k)

    def _nearest(self, asked: NDArray[np.float32], allowed: set[int] | None, k: int) -> list[tuple[str, float]]:
        faiss.omp_set_num_threads(1)  # of this thread; waiting threads spin, and one question is too little to share
        limit = min(k + 16, len(self._labels))
        everywhere = False
        while True:
            scores, labels = self._index.search(asked, limit, params=self._parameters(allowed, everywhere))
            found = labels[0] >= 0
            best = np.round(scores[0][found], _DIGITS)
            if len(best) < min(k, len(self._labels if allowed is None else allowed)) and not everywhere:
                everywhere = True  # the lists that were read hold too few that match
                continue
            # Passages that tie with the last one wanted may lie beyond the limit: look further.
            if limit == len(self._labels) or len(best) < limit or best[-1] < best[k - 1]:
                return self._ordered(labels[0][found], best, k)
            limit = min(limit * 2, len(self._labels))

    def _parameters(self, allowed: set[int] | None, everywhere: bool) -> Any:
        chosen: dict[str, Any] = {}
        if allowed is not None:
            chosen["sel"] = faiss.IDSelectorBatch(np.fromiter(allowed, np.int64, len(allowed)))
        if not self._trained_on:
            return faiss.SearchParameters(**chosen) if chosen else None
        some = max(16, math.ceil(self._index.nlist * self.config.probed))
        chosen["nprobe"] = self._index.nlist if everywhere else some
        return faiss.SearchParametersIVF(**chosen)

    def _ordered(self, labels: NDArray[np.int64], scores: NDArray[np.float32], k: int) -> list[tuple[str, float]]:
        rounded = np.round(scores.astype(np.float64), _DIGITS).tolist()
        found = [(self._passages[label][0], score) for label, score in zip(labels.tolist(), rounded, strict=True)]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))[:k]

    def save(self, folder: str) -> None:
        """Write vectors, passages and a manifest into an existing empty folder."""
        if self._index is not None:
            faiss.write_index(self._index, str(Path(folder, _VECTORS)))
        Path(folder, _PASSAGES).write_bytes(msgspec.msgpack.encode(self._passages))
        about = {"dimension": self._dimension, "next": self._next, "trained_on": self._trained_on}
        write_manifest(folder, "faiss", _FORMAT, about)

    def load(self, folder: str) -> None:
        """Read what `save` wrote. Raises IntegrityError when a byte of it is missing or changed."""
        about = check_manifest(folder, "faiss", _FORMAT)
        try:
            passages = msgspec.msgpack.decode(
                Path(folder, _PASSAGES).read_bytes(), type=dict[int, tuple[str, list[str]]]
            )
            self._clear(int(about["dimension"]))
            if Path(folder, _VECTORS).exists():
                self._index = faiss.read_index(str(Path(folder, _VECTORS)))
            self._next, self._trained_on = int(about["next"]), int(about["trained_on"])
        except (OSError, RuntimeError, KeyError, ValueError, *UNDECODABLE) as error:
            self._clear(0)
            raise unusable(folder, str(error)) from error
        for label, (name, facets) in passages.items():
            self._remember(label, name, facets)
