"""The index of vectors in Qdrant (https://qdrant.tech), by its own client: a server, or a folder without one.

Search is exact unless `exact: false`, which uses Qdrant's graph (HNSW, Malkov and Yashunin 2016).
"""

from __future__ import annotations

import logging
import threading
import uuid
import weakref
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import httpx
from pydantic import Field
from qdrant_client import QdrantClient
from qdrant_client import models as q
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse

from slipway.builtin.indexes.external.access import HttpOrFolder, not_reached, refused, too_slow
from slipway.builtin.indexes.external.collection import ServerIndex
from slipway.builtin.indexes.external.payload import Row, packed
from slipway.errors import EngineError
from slipway.i18n import t

logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells of every request
_PAGE = 512


class QdrantConfig(HttpOrFolder):
    """A server by `url`, or a folder by `path`: a local trial, for one process at a time."""

    exact: bool = True
    ef: int | None = Field(default=None, ge=1, le=100_000)  # how far the graph is searched, where `exact` is false


class QdrantIndex(ServerIndex):
    """Passages by their vectors, in Qdrant."""

    Config: ClassVar[type[Any]] = QdrantConfig
    KIND: ClassVar[str] = "qdrant"

    def connect(self) -> _Qdrant:
        """See `ServerIndex`."""
        return _connected(self.config)


class _Qdrant:
    limit = 10_000

    def __init__(self, config: QdrantConfig) -> None:
        self._config, self._key = config, config.key
        self.where = config.where
        self._lock = threading.RLock() if config.path else None
        if config.path:
            self._client = _opened(self.where)
            weakref.finalize(self, self._client.close)  # at the end of the process, too
            return
        extra: dict[str, Any] = {"verify": str(Path(config.ca_file).expanduser())} if config.ca_file else {}
        self._client = QdrantClient(
            url=config.url, port=None, api_key=self._key or None, timeout=max(1, round(config.timeout)),
            check_compatibility=False, trust_env=False, **extra,
        )  # fmt: skip

    @contextmanager
    def _asking(self) -> Generator[QdrantClient]:
        with self._lock or _nothing():
            try:
                yield self._client
            except UnexpectedResponse as error:
                raise refused(self.where, error.status_code or 0, error.content[:1000].decode("utf-8", "replace"),
                              self._key) from None  # fmt: skip
            except (ResponseHandlingException, httpx.HTTPError, OSError) as error:
                source = getattr(error, "source", error)
                if isinstance(source, httpx.TimeoutException):
                    raise too_slow(self.where) from None
                raise not_reached(self.where, source, self._key) from None
            except (ApiException, ValueError, RuntimeError) as error:
                raise refused(self.where, 0, error, self._key) from None

    def rows(self, name: str) -> Iterator[Row]:
        if self.count(name) is None:
            return
        offset: Any = None
        while True:
            with self._asking() as client:
                points, offset = client.scroll(name, limit=_PAGE, offset=offset, with_vectors=True)
            for point in points:
                payload = point.payload or {}
                facets = tuple(str(one) for one in payload.get("facets", ()))
                yield Row(str(payload.get("id")), facets, packed(point.vector))
            if offset is None:
                return

    def create(self, name: str, dimension: int) -> None:
        with self._asking() as client:
            if client.collection_exists(name):
                return
            vectors = q.VectorParams(size=dimension, distance=q.Distance.DOT)
            try:
                client.create_collection(name, vectors_config=vectors, timeout=round(self._config.timeout) or 1)
            except UnexpectedResponse as error:
                if error.status_code != 409:  # another process made it meanwhile
                    raise
            if self._lock is None:
                client.create_payload_index(name, "facets", q.PayloadSchemaType.KEYWORD, wait=True)

    def put(self, name: str, rows: Sequence[Row]) -> None:
        points = [
            q.PointStruct(id=_point(r.id), vector=r.numbers.tolist(), payload={"id": r.id, "facets": list(r.facets)})
            for r in rows
        ]
        with self._asking() as client:
            client.upsert(name, points, wait=True)

    def remove(self, name: str, ids: Sequence[str]) -> None:
        with self._asking() as client:
            client.delete(name, q.PointIdsList(points=[_point(one) for one in ids]), wait=True)

    def count(self, name: str) -> int | None:
        with self._asking() as client:
            return client.count(name, exact=True).count if client.collection_exists(name) else None

    def nearest(self, name: str, asked: Any, limit: int, facets: Sequence[str]) -> list[tuple[str, float]]:
        must: list[Any] = [q.FieldCondition(key="facets", match=q.MatchValue(value=one)) for one in facets]
        params = None if self._lock else q.SearchParams(exact=self._config.exact, hnsw_ef=self._config.ef)
        with self._asking() as client:
            found = client.query_points(
                name, query=asked.tolist(), limit=limit, query_filter=q.Filter(must=must) if must else None,
                search_params=params, with_payload=["id"],
            ).points  # fmt: skip
        return [(str((point.payload or {}).get("id")), float(point.score)) for point in found]

    def drop(self, name: str) -> None:
        with self._asking() as client:
            client.delete_collection(name)

    def answers(self) -> None:
        with self._asking() as client:
            client.get_collections()


@contextmanager
def _nothing() -> Generator[None]:
    yield


def _point(name: str) -> str:
    """Qdrant knows points by a UUID: one for each passage, the same everywhere."""
    return str(uuid.UUID(bytes=sha256(name.encode()).digest()[:16]))


_folders: weakref.WeakValueDictionary[str, _Qdrant] = weakref.WeakValueDictionary()
_opening = threading.Lock()


def _connected(config: QdrantConfig) -> _Qdrant:
    """For a folder the one that this process has: it is locked against others until no index uses it."""
    if not config.path:
        return _Qdrant(config)
    where = str(Path(config.path).expanduser())
    with _opening:
        found = _folders.get(where)
        if found is None:
            found = _folders[where] = _Qdrant(config)
        return found


def _opened(path: str) -> QdrantClient:
    try:
        return QdrantClient(path=path)
    except (RuntimeError, OSError, ValueError) as error:
        raise EngineError(
            t("the folder {path} of Qdrant cannot be opened: {why}", path=path, why=error),
            t("a folder is for one process at a time: end the other one, or start a server and name its `url`"),
        ) from error
