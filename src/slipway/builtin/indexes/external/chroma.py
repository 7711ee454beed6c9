"""The index of vectors in Chroma (https://www.trychroma.com), by its own client: a server, or a folder without one.

Chroma is given vectors, never texts, so that it loads no model of its own; it is told to send no telemetry. Its search
is approximate (HNSW, Malkov and Yashunin 2016).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import chromadb
import httpx
import numpy as np
from chromadb.config import Settings
from chromadb.errors import ChromaError, NotFoundError
from pydantic import Field

from slipway.builtin.indexes.external.access import HttpOrFolder, not_reached, refused, too_slow
from slipway.builtin.indexes.external.collection import ServerIndex
from slipway.builtin.indexes.external.payload import Row, packed

os.environ.setdefault("ANONYMIZED_TELEMETRY", "False")
_PAGE = 512


class ChromaConfig(HttpOrFolder):
    """A server by `url`, or a folder by `path`. `ef`: how far its graph is searched; more finds more, and is slower.

    Of filtered searches those with at most `exact_up_to` passages that match compare each of them.
    """

    ef: int = Field(default=400, ge=10, le=100_000)
    exact_up_to: int = Field(default=2000, ge=0, le=100_000)


class _Chroma:
    limit = 10_000

    def __init__(self, config: ChromaConfig) -> None:
        self._config, self._key = config, config.key
        self.where = config.where
        self._lock = threading.RLock()
        self._client: Any = None

    @contextmanager
    def _asking(self) -> Generator[Any]:
        with self._lock:
            try:
                if self._client is None:
                    self._client = self._opened()
                yield self._client
            except NotFoundError:
                raise
            except httpx.TimeoutException:
                raise too_slow(self.where) from None
            except httpx.HTTPStatusError as error:
                raise refused(self.where, error.response.status_code, error, self._key) from None
            except (httpx.HTTPError, OSError) as error:
                raise not_reached(self.where, error, self._key) from None
            except (ChromaError, ValueError, RuntimeError) as error:
                if isinstance(error.__context__, httpx.TransportError):  # it makes a ValueError of that
                    raise not_reached(self.where, error.__context__, self._key) from None
                raise refused(self.where, getattr(error, "code", lambda: 0)(), error, self._key) from None

    def _opened(self) -> Any:
        settings = Settings(anonymized_telemetry=False)
        if self._config.path:
            return chromadb.PersistentClient(self.where, settings=settings)
        parts = urlsplit(self.where)
        secure = parts.scheme == "https"
        if self._config.ca_file:
            settings.chroma_server_ssl_verify = str(Path(self._config.ca_file).expanduser())
        headers = {"x-chroma-token": self._key, "Authorization": f"Bearer {self._key}"} if self._key else None
        # Its client waits for ever: ask by ourselves whether there is a server, then give its connection a limit.
        verify: Any = settings.chroma_server_ssl_verify if self._config.ca_file else True
        httpx.get(f"{self.where}/api/v2/heartbeat", timeout=self._config.timeout, verify=verify).raise_for_status()
        client: Any = chromadb.HttpClient(
            host=parts.hostname or "", port=parts.port or (443 if secure else 80), ssl=secure, headers=headers,
            settings=settings,
        )  # fmt: skip
        session: httpx.Client = client._server._session
        session.timeout = httpx.Timeout(self._config.timeout)
        return client

    def _collection(self, client: Any, name: str) -> Any:
        return client.get_collection(name, embedding_function=None)

    def rows(self, name: str) -> Iterator[Row]:
        at, total = 0, self.count(name) or 0
        while at < total:
            with self._asking() as client:
                found = self._collection(client, name).get(limit=_PAGE, offset=at, include=["embeddings", "metadatas"])
            for one, vector, meta in zip(found["ids"], found["embeddings"], found["metadatas"], strict=True):
                yield Row(one, tuple(sorted(key for key in meta or {} if meta[key] is True)), packed(vector))
            at += _PAGE

    def create(self, name: str, dimension: int) -> None:
        hnsw = {"space": "ip", "ef_search": self._config.ef, "ef_construction": max(200, self._config.ef)}
        with self._asking() as client:
            client.get_or_create_collection(name, embedding_function=None, configuration={"hnsw": hnsw})

    def put(self, name: str, rows: Sequence[Row]) -> None:
        with self._asking() as client:
            self._collection(client, name).upsert(
                ids=[row.id for row in rows],
                embeddings=np.stack([row.numbers for row in rows]),
                metadatas=[dict.fromkeys(row.facets, True) for row in rows],
            )

    def remove(self, name: str, ids: Sequence[str]) -> None:
        with self._asking() as client:
            self._collection(client, name).delete(ids=list(ids))

    def count(self, name: str) -> int | None:
        try:
            with self._asking() as client:
                return self._collection(client, name).count()
        except NotFoundError:
            return None

    def nearest(self, name: str, asked: Any, limit: int, facets: Sequence[str]) -> list[tuple[str, float]]:
        match: Any = [{one: True} for one in facets]
        where = None if not match else match[0] if len(match) == 1 else {"$and": match}
        try:
            with self._asking() as client:
                collection = self._collection(client, name)
                few = self._few(collection, where) if where else None
                if few is not None:
                    scores = [(one, float(vector @ asked)) for one, vector in few]
                    return sorted(scores, key=lambda pair: -pair[1])[:limit]
                found = collection.query(query_embeddings=[asked], n_results=limit, include=["distances"], where=where)
        except NotFoundError as error:
            raise refused(self.where, 404, error, self._key) from None
        return [(one, 1.0 - float(far)) for one, far in zip(found["ids"][0], found["distances"][0], strict=True)]

    def _few(self, collection: Any, where: Any) -> list[tuple[str, Any]] | None:
        """The passages that match, with their vectors, where there are few: the graph finds few of a few."""
        most = self._config.exact_up_to
        if len(collection.get(where=where, limit=most + 1, include=[])["ids"]) > most:
            return None
        found = collection.get(where=where, limit=most, include=["embeddings"])
        return [
            (one, np.asarray(vector, np.float32)) for one, vector in zip(found["ids"], found["embeddings"], strict=True)
        ]

    def drop(self, name: str) -> None:
        try:
            with self._asking() as client:
                client.delete_collection(name)
        except NotFoundError:
            return

    def answers(self) -> None:
        with self._asking() as client:
            client.heartbeat()


class ChromaIndex(ServerIndex):
    """Passages by their vectors, in Chroma."""

    Config: ClassVar[type[Any]] = ChromaConfig
    KIND: ClassVar[str] = "chroma"
    connects: ClassVar[type[Any]] = _Chroma
    settings: ClassVar[tuple[str, ...]] = ("ef",)
