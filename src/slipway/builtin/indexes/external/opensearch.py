"""The index of vectors, or of words, in OpenSearch (https://opensearch.org), by its HTTP interface.

Vectors are compared exactly, with the k-NN plug-in's script. Words are BM25 (Robertson and Zaragoza 2009): cut here as
for the built-in index, Chinese into pairs of characters, so that the server needs no analyser for Chinese.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import httpx
import msgspec
from pydantic import Field

from slipway.builtin.indexes.external.access import OverHttp, Url, not_reached, refused, too_slow
from slipway.builtin.indexes.external.collection import ServerIndex
from slipway.builtin.indexes.external.payload import Row, packed
from slipway.errors import ConfigError, EngineError
from slipway.files import UNDECODABLE
from slipway.i18n import t
from slipway.text.words import index_words, is_cjk

_PAGE = 500
_LONGEST = 1 << 28  # bytes of an answer


class OpenSearchConfig(OverHttp):
    """A server by `url`. `by: words` is for `retrieve.lexical`. With `user` the key is that user's password."""

    url: Url
    user: str = Field(default="", pattern=r"^[^:\x00-\x1f]*$")
    by: Literal["vectors", "words"] = "vectors"
    stem: bool = True  # English words by their stem, where words are searched
    max_terms: int = Field(default=512, ge=1, le=1000)


class _OpenSearch:
    limit = 10_000  # index.max_result_window

    def __init__(self, config: OpenSearchConfig) -> None:
        self._config, self._key = config, config.key
        self.where = config.url
        headers = {"authorization": f"Bearer {self._key}"} if self._key and not config.user else {}
        self._client = httpx.Client(
            base_url=config.url, timeout=config.timeout, trust_env=False, follow_redirects=False, headers=headers,
            auth=(config.user, self._key) if config.user else None,
            verify=str(Path(config.ca_file).expanduser()) if config.ca_file else True,
        )  # fmt: skip

    def _send(self, method: str, path: str, body: Any = None, *, but: Sequence[int] = ()) -> tuple[int, Any]:
        """(status, body) of an answer; a status below 300, or one of `but`. `body`: JSON, or bytes of NDJSON."""
        data = body if isinstance(body, bytes | None) else msgspec.json.encode(body)
        kind = "application/x-ndjson" if isinstance(body, bytes) else "application/json"
        try:
            with self._client.stream(method, path, content=data, headers={"content-type": kind}) as response:
                found = bytearray()
                for piece in response.iter_bytes():
                    found += piece
                    if len(found) > _LONGEST:
                        raise refused(self.where, 0, t("its answer is too long"))
        except httpx.TimeoutException:
            raise too_slow(self.where) from None
        except (httpx.HTTPError, OSError) as error:
            raise not_reached(self.where, error, self._key) from None
        if response.status_code >= 300 and response.status_code not in but:
            raise refused(self.where, response.status_code, found[:2000].decode("utf-8", "replace"), self._key)
        try:
            return response.status_code, msgspec.json.decode(bytes(found) or b"null")
        except UNDECODABLE as error:
            raise refused(self.where, 0, error, self._key) from None

    def rows(self, name: str) -> Iterator[Row]:
        if self.count(name) is None:
            return
        after: list[Any] = []
        while True:
            asked: dict[str, Any] = {"size": _PAGE, "query": {"match_all": {}}, "sort": [{"id": "asc"}]}
            if after:
                asked["search_after"] = after
            hits = self._hits(name, asked)
            for hit in hits:
                one = hit["_source"]
                vector = packed(one["vector"]) if "vector" in one else b""
                yield Row(str(one["id"]), tuple(one.get("facets", ())), vector, str(one.get("words", "")))
            if len(hits) < _PAGE:
                return
            after = hits[-1]["sort"]

    def _hits(self, name: str, asked: dict[str, Any]) -> list[dict[str, Any]]:
        _, found = self._send("POST", f"/{name}/_search", asked)
        try:
            if found.get("timed_out") or found.get("_shards", {}).get("failed"):
                raise refused(self.where, 0, t("a part of it did not answer"))
            return list(found["hits"]["hits"])
        except (AttributeError, KeyError, TypeError) as error:
            raise self._strange(error) from None

    def _strange(self, error: Exception) -> EngineError:
        return refused(self.where, 0, t("its answer is not OpenSearch's: {why}", why=repr(error)))

    def create(self, name: str, dimension: int) -> None:
        fields: dict[str, Any] = {"id": {"type": "keyword"}, "facets": {"type": "keyword"}}
        settings: dict[str, Any] = {"number_of_shards": 1, "number_of_replicas": 0}
        if dimension:
            fields["vector"] = {"type": "knn_vector", "dimension": dimension}
        else:
            fields["words"] = {"type": "text", "analyzer": "slipway"}
            filters = {"slipway_stem": {"type": "stemmer", "language": "porter2"}} if self._config.stem else {}
            analyzer = {"type": "custom", "tokenizer": "whitespace", "filter": list(filters)}
            settings["analysis"] = {"filter": filters, "analyzer": {"slipway": analyzer}}
        body = {"settings": {"index": settings}, "mappings": {"dynamic": "strict", "properties": fields}}
        if self.count(name) is None:
            status, found = self._send("PUT", f"/{name}", body, but=(400,))
            if status == 400 and "resource_already_exists" not in str(found):
                raise refused(self.where, status, found, self._key)

    def put(self, name: str, rows: Sequence[Row]) -> None:
        lines: list[bytes] = []
        for row in rows:
            source: dict[str, Any] = {"id": row.id, "facets": list(row.facets)}
            source |= {"vector": row.numbers.tolist()} if row.vector else {"words": row.words}
            lines += [msgspec.json.encode({"index": {"_id": row.id}}), msgspec.json.encode(source)]
        self._bulk(name, lines)

    def remove(self, name: str, ids: Sequence[str]) -> None:
        self._bulk(name, [msgspec.json.encode({"delete": {"_id": one}}) for one in ids])

    def _bulk(self, name: str, lines: list[bytes]) -> None:
        _, found = self._send("POST", f"/{name}/_bulk?refresh=true", b"\n".join(lines) + b"\n")
        try:
            wrong = [one for item in found["items"] for one in item.values() if one.get("error")]
        except (AttributeError, KeyError, TypeError) as error:
            raise self._strange(error) from None
        if wrong:
            raise refused(self.where, int(wrong[0].get("status", 0)), wrong[0]["error"], self._key)

    def count(self, name: str) -> int | None:
        status, found = self._send("GET", f"/{name}/_count", but=(404,))
        return None if status == 404 else int(found["count"])

    def nearest(self, name: str, asked: Any, limit: int, facets: Sequence[str]) -> list[tuple[str, float]]:
        must = [{"term": {"facets": one}} for one in facets]
        by_words = isinstance(asked, list)
        if by_words and not asked:
            return []
        query = _of_words(asked, must) if by_words else _of_vector(asked.tolist(), must)
        body = {"size": limit, "query": query, "_source": ["id"], "sort": ["_score", {"id": "asc"}]}
        hits = self._hits(name, {**body, "track_scores": True})
        return [(str(h["_source"]["id"]), h["_score"] if by_words else _inner(h["_score"])) for h in hits]

    def drop(self, name: str) -> None:
        self._send("DELETE", f"/{name}", but=(404,))

    def answers(self) -> None:
        self._send("GET", "/")


def _of_words(words: list[str], must: list[Any]) -> dict[str, Any]:
    """Passages with any of the words. A lone character is part of the pairs it stands in."""
    alone = dict.fromkeys(word for word in words if len(word) == 1 and is_cjk(word))
    pairs = [word for word in words if word not in alone]
    some: list[Any] = [{"match": {"words": {"query": " ".join(pairs)}}}] if pairs else []
    some += [{"regexp": {"words": {"value": f".?{word}.?"}}} for word in alone]
    return {"bool": {"should": some, "minimum_should_match": 1, "filter": must}}


def _of_vector(vector: list[float], must: list[Any]) -> dict[str, Any]:
    params = {"field": "vector", "query_value": vector, "space_type": "innerproduct"}
    script = {"lang": "knn", "source": "knn_score", "params": params}
    return {"script_score": {"query": {"bool": {"filter": must}} if must else {"match_all": {}}, "script": script}}


def _inner(score: float) -> float:
    """The inner product behind OpenSearch's score: p + 1 where p is not negative, else 1 / (1 - p)."""
    return score - 1 if score >= 1 else 1 - 1 / score


class OpenSearchIndex(ServerIndex):
    """Passages by their vectors, or by their words, in OpenSearch."""

    Config: ClassVar[type[Any]] = OpenSearchConfig
    KIND: ClassVar[str] = "opensearch"
    connects: ClassVar[type[Any]] = _OpenSearch

    @property
    def words(self) -> bool:
        """See `ServerIndex`."""
        return self.config.by == "words"

    def _settings(self) -> list[Any]:
        return [self.config.by, self.config.stem and self.words]

    def _asked(self, text: str, vector: Any) -> Any:
        if self.words:
            return index_words(text)[: self.config.max_terms]
        if vector is None:
            raise ConfigError(t("a dense index needs a vector to search for"), t("for words write `by: words`"))
        return super()._asked(text, vector)
