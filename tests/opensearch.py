"""A small server with the part of OpenSearch's HTTP interface that the index uses, written from its documentation.

It keeps documents, checks what it is sent, and really searches: exact inner products, BM25 (k1 = 1.2, b = 0.75) with
the analyser that the index asks for. No real OpenSearch can be had from Debian, PyPI or npm.
"""

from __future__ import annotations

import base64
import contextlib
import json
import math
import re
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from slipway.builtin.indexes.lexical import _analyzer


class Server:
    def __init__(self) -> None:
        self.indexes: dict[str, dict] = {}
        self.asked: list[tuple[str, str]] = []
        self.password = ""
        self.status = 0  # answered to everything, if set
        self.break_after = 10**9  # rows that may be put before it fails
        self.url = ""

    # -- one request ---------------------------------------------------------------------------------------------
    def answer(self, method: str, path: str, headers, body: bytes) -> tuple[int, dict]:
        self.asked.append((method, path))
        if self.password:
            wanted = "Basic " + base64.b64encode(f"slipway:{self.password}".encode()).decode()
            if headers.get("authorization") != wanted:
                return 401, {"error": "Unauthorized", "status": 401}
        if self.status:
            return self.status, {"error": {"type": "some_exception", "reason": f"said {headers.get('authorization')}"}}
        return self._of_index(method, path, body)

    def _of_index(self, method: str, path: str, body: bytes) -> tuple[int, dict]:
        path, _, query = path.partition("?")
        name, _, verb = path.lstrip("/").partition("/")
        if not name:
            return 200, {"version": {"distribution": "opensearch", "number": "2.19.0"}}
        if method == "PUT":
            if name in self.indexes:
                return 400, {"error": {"type": "resource_already_exists_exception"}, "status": 400}
            asked = json.loads(body)
            self.indexes[name] = {"docs": {}, "fields": asked["mappings"]["properties"], **asked["settings"]["index"]}
            return 200, {"acknowledged": True}
        if name not in self.indexes:
            return 404, {"error": {"type": "index_not_found_exception"}, "status": 404}
        if method == "DELETE":
            del self.indexes[name]
            return 200, {"acknowledged": True}
        index = self.indexes[name]
        if verb == "_count":
            return 200, {"count": len(index["docs"])}
        if verb == "_bulk":
            assert query == "refresh=true"
            return 200, self._bulk(index, body)
        assert verb == "_search", path
        return 200, self._search(index, json.loads(body))

    def _bulk(self, index: dict, body: bytes) -> dict:
        items, lines = [], iter(body.decode().strip().split("\n"))
        for line in lines:
            ((action, about),) = json.loads(line).items()
            if action == "delete":
                index["docs"].pop(about["_id"], None)
                items.append({"delete": {"status": 200}})
                continue
            source = json.loads(next(lines))
            unknown = source.keys() - index["fields"].keys()
            wrong = "vector" in source and len(source["vector"]) != index["fields"]["vector"]["dimension"]
            self.break_after -= 1
            if unknown or wrong or self.break_after < 0:
                items.append({"index": {"status": 429 if not unknown else 400, "error": {"type": "some_exception"}}})
                continue
            index["docs"][about["_id"]] = source
            items.append({"index": {"status": 201}})
        return {"errors": any("error" in one for item in items for one in item.values()), "items": items}

    # -- search --------------------------------------------------------------------------------------------------
    def _search(self, index: dict, asked: dict) -> dict:
        assert asked["size"] <= 10_000
        found = [(score, doc) for doc, score in self._scored(index, asked["query"])]
        if asked["sort"][0] == "_score":
            found.sort(key=lambda pair: (-pair[0], pair[1]["id"]))
        else:
            found.sort(key=lambda pair: pair[1]["id"])
        if "search_after" in asked:
            found = [pair for pair in found if pair[1]["id"] > asked["search_after"][0]]
        hits = [
            {"_id": doc["id"], "_score": score, "_source": doc, "sort": [doc["id"]]}
            for score, doc in found[: asked["size"]]
        ]
        return {"timed_out": False, "_shards": {"failed": 0}, "hits": {"hits": hits}}

    def _scored(self, index: dict, query: dict) -> Iterator[tuple[dict, float]]:
        docs = list(index["docs"].values())
        ((kind, about),) = query.items()
        if kind == "match_all":
            yield from ((doc, 1.0) for doc in docs)
        elif kind == "script_score":
            script = about["script"]
            assert (script["lang"], script["source"]) == ("knn", "knn_score")
            assert script["params"]["space_type"] == "innerproduct"
            asked = np.array(script["params"]["query_value"], np.float32)
            for doc, _ in self._scored(index, about["query"]):
                product = float(np.array(doc["vector"], np.float32) @ asked)
                yield doc, float(np.float32(product + 1 if product >= 0 else 1 / (1 - product)))
        elif kind == "bool":
            kept = [d for d in docs if all(one["term"]["facets"] in d["facets"] for one in about.get("filter", ()))]
            if "should" not in about:
                yield from ((doc, 0.0) for doc in kept)
                return
            totals: Counter = Counter()
            for one in about["should"]:
                for name, score in self._words(index, one).items():
                    totals[name] += score
            yield from ((doc, totals[doc["id"]]) for doc in kept if doc["id"] in totals)

    def _words(self, index: dict, query: dict) -> dict[str, float]:
        analysis = index["analysis"]["analyzer"]["slipway"]
        assert analysis["tokenizer"] == "whitespace"
        analyzer = _analyzer(bool(analysis["filter"]))
        texts = {name: Counter(analyzer.analyze(doc["words"])) for name, doc in index["docs"].items()}
        ((kind, about),) = query.items()
        if kind == "regexp":
            pattern = re.compile(about["words"]["value"])
            return {name: 1.0 for name, words in texts.items() if any(pattern.fullmatch(word) for word in words)}
        average = sum(words.total() for words in texts.values()) / max(len(texts), 1)
        scores: dict[str, float] = {}
        for term in analyzer.analyze(about["words"]["query"]):
            holding = [name for name, words in texts.items() if term in words]
            rarity = math.log(1 + (len(texts) - len(holding) + 0.5) / (len(holding) + 0.5))
            for name in holding:
                often, length = texts[name][term], texts[name].total()
                weight = often / (often + 1.2 * (0.25 + 0.75 * length / average))
                scores[name] = scores.get(name, 0.0) + rarity * weight
        return scores


@contextlib.contextmanager
def running() -> Iterator[Server]:
    """A server on loopback, gone afterwards."""
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            status, found = server.answer(self.command, self.path, self.headers, body)
            data = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # the client has left
                self.wfile.write(data)

        do_GET = do_PUT = do_POST = do_DELETE = _do

        def log_message(self, *args) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, args=(0.05,))
    thread.start()
    server.url = f"http://127.0.0.1:{http.server_port}"
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
