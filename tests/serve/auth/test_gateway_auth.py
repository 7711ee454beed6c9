"""Keys, Host and Origin."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from pathlib import Path

import pytest

from served import echo, make_context, promote, release, serving
from slipway.address import is_loopback
from slipway.errors import MissingPrerequisite, NotFound
from slipway.serve.app import create_app
from slipway.serve.auth.keys import create_key, revoke_key
from slipway.store.store import Store


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def test_loopback_needs_no_key_until_one_was_made(tmp_path: Path) -> None:
    store = Store(tmp_path)
    promote(store, release(store, echo()))
    with serving(make_context(store, [])) as server:
        server.until()
        assert server.chat("open").status == 200
        assert server.chat("open", headers=bearer("whatever")).status == 200
        _, key = create_key(store, "alice")
        end = time.monotonic() + 10
        while server.chat("closed").status != 401:
            assert time.monotonic() < end
        assert server.chat("closed", headers=bearer(key)).status == 200


@pytest.mark.slow
def test_any_other_address_needs_a_key(tmp_path: Path) -> None:
    store = Store(tmp_path)
    promote(store, release(store, echo()))
    context = make_context(store, [], host="0.0.0.0")
    with pytest.raises(MissingPrerequisite, match="needs an API key"):
        create_app(context)
    id_, key = create_key(store, "alice")
    with serving(context) as server:
        server.until()
        for path in ("/healthz", "/readyz", "/openapi.json"):
            assert server.get(path).status == 200
        for path in ("/v1/models", "/metrics", "/v1/feedback", "/nothing"):
            assert server.get(path).status == 401
            assert server.get(path, **bearer(key)).status != 401
        for wrong in ("", "Bearer", f"Basic {key}", f"Bearer {key}x", f"Bearer {key[:-1]}", "Bearer sk-slipway-", key):
            reply = server.chat("x", headers={"authorization": wrong})
            assert reply.status == 401, wrong
            assert reply.error["code"] == "invalid_api_key"
            assert reply.headers["www-authenticate"].startswith("Bearer")
            assert key not in reply.body.decode()
        good = server.chat("x", headers=bearer(key))
        assert good.status == 200
        assert store.catalog.trace(good.headers["x-slipway-trace"]).key == id_
        assert server.post("/generate", {"prompt": "x"}).status == 401
        revoke_key(store, id_)
        end = time.monotonic() + 10
        while server.chat("x", headers=bearer(key)).status != 401:
            assert time.monotonic() < end, "a revoked key still works"
    with pytest.raises(NotFound):
        revoke_key(store, id_)


def test_keys_and_headers_are_nowhere_on_disk(tmp_path: Path) -> None:
    store = Store(tmp_path)
    promote(store, release(store, echo()))
    _, key = create_key(store, "alice")
    with serving(make_context(store, [])) as server:
        server.until()
        body = {"model": "production", "messages": [{"role": "user", "content": "x"}], "api_key": "topsecret"}
        reply = server.post("/v1/chat/completions", body, {**bearer(key), "x-api-key": "hushhush"})
        assert reply.status == 200
        assert reply.headers["x-slipway-ignored"] == "api_key"
    store.close()
    with sqlite3.connect(tmp_path / "catalog.db") as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    everything = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    secret = key.split("-", 3)[-1]  # may have a "-" in it
    for text in (key, secret, "topsecret", "hushhush"):
        assert text.encode() not in everything
    assert hashlib.sha256(key.encode()).hexdigest().encode() in everything


def test_host_and_origin(tmp_path: Path) -> None:
    store = Store(tmp_path)
    promote(store, release(store, echo()))
    config = {"allowed_hosts": ["llm.example.org"], "allowed_origins": ["https://app.example.org"]}
    with serving(make_context(store, [], **config)) as server:
        server.until()
        port = server.port
        for host, status in (
            ("localhost", 200), (f"localhost:{port}", 200), (f"127.0.0.1:{port}", 200), (f"[::1]:{port}", 200),
            ("LLM.example.org", 200), ("llm.example.org:443", 200), ("10.1.2.3", 200),
            ("evil.example", 403), (f"evil.example:{port}", 403), ("localhost.evil.example", 403), ("", 403),
            ("llm.example.org.evil", 403), ("127.0.0.1.nip.io", 403), ("[bad", 403),
        ):  # fmt: skip
            assert server.chat("x", headers={"host": host}).status == status, host
            assert server.get("/healthz", host=host).status == status, host
        own = f"http://127.0.0.1:{port}"
        for origin, status in (
            (own, 200), ("https://app.example.org", 200), ("https://evil.example", 403), ("null", 403),
            ("http://localhost:1", 403), ("https://app.example.org.evil", 403),
        ):  # fmt: skip
            assert server.chat("x", headers={"origin": origin}).status == status, origin
        cors = server.chat("x", headers={"origin": "https://app.example.org"}).headers
        assert cors["access-control-allow-origin"] == "https://app.example.org"
        assert "access-control-allow-origin" not in server.chat("x", headers={"origin": own}).headers
        asked = {"origin": "https://app.example.org", "access-control-request-method": "POST"}
        preflight = server.send("OPTIONS", "/v1/chat/completions", None, asked)
        assert preflight.status == 204
        assert "POST" in preflight.headers["access-control-allow-methods"]
        assert server.send("OPTIONS", "/v1/chat/completions", None, {**asked, "origin": "https://x.y"}).status == 403


@pytest.mark.parametrize(
    ("host", "only_here"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
     ("192.168.0.1", False), ("example.org", False)],
)  # fmt: skip
def test_what_counts_as_loopback(host: str, only_here: bool) -> None:
    assert is_loopback(host) == only_here
